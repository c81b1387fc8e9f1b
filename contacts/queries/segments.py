"""How segments are read: the list, and who matches, within a time a page can wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet

from accounts.errors import Refusal
from accounts.models import Workspace
from accounts.pages import Page, page_of
from contacts import segments
from contacts.models import Contact, Segment

COUNT_SECONDS: Final = 3  # for one statement; longer, and the page says so instead of waiting
TOO_LONG: Final = f"This takes longer than {COUNT_SECONDS} seconds to count. The segment works all the same."
EXAMPLES: Final = 10


class TakesTooLong(Refusal):
    code = "takes_too_long"
    status = 503


@dataclass(frozen=True)
class Count:
    """matching: contacts. sendable: those who can be mailed. examples: the newest of them."""

    matching: int
    sendable: int
    examples: list[Contact]


def search(workspace: Workspace, words: str = "") -> QuerySet[Segment]:
    return Segment.objects.of(workspace).filter(name__icontains=words)


def count(rules: Any, workspace: Workspace) -> Count:
    """Count who matches. Cost: up to a scan of the workspace's contacts.

    Raises: TakesTooLong: no answer within COUNT_SECONDS.
    """
    found = segments.matching(rules, workspace)
    with at_most(COUNT_SECONDS):
        matching = found.count()
        sendable = found.sendable().count() if matching else 0  # type: ignore[attr-defined]
        return Count(matching, sendable, list(found.order_by("-pk")[:EXAMPLES]))


def people(segment: Segment, *, cursor: str) -> Page[Contact]:
    """A page of who matches, newest first.

    Raises: TakesTooLong: no answer within COUNT_SECONDS.
    """
    with at_most(COUNT_SECONDS):
        return page_of(segments.matching(segment, segment.workspace), order="-id", cursor=cursor)


@contextmanager
def at_most(seconds: int, message: str = TOO_LONG) -> Iterator[None]:
    """Let no statement inside take longer; the limit ends with the block.

    Raises: TakesTooLong: with the message.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [seconds * 1000])
            yield
            cursor.execute("SET LOCAL statement_timeout TO DEFAULT")
    except OperationalError as error:
        if isinstance(error.__cause__, psycopg.errors.QueryCanceled):
            raise TakesTooLong(message) from None
        raise
