"""The state of the machinery, for admins and for Prometheus: queues, streams, workers, clock, servers, what is late.

Of the whole installation: it names no workspace's campaigns, addresses or accounts.
"""

import time
from dataclasses import dataclass, field, replace
from typing import Any

import django_rq
import redis
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from rq.registry import FailedJobRegistry

from accounts.queue import redis_client, signs_of_life
from delivery.feedback import drain, stream
from delivery.pipeline import signs

QUEUES = ("system", "send", "events", "bulk")
LATE_SECONDS = (
    60.0  # for which a mailing with batches due stands still, or a job waits that workers could take
)
# One row by the partial indexes of sending mailings and of ready and leased batches.
BATCHES = """
SELECT count(*) FILTER (WHERE b.state = 'ready' AND b.due_at <= now()),
       count(*) FILTER (WHERE b.state = 'ready' AND b.due_at > now()),
       count(*) FILTER (WHERE b.state = 'leased'),
       coalesce(extract(epoch FROM now() - min(greatest(b.due_at, m.due_at, m.created_at))
         FILTER (WHERE b.state = 'ready' AND b.due_at <= now() AND coalesce(m.due_at <= now(), true))), 0)::float8,
       coalesce(extract(epoch FROM now() - min(greatest(b.due_at, m.due_at, m.progress_at))
         FILTER (WHERE b.state = 'ready' AND b.due_at <= now() AND coalesce(m.due_at <= now(), true))), 0)::float8,
       count(*) FILTER (WHERE b.state = 'leased' AND b.leased_until < now())
  FROM delivery_batch b JOIN delivery_mailing m ON m.id = b.mailing_id AND m.state = 'sending'
 WHERE b.state <> 'done'
"""
# What came while Redis could not take it.
INCOMING = """
SELECT stream, count(*), greatest(extract(epoch FROM now() - min(at)), 0)::float8 FROM delivery_incoming GROUP BY 1
"""
DATABASE = "SELECT current_setting('server_version'), (SELECT count(*) FROM pg_stat_activity)"


@dataclass(frozen=True)
class Queue:
    """waiting: jobs. oldest_seconds: how long the first of them waits. failed: those kept for a week.

    workers: {host and process: seconds since last seen}.
    """

    name: str
    waiting: int = 0
    oldest_seconds: float = 0.0
    failed: int = 0
    workers: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Batches:
    """Of what is being sent. oldest_seconds: how long the oldest has been due; it may be one of many whose turn comes.

    still_seconds: how long a mailing with batches due has stood still.
    """

    due: int = 0
    later: int = 0
    leased: int = 0
    oldest_seconds: float = 0.0
    still_seconds: float = 0.0
    expired: int = 0


@dataclass(frozen=True)
class Stream:
    """What came back and is not applied yet. waiting: entries in Redis; None: it does not answer. in_table: beside them.

    oldest_seconds: how long the first of them waits.
    """

    name: str
    waiting: int | None = None
    in_table: int = 0
    oldest_seconds: float = 0.0

    @property
    def about(self) -> str:
        return STREAMS.get(self.name, self.name)


# {stream: what comes in it, for people}
STREAMS = {"hit": "Opens and clicks", "hook": "Webhooks of providers", "mail": "Bounces by mail"}


@dataclass(frozen=True)
class Health:
    """milliseconds: of one question; None where there was no answer. about: version and what it holds.

    warning: what should be set otherwise.
    """

    milliseconds: float | None
    about: str = ""
    warning: str = ""


@dataclass(frozen=True)
class Overview:
    queues: list[Queue]
    streams: list[Stream]
    clock_seconds: float | None
    batches: Batches
    database: Health
    redis: Health
    working: list[signs.Sign]
    alerts: list[str]


def overview() -> Overview:
    """Everything at once; a dozen short questions. Never fails: what does not answer is said so."""
    database, batches, incoming = _database()
    redis_health = _redis()
    queues = [_queue(name) for name in QUEUES] if redis_health.milliseconds is not None else []
    streams = [
        _stream(Stream(name, None, *incoming.get(name, ())), asks=redis_health.milliseconds is not None)
        for name in sorted(drain.readers)
    ]
    clocks = signs_of_life("clock")
    clock = min(clocks.values(), default=None)
    found = Overview(queues, streams, clock, batches, database, redis_health, signs.working(), [])
    found.alerts.extend(_alerts(found))
    return found


