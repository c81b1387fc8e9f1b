"""What accounts may send within 24 hours, for pages: the limits that pace keeps, and how far they are used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import redis

from delivery.models import SendingAccount
from delivery.pipeline import pace

LONGEST = 10_000  # days that are counted ahead


@dataclass(frozen=True)
class Today:
    """limit, used: messages; where the provider's quota is what holds, its own numbers, others' messages among them.

    warm_up_day: which one of the warm-up it is, from 1; 0: of none.
    """

    limit: int
    used: int
    warm_up_day: int = 0

    @property
    def left(self) -> int:
        return max(self.limit - self.used, 0)


def today(accounts: Sequence[SendingAccount], *, now: datetime) -> dict[int, Today]:
    """{account: its day}, of those with a daily limit; all of one workspace.

    used counts what workers hold ready, too: up to some dozens each that are given back. Cost: an answer of Redis;
    the day's ledger where that has no count.
    """
    limits = {each.pk: pace.daily_limit(each, now) for each in accounts}
    limited = [each for each in accounts if limits[each.pk] is not None]
    counted = used(limited, now) if limited else {}
    return {each.pk: _today(each, limits[each.pk] or 0, counted.get(each.pk, 0), now) for each in limited}


def _today(account: SendingAccount, limit: int, used: int, now: datetime) -> Today:
    beside = account.quota["per_day"] - limit if pace.is_held_by_quota(account, now) else 0
    return Today(limit + beside, used + beside, pace.warm_up_day(account, now))


def days_for(account: SendingAccount, count: int, *, now: datetime, today: Today) -> int:
    """On how many days so many messages leave, beginning with today."""
    left = count - today.left
    if left <= 0:
        return 1
    for ahead in range(1, LONGEST):
        limit = pace.daily_limit(account, now + timedelta(days=ahead))
        if limit is None:
            return ahead + 1
        left -= limit
        if left <= 0:
            return ahead + 1
    return LONGEST


def used(accounts: Sequence[SendingAccount], now: datetime) -> dict[int, int]:
    """{account: messages within the last 24 hours}; cost: see `today`."""
    try:
        counts = pace.counts_of_day(accounts)
    except redis.RedisError:
        counts = {}
    missing = [each.pk for each in accounts if each.pk not in counts]
    if missing:
        counts |= pace.left_of_day(missing, now=now)
    return {pk: pace.used_of_day(found, now=now) for pk, found in counts.items()}
