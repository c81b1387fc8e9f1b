"""The local inbox: an SMTP server that keeps what it gets, for a first run. `manage.py inbox` runs it.

A message is acknowledged once it is stored; those that arrive during an INSERT share the next one.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.db import DatabaseError, connection, transaction

from delivery import letter
from delivery.models import InboxMessage
from delivery.words import storable

SIZE_LIMIT = 30 * 2**20  # bytes of a message
KEPT = 20_000  # messages; older ones are thrown away
PRUNE_EVERY = 500  # stored messages
log = logging.getLogger(__name__)
Group = list[tuple[list[InboxMessage], "asyncio.Future[None]"]]

PRUNE = """
DELETE FROM delivery_inboxmessage
 WHERE id <= (SELECT id FROM delivery_inboxmessage ORDER BY id DESC OFFSET %s LIMIT 1)
"""


class Inbox:
    """aiosmtpd's handler. One thread writes, so that the event loop goes on listening."""

    def __init__(self) -> None:
        self._group: Group = []
        self._writer = ThreadPoolExecutor(1, "inbox-writer")
        self._writing: asyncio.Task[None] | None = None
        self._since_pruned = 0

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, name: str, offers: list[str]
    ) -> list[str]:
        session.host_name = name
        return [offers[0], "250-PIPELINING", *offers[1:]]  # the server reads line by line (RFC 2920 §3.2)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        stored = asyncio.get_running_loop().create_future()
        self._group.append((messages(envelope), stored))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_groups())
        try:
            await stored
        except DatabaseError as error:
            return f"451 4.3.0 The message could not be stored: {str(error).splitlines()[0]}"
        return "250 2.0.0 Stored"

    async def _write_groups(self) -> None:
        while self._group:
            group, self._group = self._group, []
            await self._write(group)

    async def _write(self, group: Group) -> None:
        rows = [row for rows, _ in group for row in rows]
        error: Exception | None = None
        try:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._store, rows)
        except DatabaseError as failure:
            log.warning("inbox.not_stored messages=%d error=%s", len(rows), failure)
            error = failure
        for _, stored in group:
            if not stored.done():  # done: the client went away meanwhile
                stored.set_exception(error) if error else stored.set_result(None)

    def _store(self, rows: list[InboxMessage]) -> None:
        try:
            with transaction.atomic():
                InboxMessage.objects.bulk_create(rows)
            self._prune(len(rows))
        except DatabaseError:
            connection.close()  # the next group connects afresh
            raise

    def _prune(self, count: int) -> None:
        self._since_pruned += count
        if self._since_pruned >= PRUNE_EVERY:
            self._since_pruned = 0
            with connection.cursor() as cursor:
                cursor.execute(PRUNE, [KEPT])

    async def close(self) -> None:
        """Finish what is being stored."""
        if self._writing:
            await self._writing
        await asyncio.get_running_loop().run_in_executor(self._writer, _close_connection)
        self._writer.shutdown()


def _close_connection() -> None:
    connection.close()  # the calling thread's own


def messages(envelope: Envelope) -> list[InboxMessage]:
    """One row for each recipient, as each would find it in their own inbox."""
    source = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content or "").encode()
    common: dict[str, Any] = {
        "envelope_from": storable(envelope.mail_from or "", 320),
        "header_from": storable(letter.header(source, "From"), 1000),
        "subject": storable(letter.header(source, "Subject"), 1000),
        "source": source,
    }
    return [InboxMessage(envelope_to=storable(to, 320), **common) for to in envelope.rcpt_tos]


async def serve(
    *, host: str, port: int, stop: asyncio.Event, started: Callable[[], None] = lambda: None
) -> None:
    """Take messages until asked to stop, then finish those at hand.

    Raises: OSError: the port is taken.
    """
    loop, inbox = asyncio.get_running_loop(), Inbox()

    def session() -> SMTP:
        return SMTP(
            inbox, hostname="volley.local", enable_SMTPUTF8=True, data_size_limit=SIZE_LIMIT, loop=loop
        )

    server = await loop.create_server(session, host, port)
    started()
    try:
        await stop.wait()
    finally:
        server.close()
        await inbox.close()
