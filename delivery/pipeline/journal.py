"""The journal of a batch: every acceptance is noted in Redis at once, and settled in the ledger a moment later.

After a crash the next holder of the batch settles what the journal says before it sends, so that only the
message on the wire can go out twice. It is a narrowing of doubt, not the truth: without Redis the batch
goes on, and what a crash could repeat is then what was not settled yet, a quarter of a second.
"""

import logging
import time
from typing import Any
from uuid import UUID

import redis

from accounts.queue import redis_client

KEEP_SECONDS = 7 * 86400
RETRY_SECONDS = 1.0  # after Redis was away
log = logging.getLogger(__name__)


def _key(batch_key: UUID) -> str:
    return f"volley:journal:{batch_key}"


def _rpush(batch_key: UUID) -> bytes:
    """The command's beginning by hand: the client's own packing takes longer than the write."""
    key = _key(batch_key).encode()
    return b"*3\r\n$5\r\nRPUSH\r\n$%d\r\n%b\r\n" % (len(key), key)


class Journal:
    """One lane's pen: a connection of its own that never waits for an answer (CLIENT REPLY OFF)."""

    def __init__(self) -> None:
        self._beginnings: dict[UUID, bytes] = {}  # of the command, for each batch
        self._connection: Any = None  # redis.Connection; its methods carry no types
        self._not_before = 0.0

    def note(self, batch_key: UUID, number: int, provider_id: str = "") -> None:
        """Write that a recipient's message was accepted; one write to a socket, some 10 µs."""
        if self._connection is None and time.monotonic() < self._not_before:
            return
        entry = f"{number} {provider_id}".encode() if provider_id else b"%d" % number
        try:
            connection = self._connection or self._connect()
            beginning = self._beginnings.get(batch_key)
            octets = b"%b$%d\r\n%b\r\n" % (beginning or _rpush(batch_key), len(entry), entry)
            connection.send_packed_command([octets], check_health=False)
            if beginning is None:
                connection.send_command("EXPIRE", _key(batch_key), KEEP_SECONDS, check_health=False)
                self._beginnings[batch_key] = _rpush(batch_key)
        except (redis.RedisError, OSError) as error:
            log.warning("journal.unreachable batch=%s error=%s", batch_key, error)
            self.close()
            self._not_before = time.monotonic() + RETRY_SECONDS

    def _connect(self) -> Any:
        pool = (
            redis_client().connection_pool
        )  # one of its kind, yet not of it: the answers would never be read
        connection: Any = pool.connection_class(**pool.connection_kwargs | {"socket_timeout": None})
        connection.connect()
        connection.send_command("CLIENT", "REPLY", "OFF", check_health=False)
        self._connection = connection
        return connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.disconnect()
            self._connection = None


def read(batch_key: UUID) -> dict[int, str]:
    """What earlier holders of the batch noted: {number: the ESP's id or ""}."""
    try:
        entries = redis_client().lrange(_key(batch_key), 0, -1)
    except redis.RedisError as error:
        log.warning("journal.unreachable batch=%s error=%s", batch_key, error)
        return {}
    noted = {}
    for entry in entries:
        number, _, provider_id = entry.decode().partition(" ")
        noted[int(number)] = provider_id
    return noted


def forget(batch_key: UUID) -> None:
    """Drop the journal of a finished batch."""
    try:
        redis_client().delete(_key(batch_key))
    except redis.RedisError as error:
        log.warning("journal.unreachable batch=%s error=%s", batch_key, error)
