"""The circuit breaker for what comes back: a mailing that goes wrong pauses itself before it harms all that follow.

The one for refusals at the hand-over stands in the pipeline, which sees them first; this one is asked by the clock.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from delivery.mailings import pause_if_sending
from delivery.models import Mailing, MailingState
from delivery.pipeline.settle import BREAKER_FROM

WATCH_SECONDS: Final = 5
WINDOW: Final = timedelta(minutes=5)
COMPLAINTS_LEAST: Final = 2  # people; one alone may have mistaken the button
BLOCKS_LEAST: Final = 20  # of one receiving domain; fewer say little
BLOCKS_SECONDS: Final = 30  # between two looks at the domains, which read the whole ledger

# What came back of the messages sent since a moment; by event_mailing_idx and the ledger's key: those rows alone.
CAME_BACK: Final = """
SELECT count(DISTINCT e.number) FILTER (WHERE e.kind = 'bounced'),
       count(DISTINCT e.number) FILTER (WHERE e.kind = 'complained'),
       count(DISTINCT e.number) FILTER (WHERE e.kind = 'blocked')
  FROM delivery_event e JOIN delivery_delivery d ON d.mailing_id = e.mailing_id AND d.number = e.number
 WHERE e.mailing_id = %(mailing)s AND e.kind IN ('bounced', 'complained', 'blocked') AND e.undone_at IS NULL
   AND (%(since)s::timestamptz IS NULL OR d.settled_at >= %(since)s)
"""
# Cost: a pass over the mailing's ledger, about half a second a million.
BLOCKED_BY: Final = """
WITH refused AS (
  SELECT lower(split_part(d.email, '@', 2)) AS domain, count(DISTINCT d.number) AS count, max(e.said) AS said
    FROM delivery_event e JOIN delivery_delivery d ON d.mailing_id = e.mailing_id AND d.number = e.number
   WHERE e.mailing_id = %(mailing)s AND e.kind = 'blocked' AND e.undone_at IS NULL
     AND (%(since)s::timestamptz IS NULL OR d.settled_at >= %(since)s)
   GROUP BY 1 HAVING count(DISTINCT d.number) >= %(least)s)
SELECT r.domain, r.count, r.said, count(*) FROM refused r
  JOIN delivery_delivery d ON lower(split_part(d.email, '@', 2)) = r.domain
 WHERE d.mailing_id = %(mailing)s AND d.state IN ('accepted', 'rejected')
   AND (%(since)s::timestamptz IS NULL OR d.settled_at >= %(since)s)
 GROUP BY 1, 2, 3 ORDER BY r.count DESC
"""
GO_ON: Final = "Resume it to go on anyway; it counts from there."


@dataclass(frozen=True)
class Base:
    """From where it is counted. at: None: from the first message on."""

    at: datetime | None
    done: int
    unsubscribed: int
    words: str


def watch() -> None:
    """Pause what goes wrong; for the clock. Cost: a look at the bad events of each mailing in the air."""
    if not cache.add("breaker:watched", 1, WATCH_SECONDS):
        return
    rows = Mailing.objects.filter(state=MailingState.SENDING, is_test=False).select_related("workspace")
    for mailing in rows.defer("content"):
        check(mailing)


def check(mailing: Mailing) -> str:
    """Pause the mailing where it has to be. Returns: why, in words, or ""."""
    why = next(_whys(mailing), "")
    if why:
        pause_if_sending(mailing.pk, f"{why} {GO_ON}")
    elif mailing.window_at is None or mailing.window_at < timezone.now() - WINDOW:
        Mailing.objects.filter(pk=mailing.pk).update(
            window_at=timezone.now(),
            window_done=_done(mailing),
            window_unsubscribed=mailing.unsubscribed_count,
        )
    return why


def _whys(mailing: Mailing) -> Iterator[str]:
    words = "messages since it last went on" if mailing.breaker_at else "messages sent so far"
    whole = Base(mailing.breaker_at, mailing.breaker_done, mailing.breaker_unsubscribed, words)
    yield from _at_fault(mailing, whole)
    if mailing.window_at:
        lately = Base(
            mailing.window_at,
            mailing.window_done,
            mailing.window_unsubscribed,
            "messages of the last minutes",
        )
        yield from _at_fault(mailing, lately)


def _at_fault(mailing: Mailing, base: Base) -> Iterator[str]:
    done = _done(mailing) - base.done
    if done < BREAKER_FROM:
        return
    limits = mailing.workspace
    bounced, complained, blocked = _row(CAME_BACK, mailing, base)
    if _is_over(bounced, done, limits.pause_at_bounced_percent):
        yield (
            f"{_share(bounced, done, base)} bounced for good, and the limit is {limits.pause_at_bounced_percent:g} %, "
            "so it paused itself. Such a list is mostly old or bought: look at the bounces and at where these "
            "people come from."
        )
    limit = limits.pause_at_complained_percent
    if limit and complained >= COMPLAINTS_LEAST and complained * 100 >= limit * done:
        yield (
            f"{_share(complained, done, base)} were reported as spam, and the limit is {limit:g} %, so it paused "
            "itself. From there on Gmail and Yahoo put mail of this domain aside: ask whether these people "
            "signed up for this."
        )
    left = mailing.unsubscribed_count - base.unsubscribed
    if _is_over(left, done, limits.pause_at_unsubscribed_percent):
        yield (
            f"{_share(left, done, base)} made somebody unsubscribe, and the limit is "
            f"{limits.pause_at_unsubscribed_percent:g} %, so it paused itself. Is it the right audience?"
        )
    if limits.pause_at_blocked_percent and blocked >= BLOCKS_LEAST:
        yield from _blocks(mailing, base)


def _blocks(mailing: Mailing, base: Base) -> Iterator[str]:
    if not cache.add(f"breaker:blocks:{mailing.pk}:{base.done}", 1, BLOCKS_SECONDS):
        return
    limit = mailing.workspace.pause_at_blocked_percent
    with connection.cursor() as cursor:
        cursor.execute(BLOCKED_BY, _values(mailing, base))
        for domain, count, said, total in cursor.fetchall():
            if _is_over(count, total, limit):
                yield (
                    f"{domain} refuses {count:,} of {total:,} messages ({100 * count / total:.1f} %), and the limit is "
                    f"{limit:g} %, so it paused itself. It says: {said or 'nothing'}"
                )


def _is_over(count: int, done: int, limit: float) -> bool:
    return bool(limit) and count * 100 > limit * done


def _share(count: int, done: int, base: Base) -> str:
    return f"{count:,} of the {done:,} {base.words} ({100 * count / done:.2g} %)"


def _done(mailing: Mailing) -> int:
    return mailing.accepted_count + mailing.rejected_count


def _row(sql: str, mailing: Mailing, base: Base) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, _values(mailing, base))
        return cursor.fetchone()


def _values(mailing: Mailing, base: Base) -> dict[str, Any]:
    return {"mailing": mailing.pk, "since": base.at, "least": BLOCKS_LEAST}
