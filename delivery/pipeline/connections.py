"""Connections of this process, kept between batches: opening one costs what a hundred messages cost."""

import threading
import time
from collections import defaultdict

from delivery.models import SendingAccount
from delivery.transports import connect
from delivery.transports.base import Connection

IDLE_SECONDS = 60.0  # servers close idle connections after some minutes (RFC 5321 §4.5.3.2.7: five)
Key = tuple[int, str]  # the account and when it was changed: new settings mean new connections

_lock = threading.Lock()
_idle: dict[Key, list[tuple[float, Connection]]] = defaultdict(list)


def borrow(account: SendingAccount, *, fresh: bool = False) -> tuple[Connection, bool]:
    """A connection for one lane, and whether it was used before.

    Raises: CannotConnect: in the server's words.
    """
    with _lock:
        kept = [] if fresh else _idle[_key(account)]
        while kept:
            since, connection = kept.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return connection, True
            connection.close()
    return connect(account), False


def give_back(account: SendingAccount, connection: Connection) -> None:
    """Keep the connection for the next lane; those that nobody wanted for a while are closed, whose ever they are."""
    with _lock:
        if connection.usable:
            _idle[_key(account)].append((time.monotonic(), connection))
        old = _take_old(time.monotonic() - IDLE_SECONDS)
    for each in old:  # a farewell may take a moment
        each.close()


def _take_old(before: float) -> list[Connection]:
    old = []
    for key, kept in list(_idle.items()):
        old += [connection for since, connection in kept if since < before]
        kept[:] = [each for each in kept if each[0] >= before]
        if not kept:
            del _idle[key]
    return old


def close_all() -> None:
    with _lock:
        for kept in _idle.values():
            while kept:
                kept.pop()[1].close()
        _idle.clear()


def _key(account: SendingAccount) -> Key:
    return (account.pk, account.updated_at.isoformat())
