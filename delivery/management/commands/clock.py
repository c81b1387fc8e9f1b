"""`manage.py clock`: every two seconds the sweeper and what others hung on the tick.

Any number may run: one at a time holds a PostgreSQL advisory lock and works, the others wait their turn.
"""

import logging
import signal
import threading
from collections.abc import Callable
from typing import Any

import redis
from django.core.management.base import BaseCommand
from django.db import OperationalError, connection

from accounts.queue import beat, process_name
from delivery import registry
from delivery.origin import hold_copy
from delivery.pipeline import journal
from delivery.pipeline.sweep import sweep

TICK_SECONDS = 2.0
LOCK = 0x766F6C6C  # an arbitrary number that only the clock locks
log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Refill the queues, take back lost work, start what is due."

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.wait(TICK_SECONDS):
            _guarded(journal.hand_over)  # of this host, whoever holds the lock
            try:
                tick()
            except OperationalError as error:  # PostgreSQL is away; the lock went with the connection
                log.warning("clock.no_database error=%s", error)
                connection.close()


def tick() -> None:
    """One turn, unless another clock is at work right now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        if not cursor.fetchone()[0]:
            return
    try:
        for work in (_beat, hold_copy, sweep, *registry.on_tick):
            _guarded(work)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _guarded(work: Callable[[], object]) -> None:
    """One part's failure must not stop the others; the next tick tries again."""
    try:
        work()
    except OperationalError:
        raise
    except Exception:
        log.exception("clock.failed part=%s", getattr(work, "__qualname__", work))


def _beat() -> None:
    try:
        beat("clock", process_name())
    except redis.RedisError as error:
        log.warning("clock.no_redis error=%s", error)
