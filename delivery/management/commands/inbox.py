"""`manage.py inbox`: the local SMTP inbox until it is told to stop; switched off, it only waits for that."""

import asyncio
import logging
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from delivery.inbox import serve


class Command(BaseCommand):
    help = "Take mail on INBOX_PORT and keep it to be read at /inbox/."

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("mail.log").setLevel(logging.WARNING)
        try:
            asyncio.run(_run())
        except OSError as error:
            raise CommandError(
                f"Port {settings.INBOX_PORT} cannot be used ({error}). Set INBOX_PORT to a free one."
            ) from error


async def _run() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    if settings.INBOX:
        await serve(host=settings.INBOX_HOST, port=settings.INBOX_PORT, stop=stop)
    else:  # the process manager stops everything when one process ends
        await stop.wait()