def _database() -> tuple[Health, Batches, dict[str, tuple[int, float]]]:
    """incoming: {stream: (rows, seconds of the oldest)}."""
    began = time.perf_counter()
    try:
        with connection.cursor() as cursor:
            cursor.execute(DATABASE)
            version, connections = cursor.fetchone()
            milliseconds = (time.perf_counter() - began) * 1000
            cursor.execute(BATCHES)
            batches = Batches(*cursor.fetchone())
            cursor.execute(INCOMING)
            incoming = {name: (count, seconds) for name, count, seconds in cursor.fetchall()}
    except (OperationalError, InterfaceError):
        return Health(None), Batches(), {}
    return Health(milliseconds, f"PostgreSQL {version}, {connections} connections"), batches, incoming


def _redis() -> Health:
    began = time.perf_counter()
    try:
        found = redis_client().info()
    except redis.RedisError:
        return Health(None)
    milliseconds = (time.perf_counter() - began) * 1000
    megabytes = found["used_memory"] / 2**20
    policy = found.get("maxmemory_policy", "noeviction")
    about = f"Redis {found['redis_version']}, {megabytes:.0f} MB, {found['connected_clients']} connections"
    keeps = policy == "noeviction" or not found.get("maxmemory")
    warning = "" if keeps else f"Redis may throw jobs away ({policy}): set maxmemory-policy to noeviction."
    return Health(milliseconds, about, warning)


def _queue(name: str) -> Queue:
    try:
        queue = django_rq.get_queue(name)
        failed = FailedJobRegistry(queue=queue).get_job_count(cleanup=False)
        return Queue(name, queue.count, _waits(queue), failed, signs_of_life(name))
    except redis.RedisError:
        return Queue(name)


def _stream(known: Stream, *, asks: bool) -> Stream:
    """What the table holds of it, and Redis, where that is asked."""
    if not asks:
        return known
    try:
        seconds = max(known.oldest_seconds, stream.oldest_seconds(known.name))
        return replace(known, waiting=stream.waiting(known.name), oldest_seconds=seconds)
    except redis.RedisError:
        return known


def _waits(queue: Any) -> float:
    """Seconds since the job whose turn is next was queued."""
    job = next((queue.fetch_job(job_id) for job_id in queue.get_job_ids(0, 1)), None)
    return max((timezone.now() - job.enqueued_at).total_seconds(), 0.0) if job and job.enqueued_at else 0.0


def _alerts(found: Overview) -> list[str]:
    alerts = []
    if found.database.milliseconds is None:
        alerts.append("PostgreSQL does not answer.")
    if found.redis.milliseconds is None:
        alerts.append("Redis does not answer: nothing is queued until it does; nothing is lost.")
        return alerts
    if found.redis.warning:
        alerts.append(found.redis.warning)
    if found.clock_seconds is None:
        alerts.append("No clock is running: nothing that got lost is picked up, nothing scheduled starts.")
    alerts += [
        f"No worker is running for the queue “{queue.name}”." for queue in found.queues if not queue.workers
    ]
    alerts += [
        f"A job has waited in the queue “{queue.name}” for {queue.oldest_seconds:,.0f} seconds: "
        "its workers are busy, or too few."
        for queue in found.queues
        if queue.workers and queue.oldest_seconds > LATE_SECONDS
    ]
    alerts += [
        f"{each.about} have not been applied for {each.oldest_seconds:,.0f} seconds: "
        "the workers of the queue “events” are busy, too few, or stuck."
        for each in found.streams
        if each.oldest_seconds > LATE_SECONDS
    ]
    late = found.batches.still_seconds
    if late > LATE_SECONDS:
        alerts.append(
            f"A campaign has stood still for {late:,.0f} seconds, although it is its turn: "
            "more sending workers would help."
        )
    if found.batches.expired:
        alerts.append(
            f"{found.batches.expired} leases ran out and were not taken back: is the clock at work?"
        )
    return alerts
