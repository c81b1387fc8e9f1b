"""What a mailing's monitor shows beside its counters: how it went over time, by receiving domain, who is at work.

Time and domains come from the ledger, so they outlive Redis and are exact. One pass over a million rows takes about
a second, so the answer is kept for some seconds while it is sent, for long once it has ended, and thrown away when
somebody tells it to go on. Of many a job reads it: the page would wait, and with it the campaign, or what comes back.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from accounts.queue import enqueue, workers_alive
from delivery.models import Mailing, MailingState
from delivery.pipeline import signs

FRESH_SECONDS = 5  # while it is sent; however many people watch
MANY = 100_000  # recipients, who are read by a job
REST = 20  # times as long as reading many took; a twentieth of a processor at most goes into it
ASKED_SECONDS = 60  # then the job is taken for lost
JOB = "delivery.jobs.read_breakdown"
KEPT_SECONDS = 86_400  # once it has ended
BARS = 60
FILLED_FROM = BARS // 3  # fewer would be as broad as a hand
DOMAINS = 12
STEPS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400)  # seconds of a bar

# Both by the ledger's primary key, in one range of it.
SPAN = """
SELECT min(settled_at), max(settled_at), now() FROM delivery_delivery
 WHERE mailing_id = %s AND state = 'accepted'
"""
OVER_TIME = """
SELECT floor(extract(epoch FROM settled_at - %s) / %s)::int AS step, count(*) FROM delivery_delivery
 WHERE mailing_id = %s AND state = 'accepted' AND settled_at >= %s GROUP BY 1
"""
BY_DOMAIN = """
SELECT coalesce(nullif(lower(split_part(email, '@', 2)), ''), 'erased') AS domain, count(*),
       count(*) FILTER (WHERE state = 'accepted'), count(*) FILTER (WHERE state = 'deferred'),
       count(*) FILTER (WHERE state = 'rejected'), count(*) FILTER (WHERE state = 'pending'),
       count(*) FILTER (WHERE state = 'canceled'),
       count(*) FILTER (WHERE feedback IN ('bounced', 'soft_bounced')), count(*) FILTER (WHERE feedback = 'blocked'),
       count(*) FILTER (WHERE feedback = 'complained')
  FROM delivery_delivery WHERE mailing_id = %s
 GROUP BY 1 ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True)
class Bar:
    """One step of the time line; share: of the highest bar, 0 to 100."""

    at: datetime
    count: int
    per_second: float
    share: float


@dataclass(frozen=True)
class Domain:
    name: str
    total: int
    accepted: int
    deferred: int
    rejected: int
    pending: int
    canceled: int
    bounced: int
    blocked: int
    complained: int

    @property
    def done(self) -> int:
        """Of whom the outcome is known: what shares are of, since those who wait would water them down."""
        return self.total - self.pending - self.deferred - self.canceled

    @property
    def other(self) -> int:
        """Skipped, in doubt or not sent: what has no column of its own, so that a row adds up."""
        return self.total - self.accepted - self.rejected - self.deferred - self.pending

    @property
    def at(self) -> str:
        """What its addresses end in, to look for them."""
        return f"@{self.name}"


@dataclass(frozen=True)
class Breakdown:
    """bars: the whole time it was sent, in at most BARS steps of step_seconds. domains: the largest, the rest summed.

    read_at: when it was read; the counters beside it may be newer. is_behind: a newer one is to be read by a job.
    """

    bars: list[Bar]
    step_seconds: int
    domains: list[Domain]
    rest: Domain | None
    read_at: datetime
    is_behind: bool = False

    @property
    def width(self) -> int:
        """Of the drawing, ten to a bar; few bars do not fill it."""
        return 10 * max(len(self.bars), FILLED_FROM)

    @property
    def is_filled(self) -> bool:
        """Whether the last bar stands at the end of the drawing."""
        return len(self.bars) >= FILLED_FROM

    @property
    def has_come_back(self) -> bool:
        """Whether anything did, from any domain: else there is nothing to show of it."""
        every = [*self.domains, *([self.rest] if self.rest else [])]
        return any(each.bounced or each.blocked or each.complained for each in every)

    @property
    def highest(self) -> float:
        return max((bar.per_second for bar in self.bars), default=0.0)


