"""Dispatch: keep a small window of jobs queued for each mailing, so that all mailings take turns.

Each job is one turn, a slice of time, and queues its successor; the sweeper tops the window up when Redis lost jobs.
"""

import logging
import os
import uuid
from collections import Counter

import django_rq
import redis
from django.db import connection

from accounts.queue import enqueue, redis_client, workers_alive

QUEUE = "send"
JOB = "delivery.jobs.send_batch"
# Waiting for each worker; those at work queue their own successors. More would only make the others' wait longer.
JOBS_PER_WORKER = 1
log = logging.getLogger(__name__)

DUE = """
SELECT count(*) FROM (SELECT FROM delivery_batch batch
  JOIN delivery_mailing mailing ON mailing.id = batch.mailing_id AND coalesce(mailing.due_at <= now(), true)
 WHERE mailing_id = %s AND batch.state = 'ready' AND batch.due_at <= now() LIMIT %s) AS due
"""


def begin(mailing_id: int, *, is_urgent: bool = False) -> int:
    """Queue a new mailing's window. Returns how many.

    Whoever had no turn yet has its first one next: what is small is then through, however many big ones wait. Its
    other turns stand behind theirs. What somebody waits for (a test, a confirmation) is all in front.
    """
    if is_urgent:
        return top_up(mailing_id, at_front=True)
    queue_one(mailing_id, at_front=True)
    return 1 + top_up(mailing_id, queued=1)


def top_up(mailing_id: int, *, queued: int = 0, at_front: bool = False) -> int:
    """Queue jobs up to the window's size, no more than there are batches due. Returns how many."""
    window = JOBS_PER_WORKER * max(workers_alive(QUEUE), os.cpu_count() or 1)
    with connection.cursor() as cursor:
        cursor.execute(DUE, [mailing_id, window])
        wanted = cursor.fetchone()[0] - queued
    for _ in range(wanted):
        queue_one(mailing_id, at_front=at_front)
    return max(wanted, 0)


def queue_one(mailing_id: int, *, at_front: bool = False) -> None:
    job_id = f"send-{mailing_id}-{uuid.uuid4().hex}"
    enqueue(JOB, queue=QUEUE, job_id=job_id, at_front=at_front, mailing_id=mailing_id)


def queued_by_mailing() -> Counter[int]:
    """How many jobs wait in the queue for each mailing. Raises: redis.RedisError."""
    ids = redis_client().lrange(django_rq.get_queue(QUEUE).key, 0, -1)  # RQ's own client waits without end
    return Counter(int(job_id.split(b"-")[1]) for job_id in ids if job_id.startswith(b"send-"))


def queued_or_none() -> Counter[int] | None:
    """The same, or None while Redis is away (nothing can be queued then)."""
    try:
        return queued_by_mailing()
    except redis.RedisError as error:
        log.warning("dispatch.unreachable error=%s", error)
        return None
