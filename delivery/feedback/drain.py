"""Workers empty the streams: read entries into facts, apply them in sets, and only then let the entries go."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import django_rq
import redis

from accounts.queue import enqueue
from delivery.feedback import stream
from delivery.feedback.apply import apply_fit
from delivery.feedback.facts import Fact
from delivery.feedback.stream import Entry
from delivery.models import Incoming

QUEUE: Final = "events"
JOB: Final = "delivery.jobs.drain"
AT_ONCE: Final = 250  # entries; one may be a call of megabytes with hundreds of facts
FACTS_AT_ONCE: Final = 2_000
ENTRIES_AT_ONCE: Final = 2_000  # that are held; most are of one fact, some of none
SECONDS: Final = 20.0  # of one job; what is left is for the next
PER_WORKER: Final = 5_000  # entries waiting, from which on another worker helps
MOST_WORKERS: Final = 8
Reader = Callable[[Sequence[Entry]], list[list[Fact]]]
# {stream: what reads its entries into the facts of each}; a reader never raises for what an entry holds.
readers: dict[str, Reader] = {}
log = logging.getLogger(__name__)


def drain(name: str) -> int:
    """Work until the stream is empty, or for a while. Returns: facts applied. Safe to run twice at once."""
    until, count = time.monotonic() + SECONDS, 0
    stream.refill(name)
    while time.monotonic() < until:
        entries, facts = _take(name)
        if not entries:
            break
        for start in range(0, len(facts), FACTS_AT_ONCE):
            apply_fit(facts[start : start + FACTS_AT_ONCE])
        stream.done(name, entries)
        count += len(facts)
    return count


def _take(name: str) -> tuple[list[Entry], list[Fact]]:
    """Enough entries for a good set of facts, or all there are; without what stood in them."""
    held, facts = dict[bytes | int, Entry](), list[Fact]()
    while len(facts) < FACTS_AT_ONCE and len(held) < ENTRIES_AT_ONCE:
        taken = [entry for entry in stream.take(name, AT_ONCE) if entry.id not in held]
        if not taken:
            break
        facts += [fact for each in readers[name](taken) for fact in each]
        held |= {entry.id: entry._replace(data=b"") for entry in taken}
    return list(held.values()), facts


def ask_workers() -> None:
    """Queue work where something waits; for the clock. Redis being away, what waits is in the table."""
    if not readers:
        return
    try:
        if django_rq.get_queue(QUEUE).count:
            return
        for name in readers:
            waiting = stream.waiting(name)
            if waiting or Incoming.objects.filter(stream=name).exists():
                for _ in range(min(1 + waiting // PER_WORKER, MOST_WORKERS)):
                    enqueue(JOB, queue=QUEUE, name=name)
    except redis.RedisError as error:
        log.warning("stream.unreachable error=%s", error)
