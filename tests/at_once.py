"""Deeds done at the same time, each with a database connection of its own, as by two people or two workers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.db import connection, connections

STEP = 0.0015  # seconds; each round begins one deed a little later, so that they meet at different points
ROUNDS = 40  # each of twenty such beginnings twice
WAIT_SECONDS = 60  # for what comes at once, on a machine that has much else to do
IS_WAITED_FOR = "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"


def beside(deed: Callable[..., Any], *args: Any) -> Future[Any]:
    """Begin a deed in a thread of its own, whose database connections are closed at its end, whatever that is.

    Returns: `.result(seconds)` waits for what the deed returns; it raises what the deed raised.
    """
    thread = ThreadPoolExecutor(1)
    outcome = thread.submit(_apart, deed, *args)
    thread.shutdown(wait=False)
    return outcome


def _apart(deed: Callable[..., Any], *args: Any) -> Any:
    try:
        return deed(*args)
    finally:
        connections.close_all()  # this thread's own


def until(is_so: Callable[[], Any], *, seconds: float = WAIT_SECONDS) -> Any:
    """Ask again and again until it is so, and give what was said. Raises: AssertionError: it is not in time."""
    deadline = time.monotonic() + seconds
    while not (said := is_so()):
        assert time.monotonic() < deadline, f"not so within {seconds} s: {said}"
        time.sleep(0.02)
    return said


def until_waited_for() -> None:
    """Come back when another connection waits for what this one's transaction holds.

    If this one then waits for the other too, PostgreSQL ends the other: it looks for that sooner.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL deadlock_timeout = '1min'")
        until(lambda: cursor.execute(IS_WAITED_FOR).fetchone()[0])


class AtOnce:
    """Two threads that wait for each other before each round; `close()` ends them and their connections."""

    def __init__(self) -> None:
        self._threads = [ThreadPoolExecutor(1) for _ in range(2)]
        self._gate = threading.Barrier(2, timeout=WAIT_SECONDS)
        self._round = 0

    def __call__(self, *deeds: Callable[[], Any]) -> list[Any]:
        """Do both. Returns what each gave back, or the exception that it ended with."""
        later = STEP * (self._round // 2 % 10)
        waits = (later, 0.0) if self._round % 2 else (0.0, later)
        self._round += 1
        doing = zip(self._threads, deeds, waits, strict=True)
        done = [thread.submit(self._do, deed, wait) for thread, deed, wait in doing]
        return [each.exception() or each.result() for each in done]

    def _do(self, deed: Callable[[], Any], wait: float) -> Any:
        self._gate.wait()
        time.sleep(wait)
        return deed()

    def close(self) -> None:
        for thread in self._threads:
            thread.submit(connections.close_all).result()  # that thread's own
            thread.shutdown()
