"""Works through slices on several database connections at once, so that more than one processor merges."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Lock
from typing import Final

from django.db import connection

from contacts import yielding
from contacts.importing.signs import in_one_go, stay

LANES: Final = 2  # connections of one import; more would keep others from theirs
FEW: Final = 4  # slices that are not worth a second connection


def each(numbers: Collection[int], step: Callable[[int], None]) -> None:
    """Do the step for each slice, each in a transaction of its own.

    No person is in two slices, so that they never wait for each other's people. The first that fails ends all of them.
    """
    waiting = _Waiting(numbers)
    if len(numbers) <= FEW or connection.in_atomic_block:
        return _work(waiting, step)
    with ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(_in_a_lane, waiting, step) for _ in range(LANES)]
        try:
            for lane in lanes:
                lane.result()
        finally:
            waiting.end()
    return None


class _Waiting:
    """Numbers that several threads take from; none is left once one of them has failed."""

    def __init__(self, numbers: Collection[int]) -> None:
        self._numbers: Iterator[int] = iter(numbers)
        self._lock = Lock()

    def take(self) -> int | None:
        with self._lock:
            return next(self._numbers, None)

    def end(self) -> None:
        with self._lock:
            self._numbers = iter(())


def _work(waiting: _Waiting, step: Callable[[int], None]) -> None:
    shift = yielding.Shift()
    try:
        while (number := waiting.take()) is not None:
            stay()
            in_one_go(partial(step, number))
            shift.rest()
    except BaseException:
        waiting.end()
        raise


def _in_a_lane(waiting: _Waiting, step: Callable[[int], None]) -> None:
    try:
        _work(waiting, step)
    finally:
        connection.close()  # this thread's own
