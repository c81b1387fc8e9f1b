"""How an import's steps are done: each in one go, and none once the worker was told to stop."""

from collections.abc import Callable
from typing import Final, TypeVar

from django.db import DatabaseError, IntegrityError, transaction

from accounts.queue import leaving
from contacts import runs
from contacts.collisions import is_deadlock
from contacts.importing.merge import ChangedMeanwhile

TRIES: Final = 5  # of a step that collided with somebody else's
Result = TypeVar("Result")


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
            if not (isinstance(error, IntegrityError) or is_deadlock(error)):
                raise
    with transaction.atomic():
        return step()
