"""Signs of work: what each sending worker and its lanes do right now, for the monitor; lost without harm."""

import json
import logging
import time
from collections.abc import Sequence
from typing import NamedTuple

import redis

from accounts.queue import redis_client

KEY = "volley:working"
EVERY_SECONDS = 1.0
STALE_SECONDS = 10.0  # a sign that old is of a worker that is gone, or idle
log = logging.getLogger(__name__)


class LaneSign(NamedTuple):
    """doing: in words. The counts are of this slice."""

    doing: str
    accepted: int
    deferred: int
    rejected: int


class Sign(NamedTuple):
    """worker: host:pid. batch_id: the latest. seconds: since its slice began."""

    worker: str
    mailing_id: int
    batch_id: int
    seconds: float
    lanes: list[LaneSign]


def show(worker: str, mailing_id: int, batch_id: int, began: float, lanes: Sequence[LaneSign]) -> None:
    """Say what is done; began: on the monotonic clock."""
    sign = {
        "at": time.time(),
        "mailing": mailing_id,
        "batch": batch_id,
        "seconds": round(time.monotonic() - began, 1),
        "lanes": lanes,
    }
    try:
        redis_client().hset(KEY, worker, json.dumps(sign))
    except redis.RedisError as error:
        log.warning("sign.failed worker=%s error=%s", worker, error)


def done(worker: str) -> None:
    try:
        redis_client().hdel(KEY, worker)
    except redis.RedisError as error:
        log.warning("sign.failed worker=%s error=%s", worker, error)


def working() -> list[Sign]:
    """The workers that showed a sign lately, by name; none while Redis is away."""
    try:
        found = redis_client().hgetall(KEY)
    except redis.RedisError:
        return []
    signs, now = [], time.time()
    for worker, text in sorted(found.items()):
        sign = json.loads(text)
        if now - sign["at"] <= STALE_SECONDS:
            lanes = [LaneSign(*lane) for lane in sign["lanes"]]
            signs.append(Sign(worker.decode(), sign["mailing"], sign["batch"], sign["seconds"], lanes))
        elif now - sign["at"] > 60 * STALE_SECONDS:
            done(worker.decode())
    return signs
