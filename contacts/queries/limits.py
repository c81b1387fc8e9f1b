"""How long one statement of a page may take: what takes longer ends, and the page says so instead of waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from django.db import OperationalError, connection, transaction

from accounts.errors import Refusal

SORT_MEMORY: Final = "64MB"  # of one statement: what a hash over a million people takes


class TakesTooLong(Refusal):
    code = "takes_too_long"
    status = 503


@contextmanager
def at_most(seconds: float, message: str = "", **settings: str) -> Iterator[None]:
    """Let no statement inside take longer; the limit ends with the block, and so do other settings of PostgreSQL's.

    Raises: TakesTooLong: with the message.
    """
    settings = {"statement_timeout": f"{max(1, int(seconds * 1000))}", "work_mem": SORT_MEMORY} | settings
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("; ".join(f"SET LOCAL {name} = '{value}'" for name, value in settings.items()))
            yield
            cursor.execute("; ".join(f"RESET {name}" for name in settings))
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            said = f"This takes longer than {seconds:g} seconds to count. The segment works all the same."
            raise TakesTooLong(message or said) from None
        raise
