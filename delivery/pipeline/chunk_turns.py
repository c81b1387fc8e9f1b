"""Turns of messages that leave many at once, in one call to an ESP: taken in one block."""

from collections.abc import Sequence
from typing import NamedTuple

import redis

from delivery.models import Mailing
from delivery.pipeline import pace
from delivery.pipeline.mold import Recipient
from delivery.pipeline.turns import DOMAIN_PAUSE, LONGEST_PAUSE, Turns, domain_of
from delivery.providers import Provider
from delivery.transports.base import Outcome

# Of its pace that one call may hold at most, so that a second sees little more than a second's worth.
CALL_SECONDS = 0.25
SLOWEST_SECONDS = 30.0  # between two full calls, however often an ESP says "too fast"

THROTTLED_SECONDS = 2.0  # until the next call, where an ESP does not say when
WORTH_SAYING_SECONDS = 5.0  # of a wait


class Admitted(NamedTuple):
    """Who may leave, and after how many seconds. left: whose turn it is not; the others wait for their domains."""

    recipients: list[Recipient]
    seconds: float
    left: list[Recipient]


class ChunkTurns(Turns):
    """The limits of what one worker's lanes send in calls of many. Raises as `Turns` does."""

    def __init__(self, mailing: Mailing, provider: Provider) -> None:
        super().__init__(mailing)
        self._most, self._calls = provider.most, provider.calls_per_minute

    @property
    def chunk_size(self) -> int:
        """Recipients of a call: as many as the ESP takes, or as the pace that somebody set lets leave together."""
        slowest = min((limit.per_second for limit in self._fixed), default=0.0)
        if not slowest:
            return self._most
        seconds = max(CALL_SECONDS, 60 / self._calls if self._calls else 0.0)
        return max(1, min(self._most, int(slowest * seconds)))

    def take_all(self, recipients: Sequence[Recipient], *, is_whole: bool = False) -> Admitted:
        """Take the turns of as many of them as may leave within LONGEST_PAUSE.

        is_whole: all or nobody, whatever their domains.
        """
        if self._is_free and not self._calls:
            return Admitted(list(recipients), 0.0, [])
        today = self._take_of_day(len(recipients))
        left = list(recipients[today:])
        if is_whole and left:
            self.none_sent(recipients[:today])
            if today:  # else it is known when there is room
                self.come_back_in(pace.BUCKET_SECONDS)
            return Admitted([], 0.0, list(recipients))
        admitted, wait = (list(recipients), 0.0) if is_whole else self._admit(recipients[:today])
        if not admitted:
            return Admitted([], 0.0, left)
        try:
            seconds = self._reserve(len(admitted))
        except redis.RedisError:
            self.none_sent(admitted)
            raise
        if seconds < 0:
            self.none_sent(admitted)
            self.come_back_in(-seconds)
            return Admitted([], 0.0, [*admitted, *left])
        return Admitted(admitted, max(seconds, wait), left)

    def _admit(self, recipients: Sequence[Recipient]) -> tuple[list[Recipient], float]:
        """Those whose domains take them now, or within the seconds that are given, too."""
        if not (self.account.domain_lanes or self._by_domain or self._slowed):
            return list(recipients), 0.0
        admitted, longest = [], 0.0
        for recipient in recipients:
            domain = domain_of(recipient)
            if self.account.domain_lanes and not self._take_lane(recipient, domain):
                self.not_sent(recipient)
                self._hold(recipient, domain, DOMAIN_PAUSE)
                continue
            if self._by_domain or domain in self._slowed:
                limit = pace.domain_limit(self.account, domain)
                seconds = pace.reserve([limit], longest_wait=DOMAIN_PAUSE)
                if seconds < 0:
                    self.not_sent(recipient)
                    self._hold(recipient, domain, -seconds)
                    continue
                longest = max(longest, seconds)
            admitted.append(recipient)
        return admitted, longest

    def _reserve(self, count: int) -> float:
        """Seconds to wait for so many turns and one call; negative: too long, and none is taken."""
        limits = self._common_limits()
        seconds = pace.reserve(limits, longest_wait=LONGEST_PAUSE, count=count) if limits else 0.0
        if seconds < 0 or not self._calls:
            return seconds
        called = pace.reserve([pace.calls_limit(self.account, self._calls)], longest_wait=LONGEST_PAUSE)
        return called if called < 0 else max(seconds, called)

    def none_sent(self, recipients: Sequence[Recipient]) -> None:
        for recipient in recipients:
            self.not_sent(recipient)

    def count_all(self, recipients: Sequence[Recipient]) -> None:
        for recipient in recipients:
            self.count(recipient)

    def slow_all_down(self, outcome: Outcome) -> None:
        """The ESP said "too fast", to a call."""
        wait = outcome.retry_after or THROTTLED_SECONDS
        asked = outcome._replace(retry_after=wait)
        self._slow_down("", asked, slowest=self._most / SLOWEST_SECONDS)
        self.come_back_in(wait)
        if wait > WORTH_SAYING_SECONDS:
            self.why = f"“{self.account}” takes no more just now: {outcome.server_said}"
