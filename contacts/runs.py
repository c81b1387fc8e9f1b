"""What imports, exports and bulk actions share as long jobs: one worker has each, and silent ones are taken up again."""

import datetime
import uuid
from collections.abc import Callable
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from contacts.models import LongRun

SILENT_SECONDS: Final = 60  # a run that gave no sign for so long is taken for dead
# The same words in the states of each.
QUEUED, RUNNING, FAILED = "queued", "running", "failed"
OPEN: Final = (QUEUED, RUNNING)


class Stopped(Exception):  # noqa: N818  (an answer, not a fault)
    """The run was canceled, or another worker has taken it over."""


class Leaving(Exception):  # noqa: N818  (an answer, not a fault)
    """This worker was told to stop, between two steps: the next one goes on."""


def claim(model: type[LongRun], pk: int, **values: Any) -> bool:
    """Take the run for this worker, by a claim that no other's has; values: more to write.

    False: another worker has it and is not taken for dead, or it has ended.
    """
    now = timezone.now()
    is_free = Q(state=QUEUED) | Q(state=RUNNING, progress_at__lt=_silent_before(now))
    free = _rows(model).filter(is_free, pk=pk)
    return bool(free.update(state=RUNNING, claim=uuid.uuid4(), progress_at=now, **values))


def mine(run: LongRun) -> QuerySet[Any]:
    """The run's row while it is this worker's own, none once it was canceled or taken over."""
    return _rows(type(run)).filter(pk=run.pk, state=RUNNING, claim=run.claim)


def alive(run: LongRun, **values: Any) -> None:
    """Write how it stands. Inside a transaction it also keeps others from taking the run over meanwhile.

    Raises: Stopped: it was canceled, or another worker has it.
    """
    if not mine(run).update(progress_at=timezone.now(), **values):
        raise Stopped


def fail(run: LongRun, message: str) -> str:
    """End what cannot go on, with the reason in words. Returns: the outcome, for the log."""
    mine(run).update(state=FAILED, error=message, finished_at=timezone.now())
    return FAILED


def requeue_silent(model: type[LongRun], queue: Callable[[int], None]) -> int:
    """Queue again what gave no sign of life: its job was lost, or its worker was killed.

    queue: puts a run's id on its queue. Returns: how many. A run whose worker lives after all notices at its next
    sign and leaves.
    """
    now = timezone.now()
    open_runs = _rows(model).filter(state__in=OPEN)
    silent = open_runs.alias(seen_at=Coalesce("progress_at", "created_at")).filter(
        seen_at__lt=_silent_before(now)
    )
    count = 0
    for pk in silent.values_list("pk", flat=True):
        with transaction.atomic():
            # Who holds the row is at work on a long step, and lives; the clock waits for nobody.
            held = silent.select_for_update(of=("self",), no_key=True, skip_locked=True).filter(pk=pk)
            if held.exists() and _rows(model).filter(pk=pk).update(state=QUEUED, progress_at=now):
                queue(pk)
                count += 1
    return count


def _rows(model: type[LongRun]) -> QuerySet[Any]:
    rows: QuerySet[Any] = model._default_manager.all()  # each model has a state of its own choices
    return rows


def _silent_before(now: datetime.datetime) -> datetime.datetime:
    return now - datetime.timedelta(seconds=SILENT_SECONDS)
