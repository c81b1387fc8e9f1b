"""Deeds done at the same instant, each on a database connection of its own, as by two people or two workers."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection

STEP = 0.0015  # seconds; each round begins one deed a little later, so that they meet at different points
ROUNDS = 40  # each of twenty such beginnings twice


class AtOnce:
    """Two threads that wait for each other before each round; `close()` ends them and their connections."""

    def __init__(self) -> None:
        self._threads = [ThreadPoolExecutor(1) for _ in range(2)]
        self._gate = threading.Barrier(2)
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
        self._gate.wait(10)
        time.sleep(wait)
        return deed()

    def close(self) -> None:
        for thread in self._threads:
            thread.submit(lambda: connection.close()).result()  # that thread's own
            thread.shutdown()
