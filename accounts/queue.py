"""The one place that puts work on the queues: after commit, and never a reason for a deed to fail.

The queue carries "work on X"; what X is stands in the database, and the clock asks again for what was lost.
"""

import logging
import time

import django_rq
import redis
from django.db import transaction

log = logging.getLogger(__name__)
JOB_TIMEOUT = 3600  # seconds; long jobs keep their own lease or progress and end far earlier
BEAT_SECONDS = 5
ALIVE_SECONDS = 20  # since the last beat


def enqueue(
    job: str, *, queue: str, job_id: str | None = None, at_front: bool = False, **arguments: int | str
) -> None:
    """Queue a job by its dotted name once the transaction commits; Redis being down is logged, not raised."""

    def put() -> None:
        try:
            django_rq.get_queue(queue).enqueue_call(
                job, kwargs=arguments, job_id=job_id, at_front=at_front, timeout=JOB_TIMEOUT
            )
        except redis.RedisError as error:
            log.warning("enqueue.failed job=%s arguments=%s error=%s", job, arguments, error)

    transaction.on_commit(put, robust=True)


def beat(role: str, name: str) -> None:
    """Say that a worker of a queue (or the clock) is alive. Raises: redis.RedisError."""
    key, now = f"volley:alive:{role}", time.time()
    pipeline = django_rq.get_connection("default").pipeline(transaction=False)
    pipeline.zadd(key, {name: now})
    pipeline.zremrangebyscore(key, 0, now - 10 * ALIVE_SECONDS)
    pipeline.execute()


def workers_alive(role: str) -> int:
    """How many of them have beaten lately; 0 while Redis is away."""
    try:
        return int(
            django_rq.get_connection("default").zcount(
                f"volley:alive:{role}", time.time() - ALIVE_SECONDS, "+inf"
            )
        )
    except redis.RedisError:
        return 0
