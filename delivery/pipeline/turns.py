"""Turns: whose message of a batch may leave now, by every limit that applies; shared by the batch's lanes.

Where nothing is limited it costs nothing. Whoever's receiving domain has to wait is held back, and the others go on.
"""

import logging
import threading
import time
import uuid
from collections import Counter, defaultdict, deque
from datetime import datetime, tzinfo

import redis
from django.utils import timezone

from accounts.queue import redis_client, workers_alive
from delivery.models import Mailing
from delivery.pipeline import meter, pace
from delivery.pipeline.mold import Recipient
from delivery.transports.base import Outcome

LONGEST_PAUSE = (
    1.0  # seconds a lane waits for its turn; beyond, the batch is given back and the worker is free
)
DOMAIN_PAUSE = 0.1  # the same for one domain's turn: others may go meanwhile
DAY_BLOCK = 50  # of a day's messages taken at once; what is not used is given back
LANE_SECONDS = 150  # after which a dead worker's lane to a domain counts no longer
LANE_WAIT = 0.25
GUESSED_RATE = 20.0  # messages a second, where a first complaint comes before anything was counted
AGAIN_SECONDS = 0.1
# KEYS: the domain's lanes, a sorted set of when each expires. ARGV: how many at most, the lane's name, how long.
TAKE_LANE = """
local now = redis.call('TIME')[1]
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 1
"""
log = logging.getLogger(__name__)


def domain_of(recipient: Recipient) -> str:
    return recipient.email.rpartition("@")[2].lower()


