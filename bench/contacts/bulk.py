"""How fast something is done to everybody, and undone."""

import os
import time

from accounts.models import Workspace
from bench import processes
from contacts import chosen
from contacts.actions import bulk
from contacts.actions.bulk import Plan, Whom
from contacts.jobs import run_bulk
from contacts.models import BulkAction, BulkRun, CustomField, List
from contacts.queries.contacts import Finder


def measure_bulk(workspace: Workspace, _count: int) -> dict[str, object]:
    """People a second of each deed for everybody and of its undoing, and how far the process's memory rose.

    Deleted for good are the people of the biggest workspace beside.
    """
    fair = List.objects.create(workspace=workspace, name="Fair")
    everyone = List.objects.get(workspace=workspace, name="Everyone")
    city = CustomField.objects.get(workspace=workspace, key="city")
    plans = [
        Plan(BulkAction.ADD_TO_LIST, "Add", {"list": fair.pk}, agreed=True),
        Plan(BulkAction.REMOVE_FROM_LIST, "Take off", {"list": everyone.pk}),
        Plan(BulkAction.UNSUBSCRIBE, "Unsubscribe", {}),
        Plan(BulkAction.SUPPRESS, "Suppress", {}),
        Plan(BulkAction.ADD_TAGS, "Tag", {}, new_tags=("customer",)),
        Plan(BulkAction.SET_FIELD, "Set", {"field": city.pk, "value": "Rome"}),
    ]
    result: dict[str, object] = {}
    before = processes.memory_mb(os.getpid())
    for plan in plans:
        run = bulk.ask(workspace, plan, Whom(chosen.of_finder(Finder()), "Everybody"), by=None)
        result[f"{plan.action}_per_second"] = _measured(run)
        result[f"{plan.action}_undone_per_second"] = _measured(bulk.undo(run, by=None))  # type: ignore[arg-type]
    beside = Workspace.objects.exclude(pk=workspace.pk).latest("pk")
    delete = Plan(BulkAction.DELETE, "Delete", {}, agreed=True)
    run = bulk.ask(beside, delete, Whom(chosen.of_finder(Finder()), "Everybody"), by=None)
    result["delete_per_second"] = _measured(run)
    fair.delete()
    BulkRun.objects.all().delete()
    return result | {"rose_mb": round(processes.peak_mb(os.getpid()) - before, 1)}


def _measured(run: BulkRun) -> int:
    began = time.monotonic()
    run_bulk(bulk_id=run.pk)
    seconds = time.monotonic() - began
    run.refresh_from_db()
    assert (run.state, run.done_count) == ("done", run.total_count), run.error
    return round(run.total_count / seconds)
