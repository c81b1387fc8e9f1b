"""The way in: a request puts what came and answers at once; workers take it in sets.

A stream in Redis, or a table where Redis is away. An entry is gone only when what it says is committed; one that a
worker held when it died is taken by another after a while, and applied once all the same.
"""

import logging
import time
from collections.abc import Sequence
from typing import Final, NamedTuple

import redis
from django.db import transaction

from accounts.queue import process_name, redis_client
from delivery.models import Incoming

GROUP: Final = "workers"
ABANDONED_MS: Final = 30_000  # held so long without an end: by a worker that is gone
log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """id: of Redis, or of the table's row."""

    id: bytes | int
    data: bytes


def put(stream: str, *entries: bytes) -> None:
    """Keep what came, before it is answered.

    Raises: django.db.DatabaseError: neither Redis nor the database took it; whoever sent it has to come again.
    """
    try:
        if len(entries) == 1:
            redis_client().xadd(_key(stream), {b"d": entries[0]})
            return
        pipeline = redis_client().pipeline(transaction=False)
        for data in entries:
            pipeline.xadd(_key(stream), {b"d": data})
        pipeline.execute()
    except redis.RedisError as error:
        log.warning("stream.unreachable stream=%s error=%s", stream, error)
        Incoming.objects.bulk_create(Incoming(stream=stream, data=data) for data in entries)


def take(stream: str, count: int) -> list[Entry]:
    """Entries that nobody works on, the oldest first; those of dead workers before them. Raises: redis.RedisError."""
    client, me = redis_client(), process_name()
    try:
        _, abandoned, *_ = client.xautoclaim(_key(stream), GROUP, me, ABANDONED_MS, count=count)
        found = (
            [(stream, abandoned)]
            if abandoned
            else client.xreadgroup(GROUP, me, {_key(stream): ">"}, count=count)
        )
    except redis.ResponseError as error:
        if "NOGROUP" not in str(error):
            raise
        _make_group(stream)
        return take(stream, count)
    return [Entry(id_, fields[b"d"]) for _, entries in found for id_, fields in entries if fields]


def done(stream: str, entries: Sequence[Entry]) -> None:
    """What they say is committed."""
    ids = [entry.id for entry in entries]
    pipeline = redis_client().pipeline(transaction=True)
    pipeline.xack(_key(stream), GROUP, *ids)
    pipeline.xdel(_key(stream), *ids)
    pipeline.execute()


def waiting(stream: str) -> int:
    """Entries in Redis that are not done. Raises: redis.RedisError."""
    return int(redis_client().xlen(_key(stream)))


def oldest_seconds(stream: str) -> float:
    """How long the first of them waits; its id begins with when it came. Raises: redis.RedisError."""
    first = redis_client().xrange(_key(stream), count=1)
    return max(time.time() - int(first[0][0].partition(b"-")[0]) / 1000, 0.0) if first else 0.0


@transaction.atomic
def refill(stream: str, count: int = 5_000) -> int:
    """Put back into Redis what waits in the table. Raises: redis.RedisError: it is away still, and the rows stay."""
    rows = list(
        Incoming.objects.filter(stream=stream).order_by("pk").select_for_update(skip_locked=True)[:count]
    )
    if rows:
        pipeline = redis_client().pipeline(transaction=False)
        for row in rows:
            pipeline.xadd(_key(stream), {b"d": bytes(row.data)})
        pipeline.execute()
        Incoming.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)


def _key(stream: str) -> str:
    return f"volley:in:{stream}"


def _make_group(stream: str) -> None:
    try:
        redis_client().xgroup_create(_key(stream), GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
