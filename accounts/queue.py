"""The one place that puts work on the queues: after commit, and never a reason for a deed to fail.

The queue carries "work on X"; what X is stands in the database, and the clock asks again for what was lost.
"""

import logging
import os
import signal
import socket
import threading
import time
from functools import cache
from typing import Any

import django_rq
import redis
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.retry import Retry

leaving = threading.Event()  # this worker was told to stop: long jobs end where they can go on later
log = logging.getLogger(__name__)
JOB_TIMEOUT = 3600  # seconds; long jobs keep their own lease or progress and end far earlier
FAILED_KEPT = 7 * 86400  # seconds; RQ keeps failed jobs for a year, which fills Redis
REDIS_SECONDS = 1.0  # for an answer; several are asked between two renewals of a lease
BEAT_SECONDS = 5
ALIVE_SECONDS = 20  # since the last beat


@cache
def redis_client() -> Any:
    """This process's client for what is no queue: counters, pace, signs of life. Raises redis.RedisError in use.

    One pool for all threads; an answer that does not come within seconds is an error, not a hang. Asked once more, since
    a kept connection may be one that Redis has ended; redis-py by itself would ask again for five seconds.
    """
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 1),
    )


def enqueue(
    job: str,
    *,
    queue: str,
    job_id: str | None = None,
    at_front: bool = False,
    timeout: int = JOB_TIMEOUT,
    **arguments: int | str,
) -> None:
    """Queue a job by its dotted name once the transaction commits; Redis being down is logged, not raised.

    timeout: seconds until RQ ends it with a JobTimeoutException.
    """

    def put() -> None:
        try:
            django_rq.get_queue(queue, connection=redis_client()).enqueue_call(
                job,
                kwargs=arguments,
                job_id=job_id,
                at_front=at_front,
                timeout=timeout,
                failure_ttl=FAILED_KEPT,
            )
        except redis.RedisError as error:
            log.warning("enqueue.failed job=%s arguments=%s error=%s", job, arguments, error)

    transaction.on_commit(put, robust=True)


def comes_on() -> None:
    """Let the job that this process is at have JOB_TIMEOUT from now on. Without effect outside of a job.

    RQ's limit is this process's alarm (rq.timeouts); one is pending while a job has a limit.
    """
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        signal.alarm(JOB_TIMEOUT)


def process_name() -> str:
    """host:pid, as this process is seen alive and named in logs; asked anew, since a pool's workers are forks."""
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(role: str, name: str) -> None:
    """Say that a worker of a queue (or the clock) is alive. Raises: redis.RedisError."""
    key, now = f"volley:alive:{role}", time.time()
    pipeline = redis_client().pipeline(transaction=False)
    pipeline.zadd(key, {name: now})
    pipeline.zremrangebyscore(key, 0, now - 10 * ALIVE_SECONDS)
    pipeline.execute()


def signs_of_life(role: str) -> dict[str, float]:
    """{name: seconds since its last beat} of those that have beaten lately; none while Redis is away."""
    now = time.time()
    try:
        found = redis_client().zrangebyscore(
            f"volley:alive:{role}", now - ALIVE_SECONDS, "+inf", withscores=True
        )
    except redis.RedisError:
        return {}
    return {name.decode(): max(now - at, 0.0) for name, at in found}


def workers_alive(role: str) -> int:
    """How many of them have beaten lately; 0 while Redis is away."""
    return len(signs_of_life(role))
