"""How long one statement may take in a web process; workers, the clock and migrations take what they need.

The limit is a connection's own default, which `RESET` comes back to (contacts.queries.limits does so).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from django.conf import settings
from django.db import DatabaseError, connection

DEED_SECONDS: Final = 300  # of what somebody does, such as deleting a field of a million contacts
LIMIT: Final = "-c statement_timeout={}"  # as PostgreSQL takes it when a connection begins; milliseconds


def limit_pages() -> None:
    """Let no statement on connections that this process opens from now on take over WEB_STATEMENT_SECONDS."""
    if settings.WEB_STATEMENT_SECONDS:
        options: Any = settings.DATABASES["default"]["OPTIONS"]
        limit = LIMIT.format(settings.WEB_STATEMENT_SECONDS * 1000)
        options["options"] = f"{options.get('options', '')} {limit}".strip()


@contextmanager
def for_a_deed() -> Iterator[None]:
    """Let statements inside take DEED_SECONDS, in a process whose pages are limited."""
    options: Any = connection.settings_dict["OPTIONS"]
    if "statement_timeout" not in options.get("options", ""):
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", [str(DEED_SECONDS * 1000)])
    try:
        yield
    finally:
        _reset()


def _reset() -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")
    except DatabaseError:  # the connection is lost; the next one begins with the limit
        connection.close()


def has_struck(error: Exception) -> bool:
    return isinstance(error.__cause__, psycopg.errors.QueryCanceled)
