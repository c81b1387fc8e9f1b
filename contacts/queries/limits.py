"""How long one statement of a page may take: what takes longer ends, and the page says so instead of waiting."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from django.db import OperationalError, connection, transaction

from accounts.errors import Refusal

SORT_MEMORY: Final = "64MB"  # of one statement: what a hash over a million people takes
LIMITS: Final = "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', %s, true)"


class TakesTooLong(Refusal):
    code = "takes_too_long"
    status = 503


@contextmanager
def at_most(seconds: float, message: str = "") -> Iterator[None]:
    """Let no statement inside take longer; the limit ends with the block.

    Raises: TakesTooLong: with the message.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LIMITS, [f"{max(1, int(seconds * 1000))}", SORT_MEMORY])
            yield
            cursor.execute("RESET statement_timeout; RESET work_mem")
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            said = f"This takes longer than {seconds:g} seconds to count. The segment works all the same."
            raise TakesTooLong(message or said) from None
        raise
