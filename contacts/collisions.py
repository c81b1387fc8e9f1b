"""Two deeds that write to the same people in different orders wait for each other; PostgreSQL ends one of them."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

import psycopg
from django.db import DatabaseError, OperationalError, connection

TRIES: Final = 5
Given = ParamSpec("Given")
Result = TypeVar("Result")


def is_deadlock(error: DatabaseError) -> bool:
    return isinstance(error.__cause__, psycopg.errors.DeadlockDetected)


def again_when_ended(deed: Callable[Given, Result]) -> Callable[Given, Result]:
    """Do a deed of one transaction anew when it was the one that was ended, so that nobody sees an error.

    The deed leaves what it is given as it was: `instance.delete()` would take the id away.
    """

    @wraps(deed)
    def done(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        for _ in range(TRIES - 1):
            try:
                return deed(*args, **kwargs)
            except OperationalError as error:
                if not is_deadlock(error) or connection.in_atomic_block:
                    raise
        return deed(*args, **kwargs)

    return done
