"""Asking for a bulk action, cancelling and undoing it, and bringing back what fell silent."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import WrongState
from accounts.models import User, Workspace, record
from contacts import runs
from contacts.actions.subscriptions import check_consent
from contacts.actions.tags import named
from contacts.bulk import run as bulk
from contacts.models import BulkAction, BulkChunk, BulkRun, BulkState
from contacts.queries.bulk import KEEP_DAYS, left_to_undo

OPEN: Final = (BulkState.QUEUED, BulkState.RUNNING)


@dataclass(frozen=True)
class Whom:
    """Those it is for. chosen: as `contacts.chosen` has it. words: the same for people. count: None: not known."""

    chosen: Mapping[str, Any]
    words: str
    count: int | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be done. name: in words. parameters: as `BulkRun.parameters`, less what is made for it.

    agreed: they agreed to get the list's mails. new_tags: names of tags that are made, or found.
    """

    action: BulkAction
    name: str
    parameters: Mapping[str, Any]
    agreed: bool = False
    new_tags: tuple[str, ...] = ()


@transaction.atomic(durable=True)
def ask(workspace: Workspace, plan: Plan, whom: Whom, *, by: User | None) -> BulkRun:
    """Queue the deed; whom it is for is worked out when it starts.

    Raises: NoConsent: people are put on a list, and it was not declared.
    """
    if plan.action == BulkAction.ADD_TO_LIST:
        check_consent(agreed=plan.agreed)
    parameters = dict(plan.parameters)
    if plan.new_tags:
        made = [tag.pk for tag in named(workspace, plan.new_tags, by=by)]
        parameters["tags"] = sorted({*parameters.get("tags", []), *made})
    run = BulkRun.objects.create(
        workspace=workspace,
        action=plan.action,
        name=plan.name[:200],
        whom=whom.words[:200],
        chosen=whom.chosen,
        parameters=parameters,
        created_by=by,
    )
    record(by, "bulk.asked", run)
    bulk.queue(run.pk, people=whom.count)
    return run


@transaction.atomic(durable=True)
def cancel(run: BulkRun, *, by: User) -> None:
    """Stop before the next chunk; what was done stays, and can be undone. Raises: WrongState: it has ended."""
    stopping = BulkRun.objects.filter(pk=run.pk, state__in=OPEN)
    if not stopping.update(state=BulkState.CANCELED, finished_at=timezone.now()):
        raise WrongState("This has ended already.")
    record(by, "bulk.canceled", run)


def undo(run: BulkRun, *, by: User) -> BulkRun:
    """Queue the undoing of what it has changed.

    Raises: WrongState: nothing of it can be undone, or not any more, or it is being undone.
    """
    try:
        with transaction.atomic(durable=True):
            held = BulkRun.objects.select_for_update(no_key=True).get(pk=run.pk)
            count = left_to_undo(held)
            if not count:
                raise WrongState("There is nothing here that can be undone.")
            undoing = BulkRun.objects.create(
                workspace=run.workspace,
                action=BulkAction.UNDO,
                name=f"Undo: {run.name}"[:200],
                whom=run.whom,
                undoes=held,
                total_count=count,
                created_by=by,
            )
            record(by, "bulk.undone", run)
            bulk.queue(undoing.pk, people=count)
    except IntegrityError as error:
        if "one_undo_at_a_time" not in str(error):
            raise
        raise WrongState("This is being undone already.") from None
    return undoing


def requeue_silent() -> int:
    """Take up again what gave no sign of life for a minute. Returns how many."""
    return runs.requeue_silent(BulkRun, bulk.queue)


def forget_old() -> int:
    """Drop what was kept to undo deeds of KEEP_DAYS ago. Returns how many chunks."""
    before = timezone.now() - datetime.timedelta(days=KEEP_DAYS)
    undoing = BulkRun.objects.filter(state__in=OPEN, undoes__isnull=False).values("undoes")
    old = BulkChunk.objects.filter(run__finished_at__lt=before).exclude(run__in=undoing)
    count, _ = BulkChunk.objects.filter(pk__in=old.values("pk")[:1000]).delete()
    return count
