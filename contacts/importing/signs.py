"""An import's signs of life: every step of a worker asks whether the import is still its own, and says how far it is."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import psycopg
from django.db import DatabaseError, IntegrityError, transaction
from django.utils import timezone

from accounts.queue import leaving
from contacts import runs
from contacts.importing.merge import ChangedMeanwhile
from contacts.models import Import, ImportState

TRIES: Final = 5  # of a step that collided with somebody else's
Result = TypeVar("Result")


def alive(run: Import, **values: Any) -> None:
    """Write how it stands. Inside a transaction it also keeps others from taking the import over meanwhile.

    Raises: Stopped: it was canceled, or another worker has it.
    """
    mine = Import.objects.filter(pk=run.pk, state=ImportState.RUNNING, claim=run.claim)
    if not mine.update(progress_at=timezone.now(), **values):
        raise runs.Stopped


def stay() -> None:
    """Between two steps. Raises: Leaving: the worker was told to stop."""
    if leaving.is_set():
        raise runs.Leaving


def in_one_go(step: Callable[[], Result]) -> Result:
    """Do the step in a transaction, again when it met somebody who wrote to the same people."""
    for _ in range(TRIES - 1):
        try:
            with transaction.atomic():
                return step()
        except ChangedMeanwhile:
            continue
        except DatabaseError as error:
            if not _is_collision(error):
                raise
    with transaction.atomic():
        return step()


def _is_collision(error: DatabaseError) -> bool:
    return isinstance(error, IntegrityError) or isinstance(error.__cause__, psycopg.errors.DeadlockDetected)