class Turns:
    """The limits of one batch's messages. Its methods raise redis.RedisError where the pace cannot be kept."""

    def __init__(self, mailing: Mailing) -> None:
        self.account = mailing.account
        self.wait_seconds = 0.0  # when to come back, if the lanes ended for the pace's sake
        self.why = ""  # in words, where a person should know
        self._account_limit = pace.account_limit(self.account)
        own = [pace.mailing_limit(mailing), self._account_limit]
        self._fixed = [limit for limit in own if limit.per_second]
        self._has_day = pace.daily_limit(self.account, timezone.now()) is not None
        self._by_domain = bool(self.account.domain_per_second)
        self._slowed: dict[str, float] = {}
        self._lock = threading.Lock()
        self._day_left = 0
        self._block: deque[float] = deque()  # turns taken ahead: each one's time, on the monotonic clock
        self._day_taken_at = timezone.now()  # when the last of them were taken
        self._mailing_id = mailing.pk
        self._until: dict[str, float] = {}  # when a domain may be tried again, on the monotonic clock
        self._held: dict[str, deque[Recipient]] = defaultdict(deque)
        self._sent: Counter[str] = Counter()
        self._lanes: dict[int, str] = {}
        self._began = time.monotonic()
        pace.open_day(self.account, now=timezone.now())
        self.refresh()

    def refresh(self) -> None:
        """Learn what other workers were told to slow down; a few times a second."""
        self._slowed = pace.slowed(self.account)
        self._is_free = not (
            self._fixed or self._has_day or self._by_domain or self._slowed or self.account.domain_lanes
        )

    def take(self, recipient: Recipient, *, wait: bool) -> float | None:
        """Seconds to wait for this message's turn; negative: it is held back for its domain; None: no turn now."""
        if self._is_free:
            return 0.0
        if not self._take_of_day(1):
            return None
        domain = domain_of(recipient)
        if self.account.domain_lanes and not self._take_lane(recipient, domain):
            self.not_sent(recipient)
            return self._hold(recipient, domain, LANE_WAIT)
        limits, is_by_domain = self._limits(domain)
        if not limits:
            return 0.0
        longest = min(LONGEST_PAUSE if wait else 0.0, DOMAIN_PAUSE if is_by_domain else LONGEST_PAUSE)
        kept = None if is_by_domain else self._take_from_block(longest)
        if kept is not None:
            return kept
        count = 1 if is_by_domain or self._slowed else pace.block_size(limits)
        seconds = pace.reserve(limits, longest_wait=longest, count=count)
        if seconds >= 0:
            self._keep_block(count, seconds, limits)
            return seconds
        self.not_sent(recipient)
        if is_by_domain:
            return self._hold(recipient, domain, -seconds)
        if wait:
            self.come_back_in(-seconds)
        return None

    def _limits(self, domain: str) -> tuple[list[pace.Limit], bool]:
        """What applies to a message to the domain, and whether the domain itself is limited."""
        limits = self._common_limits()
        is_by_domain = self._by_domain or domain in self._slowed
        if is_by_domain:
            limits.append(pace.domain_limit(self.account, domain))
        return limits, is_by_domain

    def _common_limits(self) -> list[pace.Limit]:
        """What applies to every message."""
        if "" in self._slowed and self._account_limit not in self._fixed:
            return [*self._fixed, self._account_limit]
        return list(self._fixed)

    def _keep_block(self, count: int, seconds: float, limits: list[pace.Limit]) -> None:
        """The turns that were taken with the first one: each has its own time, else they would leave at once."""
        if count == 1:
            return
        gap = 1 / min(limit.per_second for limit in limits if limit.per_second)
        first = time.monotonic() + seconds
        with self._lock:
            self._block.extend(first + place * gap for place in range(1, count))

    def _take_from_block(self, longest: float) -> float | None:
        """Seconds to wait for the next turn that is there already; None: there is none within so long."""
        now = time.monotonic()
        with self._lock:
            if not self._block or self._block[0] - now > longest:
                return None
            return max(0.0, self._block.popleft() - now)

    def _take_of_day(self, count: int) -> int:
        """How many of them the day has room for."""
        if not self._has_day:
            return count
        now = timezone.now()
        with self._lock:
            if self._day_left < count:
                taken = pace.take_of_day(self.account, max(DAY_BLOCK, count - self._day_left), now=now)
                is_unknown, self._day_taken_at = taken < 0, now
                self._day_left += max(taken, 0)
            granted = min(count, self._day_left)
            self._day_left -= granted
        if granted:
            return granted
        if is_unknown:  # Redis lost the count: the next batch begins with it
            self.come_back_in(AGAIN_SECONDS)
            return 0
        limit = pace.daily_limit(self.account, now) or 0
        at = pace.room_at(self.account, now=now)
        whose = (
            f"What its provider lets “{self.account}” send within 24 hours is"
            if pace.is_held_by_quota(self.account, now)
            else f"The {limit:,} messages a day of “{self.account}” are"
        )
        self.why = f"{whose} used up; it goes on at {_clock(at, now, self.account.workspace.zone)}."
        self.come_back_in(max((at - now).total_seconds(), AGAIN_SECONDS))
        return 0

    def _take_lane(self, recipient: Recipient, domain: str) -> bool:
        name = uuid.uuid4().hex
        key = f"volley:lanes:{self.account.pk}:{domain}"
        if not redis_client().eval(TAKE_LANE, 1, key, self.account.domain_lanes, name, LANE_SECONDS):
            return False
        self._lanes[recipient.number] = name
        return True

    def not_sent(self, recipient: Recipient) -> None:
        """Its turn was taken, and its message does not leave now: the day has one more again."""
        self.release(recipient)
        if self._has_day:
            with self._lock:
                self._day_left += 1

    def release(self, recipient: Recipient) -> None:
        """Its message is through, or does not leave after all. Never fails: a lane ends by itself after a while."""
        name = self._lanes.pop(recipient.number, None)
        if name:
            key = f"volley:lanes:{self.account.pk}:{domain_of(recipient)}"
            try:
                redis_client().zrem(key, name)
            except redis.RedisError as error:
                log.warning("pace.unreachable account=%s error=%s", self.account.pk, error)

    # --- Who is held back for their domain ------------------------------------------------------------

    def _hold(self, recipient: Recipient, domain: str, seconds: float) -> float:
        with self._lock:
            self._until[domain] = time.monotonic() + seconds
            self._held[domain].append(recipient)
        return -seconds

    def may_try(self, recipient: Recipient) -> bool:
        """False: the domain has to wait, and the recipient is held back until then."""
        if not self._until:
            return True
        domain = domain_of(recipient)
        with self._lock:
            if self._until.get(domain, 0.0) <= time.monotonic():
                return True
            self._held[domain].append(recipient)
        return False

    def held_back(self, stop: threading.Event, *, wait: bool) -> Recipient | None:
        """One whose domain's time has come; None: nobody, or later. wait: for one whose time comes soon."""
        while not stop.is_set():
            now = time.monotonic()
            with self._lock:
                waiting = [(self._until[domain], domain) for domain, held in self._held.items() if held]
                soonest, domain = min(waiting, default=(0.0, ""))
                if not domain:
                    return None
                if soonest <= now:
                    return self._held[domain].popleft()
            if not wait:
                return None
            if soonest - now > LONGEST_PAUSE:
                self.come_back_in(soonest - now)
                return None
            stop.wait(soonest - now)
        return None

    def come_back_in(self, seconds: float) -> None:
        with self._lock:
            self.wait_seconds = min(self.wait_seconds or seconds, seconds)

    # --- What servers say of the pace -----------------------------------------------------------------

    def count(self, recipient: Recipient) -> None:
        """One more was accepted: what a domain takes is known when it asks for less."""
        self._sent[domain_of(recipient)] += 1

    def slow_down(self, recipient: Recipient, outcome: Outcome, *, whole_account: bool) -> None:
        """The server said "too fast": to this domain, or to all that the account sends."""
        self._slow_down("" if whole_account else domain_of(recipient), outcome, slowest=pace.SLOWEST)

    def _slow_down(self, domain: str, outcome: Outcome, *, slowest: float) -> None:
        limit = pace.domain_limit(self.account, domain) if domain else self._account_limit
        per_second = limit.per_second or self._observed(domain)
        wait = outcome.retry_after or 0.0
        try:
            pace.slow_down(limit, per_second=per_second, not_before=wait, slowest=slowest)
            pace.note_slowed(self.account, domain)
            self.refresh()
        except redis.RedisError as error:
            log.warning("pace.unreachable account=%s error=%s", self.account.pk, error)

    def _observed(self, domain: str) -> float:
        """Messages a second over all workers: as this batch saw it, as the monitor counts, or a careful guess."""
        seconds = time.monotonic() - self._began
        sent = self._sent[domain] if domain else self._sent.total()
        if sent and seconds >= 1.0:
            return sent / seconds * max(workers_alive("send"), 1)
        return meter.per_second(self._mailing_id) or GUESSED_RATE

    def close(self) -> None:
        """Give back what was taken of the day and not used."""
        try:
            pace.give_back_of_day(self.account, self._day_left, now=self._day_taken_at)
        except redis.RedisError as error:
            log.warning("pace.unreachable account=%s error=%s", self.account.pk, error)
        self._day_left = 0


def _clock(at: datetime, now: datetime, zone: tzinfo) -> str:
    """The time of day, with the day where it is another one than now."""
    shown = at.astimezone(zone)
    is_today = shown.date() == now.astimezone(zone).date()
    return f"{shown:%H:%M}" if is_today else f"{shown:%H:%M} on {shown:%-d %b}"