def breakdown(mailing: Mailing) -> Breakdown:
    """Over time and by domain, at most FRESH_SECONDS old while it is sent.

    Of many it is the last one read, at first an empty one, as long as they are being sent or something has come back
    since; older than REST allows, and a job is queued. Once they were sent, it is read here where no worker would.
    """
    kept: tuple[tuple[Any, ...], Breakdown] | None = cache.get(_key(mailing))
    is_current = kept is not None and kept[0] == _stamp(mailing)
    by_a_job = mailing.total_count > MANY and not (is_current and _has_ended(mailing))
    if by_a_job and (not _has_ended(mailing) or workers_alive("system")):
        if cache.add(_asked_key(mailing, has_ended=_has_ended(mailing)), "asked", ASKED_SECONDS):
            enqueue(JOB, queue="system", mailing_id=mailing.pk)
        found = kept[1] if kept else Breakdown([], 1, [], None, timezone.now())
        return replace(found, is_behind=True)
    return kept[1] if kept and is_current else read(mailing)


def read(mailing: Mailing) -> Breakdown:
    """Work it out and keep it. Cost: three passes over the mailing's ledger."""
    read_at = timezone.now()
    bars, step = _over_time(mailing)
    domains, rest = _by_domain(mailing)
    found = Breakdown(bars, step, domains, rest, read_at)
    lasts_long = mailing.total_count > MANY or _has_ended(mailing)
    cache.set(_key(mailing), (_stamp(mailing), found), KEPT_SECONDS if lasts_long else FRESH_SECONDS)
    rest_seconds = REST * (timezone.now() - read_at).total_seconds()
    cache.set(
        _asked_key(mailing, has_ended=_has_ended(mailing)), "asked", max(FRESH_SECONDS, int(rest_seconds))
    )
    return found


def forget(mailing: Mailing) -> None:
    """Read it afresh the next time: somebody has just changed what it says, and looks whether it did."""
    cache.delete_many([_key(mailing), *(_asked_key(mailing, has_ended=each) for each in (True, False))])


def _key(mailing: Mailing) -> str:
    return f"breakdown:{mailing.pk}"


def _asked_key(mailing: Mailing, *, has_ended: bool) -> str:
    """Of what is there for as long as nobody is to ask for another reading; its end is read at once."""
    return f"breakdown-asked:{mailing.pk}:{has_ended:d}"


def _has_ended(mailing: Mailing) -> bool:
    return mailing.state in (MailingState.FINISHED, MailingState.CANCELED)


def _stamp(mailing: Mailing) -> tuple[Any, ...]:
    """What it was read for: the rest of a canceled one is closed little by little, and one may end twice."""
    return (mailing.state, *_counters(mailing)) if _has_ended(mailing) else (mailing.state,)


def _counters(mailing: Mailing) -> tuple[int, ...]:
    return (
        mailing.accepted_count,
        mailing.rejected_count,
        mailing.skipped_count,
        mailing.in_doubt_count,
        mailing.canceled_count,
        mailing.bounced_count,
        mailing.soft_bounced_count,
        mailing.blocked_count,
        mailing.complained_count,
    )


def _over_time(mailing: Mailing) -> tuple[list[Bar], int]:
    with connection.cursor() as cursor:
        cursor.execute(SPAN, [mailing.pk])
        first, last, now = cursor.fetchone()
        if first is None:
            return [], 1
        span = max((last - first).total_seconds(), 1.0)
        step = next((each for each in STEPS if span / each < BARS), STEPS[-1])
        cursor.execute(OVER_TIME, [first, step, mailing.pk, first])
        counts = dict(cursor.fetchall())
    length = int(span // step) + 1
    is_running = mailing.state == MailingState.SENDING and now < first + timedelta(seconds=length * step)
    if is_running and length > 1:
        length -= 1  # it has just begun and would look like a fall
    steps = range(max(0, length - BARS), length)
    highest = max((counts.get(each, 0) for each in steps), default=0) or 1
    return [
        Bar(
            first + timedelta(seconds=each * step),
            counts.get(each, 0),
            counts.get(each, 0) / step,
            100 * counts.get(each, 0) / highest,
        )
        for each in steps
    ], step


def _by_domain(mailing: Mailing) -> tuple[list[Domain], Domain | None]:
    with connection.cursor() as cursor:
        cursor.execute(BY_DOMAIN, [mailing.pk])
        found = [Domain(*row) for row in cursor.fetchall()]
    rest = found[DOMAINS:]
    if not rest:
        return found, None
    sums: list[Any] = [sum(numbers) for numbers in zip(*[_numbers(each) for each in rest], strict=True)]
    return found[:DOMAINS], Domain(f"{len(rest):,} others", *sums)


def _numbers(domain: Domain) -> tuple[int, ...]:
    return (
        domain.total,
        domain.accepted,
        domain.deferred,
        domain.rejected,
        domain.pending,
        domain.canceled,
        domain.bounced,
        domain.blocked,
        domain.complained,
    )


def workers_on(mailing: Mailing) -> list[signs.Sign]:
    """Who works on one of its batches right now, with each lane's doing."""
    return [sign for sign in signs.working() if sign.mailing_id == mailing.pk]
