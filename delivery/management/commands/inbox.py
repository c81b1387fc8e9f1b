"""`manage.py inbox`: the servers that take mail until it is told to stop: the local inbox, and the one for bounces.

Both switched off, it only waits for that.
"""

import asyncio
import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from delivery import inbox
from delivery.bounces import endpoint


class Command(BaseCommand):
    help = "Take mail on INBOX_PORT, to be read at /inbox/, and bounces on BOUNCE_PORT."

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        try:
            asyncio.run(_run())
        except* OSError as errors:
            error = errors.exceptions[0]
            raise CommandError(
                f"A port cannot be used ({error}). Set INBOX_PORT, or BOUNCE_PORT, to a free one."
            ) from error


async def _run() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with asyncio.TaskGroup() as servers:
        if settings.INBOX:
            servers.create_task(inbox.serve(host=settings.INBOX_HOST, port=settings.INBOX_PORT, stop=stop))
        if settings.BOUNCE_PORT:
            servers.create_task(
                endpoint.serve(host=settings.BOUNCE_HOST, port=settings.BOUNCE_PORT, stop=stop)
            )
        await stop.wait()  # with neither, too: the process manager stops everything when one process ends
