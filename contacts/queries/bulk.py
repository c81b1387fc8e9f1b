"""How bulk actions are read: the list, one's progress, and what of it can still be undone."""

import datetime
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import QuerySet, Sum
from django.utils import timezone

from accounts.models import Workspace
from contacts import chosen as chosen_people
from contacts.bulk.deeds import DEEDS
from contacts.models import BulkRun, BulkState
from contacts.queries.limits import TakesTooLong, at_most

KEEP_DAYS: Final = 7  # in which it can be undone
COUNT_SECONDS: Final = 1
FOUND_MOST: Final = 10_000  # told beside a search; beyond, the number helps nobody there


def recent(workspace: Workspace, search: str = "") -> QuerySet[BulkRun]:
    """The workspace's bulk actions, by part of what was done; ordered by the page (`bulk_newest_idx`)."""
    runs: QuerySet[BulkRun] = BulkRun.objects.of(workspace).filter(name__icontains=search)
    return runs.select_related("created_by").defer("chosen", "parameters")


def left_to_undo(run: BulkRun) -> int:
    """Of how many people something can be given back. Cost: a row for each 5,000 people."""
    deed = DEEDS.get(run.action)
    newest = timezone.now() - datetime.timedelta(days=KEEP_DAYS)
    if run.is_open or deed is None or deed.undo is None or not run.finished_at or run.finished_at < newest:
        return 0
    return run.chunks.aggregate(kept=Sum("kept_count"))["kept"] or 0


def open_undoing(run: BulkRun) -> BulkRun | None:
    return run.undoings.filter(state__in=(BulkState.QUEUED, BulkState.RUNNING)).first()


def count(chosen: Mapping[str, Any], workspace: Workspace, *, most: int | None = None) -> int | None:
    """How many people these are now; None where counting takes longer than a page waits.

    most: where counting ends; one more is given then, and a million cost no more than that many.
    """
    people, _ = chosen_people.people(chosen, workspace)
    try:
        with at_most(COUNT_SECONDS):
            return people.order_by()[: most + 1].count() if most else people.count()
    except TakesTooLong:
        return None
