"""A mail server for return paths alone: takes what is addressed to a recipient of ours, and puts it into the stream.

Meant to stand behind the mail server that is the domain's MX; off unless BOUNCE_PORT is set. Whoever greets with LHLO
speaks LMTP (RFC 2033), all others SMTP.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax
from django.db import DatabaseError, connection
from django.utils import timezone

from delivery.bounces import addresses
from delivery.bounces.returned import Came
from delivery.bounces.take import STREAM, packed
from delivery.feedback import stream

SIZE_LIMIT: Final = 50 * 2**20  # bytes of a message; a bounce may return all of a big one
KEPT: Final = 256_000  # bytes of it: what it says stands at its beginning
log = logging.getLogger(__name__)


class _Smtp(SMTP):
    line_length_limit = 2**20  # what is returned may hold longer lines than RFC 5322 allows
    most_recipients = 50

    @syntax("LHLO hostname")
    async def smtp_LHLO(self, arg: str) -> None:  # noqa: N802
        self.most_recipients = 1  # LMTP answers a message once for each, which is once then
        await self.smtp_EHLO(arg)


class Endpoint:
    """aiosmtpd's handler."""

    async def handle_RCPT(  # noqa: N802
        self, server: _Smtp, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if addresses.read(address) is None:
            return "550 5.1.1 No such address here"
        if len(envelope.rcpt_tos) >= server.most_recipients:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        source = content if isinstance(content, bytes) else str(content or "").encode()
        sender = (
            b"Return-Path: <" + (envelope.mail_from or "").strip("<>").encode("utf-8", "replace") + b">\r\n"
        )  # RFC 5321 §4.4
        came = Came(sender + source[:KEPT], None, timezone.now(), tuple(envelope.rcpt_tos))
        try:
            await asyncio.to_thread(_put, packed(came))
        except DatabaseError as error:
            log.warning("bounce.not_stored error=%s", error)
            return "451 4.3.0 It could not be stored; come again"
        return "250 2.0.0 Stored"


def _put(entry: bytes) -> None:
    """Answered with 250 only once it is stored."""
    try:
        stream.put(STREAM, entry)
    finally:
        connection.close()  # the thread's own, where the table had to take it


async def serve(
    *, host: str, port: int, stop: asyncio.Event, started: Callable[[], None] = lambda: None
) -> None:
    """Take messages until asked to stop. Raises: OSError: the port is taken."""
    loop, endpoint = asyncio.get_running_loop(), Endpoint()

    def session() -> SMTP:
        return _Smtp(
            endpoint, hostname="volley.local", enable_SMTPUTF8=True, data_size_limit=SIZE_LIMIT, loop=loop
        )

    server = await loop.create_server(session, host, port)
    started()
    with contextlib.closing(server):
        await stop.wait()
