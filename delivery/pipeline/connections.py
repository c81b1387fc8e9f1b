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
    if not connection.usable:
        return
    with _lock:
        _idle[_key(account)].append((time.monotonic(), connection))


def close_all() -> None:
    with _lock:
        for kept in _idle.values():
            while kept:
                kept.pop()[1].close()
        _idle.clear()


def _key(account: SendingAccount) -> Key:
    return (account.pk, account.updated_at.isoformat())
