"""What imports, exports and bulk actions share as long jobs: one worker has each, and silent ones are taken up again."""

import datetime
from collections.abc import Callable
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from contacts.models import BulkRun, Export, Import

SILENT_SECONDS: Final = 60  # a run that gave no sign for so long is taken for dead
# The same words in the states of each.
QUEUED, RUNNING = "queued", "running"


class Stopped(Exception):  # noqa: N818  (an answer, not a fault)
    """The run was canceled, or another worker has taken it over."""


class Leaving(Exception):  # noqa: N818  (an answer, not a fault)
    """This worker was told to stop, between two steps: the next one goes on."""


def is_free(now: datetime.datetime) -> Q:
    """A worker may take it: it is queued, or who had it is taken for dead."""
    return Q(state=QUEUED) | Q(state=RUNNING, progress_at__lt=_silent_before(now))


def requeue_silent(model: type[Import] | type[Export] | type[BulkRun], queue: Callable[[int], None]) -> int:
    """Queue again what gave no sign of life: its job was lost, or its worker was killed.

    queue: puts a run's id on its queue. Returns: how many. A run whose worker lives after all notices at its next
    sign and leaves.
    """
    now = timezone.now()
    open_runs = model.objects.filter(state__in=(QUEUED, RUNNING))
    silent = open_runs.alias(seen_at=Coalesce("progress_at", "created_at")).filter(
        seen_at__lt=_silent_before(now)
    )
    count = 0
    for pk in silent.values_list("pk", flat=True):
        with transaction.atomic():
            # Who holds the row is at work on a long step, and lives; the clock waits for nobody.
            held = silent.select_for_update(of=("self",), no_key=True, skip_locked=True).filter(pk=pk)
            if held.exists() and model.objects.filter(pk=pk).update(state=QUEUED, progress_at=now):
                queue(pk)
                count += 1
    return count


def _silent_before(now: datetime.datetime) -> datetime.datetime:
    return now - datetime.timedelta(seconds=SILENT_SECONDS)
