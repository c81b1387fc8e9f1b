"""The one place that puts work on the queues: after commit, and never a reason for a deed to fail.

The queue carries "work on X"; what X is stands in the database, and the clock asks again for what was lost.
"""

import logging
from functools import partial

import django_rq
import redis
from django.db import transaction

log = logging.getLogger(__name__)
JOB_TIMEOUT = 3600  # seconds; long jobs keep their own lease or progress and end far earlier


def enqueue(job: str, *, queue: str, job_id: str | None = None, **arguments: int | str) -> None:
    """Queue a job by its dotted name once the transaction commits; Redis being down is logged, not raised."""
    transaction.on_commit(partial(_enqueue, job, queue, job_id, arguments), robust=True)


def _enqueue(job: str, queue: str, job_id: str | None, arguments: dict[str, int | str]) -> None:
    try:
        django_rq.get_queue(queue).enqueue_call(job, kwargs=arguments, job_id=job_id, timeout=JOB_TIMEOUT)
    except redis.RedisError as error:
        log.warning("enqueue.failed job=%s arguments=%s error=%s", job, arguments, error)
