"""Messages a second of a mailing, for the monitor: counters in Redis that may be lost without harm."""

import time

import redis

from accounts.queue import redis_client

WINDOW = 10  # seconds over which the rate is averaged


def _key(mailing_id: int, second: int) -> str:
    return f"volley:rate:{mailing_id}:{second}"


def record(mailing_id: int, count: int) -> None:
    try:
        pipeline = redis_client().pipeline(transaction=False)
        key = _key(mailing_id, int(time.time()))
        pipeline.incrby(key, count)
        pipeline.expire(key, WINDOW * 3)
        pipeline.execute()
    except redis.RedisError:
        return  # the monitor shows no rate meanwhile


def per_second(mailing_id: int) -> float:
    """The average over the last WINDOW seconds, the running one left out; 0.0 without Redis."""
    now = int(time.time())
    try:
        keys = [_key(mailing_id, now - age) for age in range(1, WINDOW + 1)]
        counts = [int(count or 0) for count in redis_client().mget(keys)]
    except redis.RedisError:
        return 0.0
    while counts and counts[-1] == 0:  # it has not run that long
        counts.pop()
    return sum(counts) / len(counts) if counts else 0.0
