"""Pace: how fast messages may leave, one clock for all workers and hosts (GCRA in Redis, in one script).

A message passes every limit that applies to it at once: its mailing's, its account's, and the one towards its
receiving domain. A server that says "too fast" slows the domain or the account down by half; it recovers by a
quarter every ten seconds. Daily limits are counted over the last 24 hours, as most providers count them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import connection
from django.utils import timezone

from accounts.queue import redis_client
from delivery.models import Mailing, SendingAccount

DAY_SECONDS = 86_400
# For so long what is left of a provider's own quota is believed; later its size alone.
QUOTA_SECONDS = 300
# A day's count is kept in buckets of so many seconds, each of which leaves it as a whole once all of it is a day old:
# room comes free that much later at most, and never too early.
BUCKET_SECONDS = 300
BUCKETS = DAY_SECONDS // BUCKET_SECONDS
BURST_SECONDS = 0.02  # what may leave at once after a pause; more would show in a window of one second
KEEP_SECONDS = 3600
RECOVER_SECONDS, RECOVER_BY = 10, 1.25  # a slowed rate grows by so much every so often
SLOW_KEPT = 900  # seconds after the last "too fast" in which a slowed rate is remembered
SLOWEST = 0.2  # messages a second; nothing is slowed below
BLOCK_FROM = 200.0  # messages a second from which turns are taken in blocks, to spare round trips

# KEYS: one for each limit. ARGV: how many turns, the longest wait, now and then for each key its interval and burst
# in seconds (0 and 0: no limit unless slowed). Gives the seconds to wait, or minus that when it exceeds the longest.
RESERVE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local count, longest, start = tonumber(ARGV[1]), tonumber(ARGV[2]), now
local gaps, free = {}, {}
for i, key in ipairs(KEYS) do
  local gap, burst = tonumber(ARGV[1 + 2 * i]), tonumber(ARGV[2 + 2 * i])
  local slow = redis.call('HMGET', key .. ':slow', 'rate', 'at')
  if slow[1] then
    local rate = slow[1] * RECOVER_BY ^ math.floor((now - slow[2]) / RECOVER_SECONDS)
    if gap == 0 or 1 / rate > gap then gap, burst = 1 / rate, 0 end
  end
  gaps[i] = gap
  if gap > 0 then
    free[i] = math.max(tonumber(redis.call('GET', key) or 0), now - burst)
    if free[i] > start then start = free[i] end
  end
end
local wait = start - now
if wait > longest then return tostring(-wait) end
for i, key in ipairs(KEYS) do
  if gaps[i] > 0 then
    redis.call('SET', key, string.format('%.6f', free[i] + count * gaps[i]), 'EX', KEEP_SECONDS)
  end
end
return tostring(wait)
"""
# KEYS: the limit's key. ARGV: the rate at which "too fast" was said, seconds in which nothing may leave, the rate below
# which it is not slowed. Halves what holds now, at most once a second: many lanes hear the same complaint.
SLOW_DOWN = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local key = KEYS[1] .. ':slow'
local slow = redis.call('HMGET', key, 'rate', 'at')
local rate, pause = tonumber(ARGV[1]), tonumber(ARGV[2])
if pause > 0 then
  local free = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now + pause)
  redis.call('SET', KEYS[1], string.format('%.6f', free), 'EX', KEEP_SECONDS)
end
if slow[1] then
  if now - slow[2] < 1 then return slow[1] end
  rate = slow[1] * RECOVER_BY ^ math.floor((now - slow[2]) / RECOVER_SECONDS)
end
rate = math.max(rate / 2, tonumber(ARGV[3]))
redis.call('HSET', key, 'rate', tostring(rate), 'at', tostring(now))
redis.call('EXPIRE', key, SLOW_KEPT)
return tostring(rate)
"""
# KEYS: the day's count, {bucket: messages}, and "open" beside them, so that a count of none is there, too. ARGV: how
# long it is kept, then the buckets and their messages. Leaves one that is there as it is.
OPEN_DAY = """
if redis.call('EXISTS', KEYS[1]) == 1 then return end
redis.call('HSET', KEYS[1], 'open', 1, unpack(ARGV, 2))
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""
# ARGV: the limit, how many, the bucket of now, the oldest that counts, how long it is kept. Gives how many of them may
# leave, or -1 where there is no count.
TAKE_OF_DAY = """
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local counts, used = redis.call('HGETALL', KEYS[1]), 0
for i = 1, #counts, 2 do
  local bucket = tonumber(counts[i])
  if bucket and bucket < tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[1], counts[i])
  elseif bucket then
    used = used + counts[i + 1]
  end
end
local granted = math.max(math.min(tonumber(ARGV[2]), tonumber(ARGV[1]) - used), 0)
if granted > 0 then
  redis.call('HINCRBY', KEYS[1], ARGV[3], granted)
  redis.call('EXPIRE', KEYS[1], ARGV[5])
end
return granted
"""
# Only where it still is: a count made anew by this would begin below zero.
GIVE_BACK_OF_DAY = (
    "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HINCRBY', KEYS[1], ARGV[1], -ARGV[2]) end"
)
# What left through accounts since a moment, by buckets; asked when an account is used again after days without, and
# when Redis lost the count. What another account sent before it handed the mailing over is not counted, for neither.
LEFT_SINCE = """
SELECT m.account_id, d.bucket, sum(d.count) FROM delivery_mailing m
  CROSS JOIN LATERAL (SELECT floor(extract(epoch FROM settled_at) / %(seconds)s)::bigint AS bucket, count(*)
                        FROM delivery_delivery
                       WHERE mailing_id = m.id AND attempt_count > 0
                          AND settled_at >= greatest(%(since)s, (m.handed_over -> -1 ->> 'at')::timestamptz)
                        GROUP BY 1) AS d
 WHERE m.account_id = ANY(%(accounts)s) AND m.progress_at >= %(since)s
 GROUP BY 1, 2
"""


@dataclass(frozen=True)
class Limit:
    """One limit of a message's pace. per_second: 0 where there is none unless it was slowed down."""

    key: str
    per_second: float


def _script(source: str) -> str:
    names = ("RECOVER_BY", "RECOVER_SECONDS", "KEEP_SECONDS", "SLOW_KEPT")
    for name in names:
        source = source.replace(name, str(globals()[name]))
    return source


_RESERVE, _SLOW_DOWN = _script(RESERVE), _script(SLOW_DOWN)


def account_limit(account: SendingAccount) -> Limit:
    """Its rate a second, or that of a minute or an hour, spread evenly, or its provider's, whichever is lowest."""
    rates = [
        account.rate_per_second,
        account.quota.get("per_second"),
        (account.rate_per_minute or 0) / 60,
        (account.rate_per_hour or 0) / 3600,
    ]
    return Limit(f"volley:pace:{account.pk}", min((rate for rate in rates if rate), default=0.0))


def mailing_limit(mailing: Mailing) -> Limit:
    return Limit(f"volley:pace:mailing:{mailing.pk}", mailing.rate_per_second or 0.0)


def calls_limit(account: SendingAccount, per_minute: int) -> Limit:
    """Of calls to an ESP, however many messages each holds."""
    return Limit(f"volley:pace:{account.pk}:calls", per_minute / 60)


def domain_limit(account: SendingAccount, domain: str) -> Limit:
    return Limit(f"volley:pace:{account.pk}:{domain}", account.domain_per_second or 0.0)


def reserve(limits: Sequence[Limit], *, longest_wait: float, count: int = 1) -> float:
    """Reserve turns under all limits. Returns seconds to wait, or minus that when it exceeds longest_wait.

    count: turns taken at once; they may be used one after the other without asking again.
    Raises: redis.RedisError: the pace cannot be kept; do not send.
    """
    timing: list[float] = []
    for limit in limits:
        gap = 1.0 / limit.per_second if limit.per_second else 0.0
        timing += [gap, max(BURST_SECONDS - gap, 0.0) if gap else 0.0]
    keys = [limit.key for limit in limits]
    return float(redis_client().eval(_RESERVE, len(keys), *keys, count, longest_wait, *timing))


def block_size(limits: Sequence[Limit]) -> int:
    """How many turns to take at once: few enough that no second holds five of a hundred too many."""
    slowest = min((limit.per_second for limit in limits if limit.per_second), default=0.0)
    return max(1, min(20, int(slowest / BLOCK_FROM)))


def slow_down(limit: Limit, *, per_second: float, not_before: float = 0.0, slowest: float = SLOWEST) -> float:
    """The server said "too fast": halve the rate at which that happened. Returns the new one.

    per_second: what left at most when it said so. not_before: seconds it asked to wait (Retry-After).
    slowest: messages a second that are left in any case. How it recovers is told by this module's constants.
    """
    at_most = min(per_second, limit.per_second) if limit.per_second else per_second
    pause = min(not_before, KEEP_SECONDS)
    return float(redis_client().eval(_SLOW_DOWN, 1, limit.key, max(at_most, slowest), pause, slowest))


def slowed(account: SendingAccount) -> dict[str, float]:
    """{receiving domain, or "" for the account: messages a second} of what was told to slow down lately."""
    found: dict[str, float] = {}
    client = redis_client()
    prefix = f"volley:pace:{account.pk}"
    for domain in client.smembers(f"{prefix}:slowed"):
        name = domain.decode()
        key = f"{prefix}:{name}" if name else prefix
        rate, at = client.hmget(f"{key}:slow", "rate", "at")
        if rate is None:
            client.srem(f"{prefix}:slowed", domain)
            continue
        steps = int((timezone.now().timestamp() - float(at)) / RECOVER_SECONDS)
        found[name] = float(rate) * RECOVER_BY**steps
    return found


def note_slowed(account: SendingAccount, domain: str) -> None:
    """Let every lane of the account ask for this domain's pace from now on ("" is the account itself)."""
    client = redis_client()
    client.sadd(f"volley:pace:{account.pk}:slowed", domain)
    client.expire(f"volley:pace:{account.pk}:slowed", SLOW_KEPT)


# --- Days ---------------------------------------------------------------------------------------------


def daily_limit(account: SendingAccount, now: datetime) -> int | None:
    """What may leave within 24 hours: by the account's own limits, or its provider's quota where that is less."""
    limits = (_own_daily_limit(account, now), _quota_of_day(account, now))
    return min((limit for limit in limits if limit is not None), default=None)


def is_held_by_quota(account: SendingAccount, now: datetime) -> bool:
    """Whether what may leave within 24 hours is less by the provider's quota than by its own limits."""
    quota, own = _quota_of_day(account, now), _own_daily_limit(account, now)
    return quota is not None and (own is None or quota < own)


def _quota_of_day(account: SendingAccount, now: datetime) -> int | None:
    """What the provider allows of it, as it was told last: see `delivery.quota`."""
    is_fresh = account.quota_at is not None and abs((now - account.quota_at).total_seconds()) < QUOTA_SECONDS
    quota: int | None = account.quota.get("room" if is_fresh else "per_day")
    return quota


def _own_daily_limit(account: SendingAccount, now: datetime) -> int | None:
    """Today's step of the warm-up while it lasts, then the account's own limit."""
    passed = _warm_up_days(account, now)
    if passed is not None:
        if passed < 0:
            return account.warm_up[0]
        if passed < len(account.warm_up):
            step: int = account.warm_up[passed]
            return min(step, account.rate_per_day) if account.rate_per_day else step
    return account.rate_per_day


def warm_up_day(account: SendingAccount, now: datetime) -> int:
    """Which day of the warm-up it is, from 1; 0 before and after, and where there is none."""
    passed = _warm_up_days(account, now)
    return passed + 1 if passed is not None and 0 <= passed < len(account.warm_up) else 0


def _warm_up_days(account: SendingAccount, now: datetime) -> int | None:
    """Days since its first one, negative before; None where there is no warm-up."""
    if not account.warm_up or not account.warm_up_from:
        return None
    days: int = (now.astimezone(account.workspace.zone).date() - account.warm_up_from).days
    return days


def open_day(account: SendingAccount, *, now: datetime) -> None:
    """See that the day's count is there: of the ledger, where it is not used yet or Redis lost it."""
    if daily_limit(account, now) is None or redis_client().exists(_day_key(account)):
        return
    found = left_of_day([account.pk], now=now).get(account.pk, {})
    flat = [number for pair in found.items() for number in pair]
    redis_client().eval(OPEN_DAY, 1, _day_key(account), 2 * DAY_SECONDS, *flat)


def forget_day(account: SendingAccount) -> None:
    """The count stood still while there was no limit: where there is one again, it begins with what the ledger says."""
    redis_client().delete(_day_key(account))


def left_of_day(accounts: list[int], *, now: datetime) -> dict[int, dict[int, int]]:
    """{account: {bucket: messages that left through it}}, of those with any, by the ledger.

    Cost: the ledger of mailings that moved within the last day.
    """
    since = datetime.fromtimestamp(_oldest(now) * BUCKET_SECONDS, UTC)
    found: dict[int, dict[int, int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(LEFT_SINCE, {"since": since, "accounts": accounts, "seconds": BUCKET_SECONDS})
        for account, bucket, count in cursor.fetchall():
            found.setdefault(account, {})[bucket] = int(count)
    return found


def counts_of_day(accounts: Sequence[SendingAccount]) -> dict[int, dict[int, int]]:
    """{account: {bucket: messages taken}} as workers count them, of those whose day is open. Raises: redis.RedisError."""
    pipeline = redis_client().pipeline(transaction=False)
    for account in accounts:
        pipeline.hgetall(_day_key(account))
    found = zip(accounts, pipeline.execute(), strict=True)
    return {
        account.pk: {int(bucket): int(count) for bucket, count in counts.items() if bucket != b"open"}
        for account, counts in found
        if counts
    }


def used_of_day(counts: dict[int, int], *, now: datetime) -> int:
    """What of the buckets counts within the 24 hours before."""
    return max(sum(count for bucket, count in counts.items() if bucket >= _oldest(now)), 0)


def take_of_day(account: SendingAccount, count: int, *, now: datetime) -> int:
    """Take so many of the day's messages. Returns how many may leave, at most count; -1 where the day is not open.

    Raises: redis.RedisError.
    """
    limit = daily_limit(account, now)
    if limit is None:
        return count
    values = [limit, count, _bucket(now), _oldest(now), 2 * DAY_SECONDS]
    return int(redis_client().eval(TAKE_OF_DAY, 1, _day_key(account), *values))


def give_back_of_day(account: SendingAccount, count: int, *, now: datetime) -> None:
    """What was taken and did not leave. now: when it was taken."""
    if count and daily_limit(account, now) is not None:
        redis_client().eval(GIVE_BACK_OF_DAY, 1, _day_key(account), _bucket(now), count)


def room_at(account: SendingAccount, *, now: datetime) -> datetime:
    """When more may leave of an account whose day is used up: as enough is a day old, or its warm-up's next step begins.

    Raises: redis.RedisError.
    """
    limit = daily_limit(account, now) or 0
    counts = counts_of_day([account]).get(account.pk, {})
    used, at = used_of_day(counts, now=now), now + timedelta(seconds=BUCKET_SECONDS)
    for bucket in sorted(each for each in counts if each >= _oldest(now)):
        used -= counts[bucket]
        if used < limit:
            at = datetime.fromtimestamp((bucket + BUCKETS + 1) * BUCKET_SECONDS, UTC)
            break
    return min(at, _midnight(account, now)) if warm_up_day(account, now) else at


def _midnight(account: SendingAccount, now: datetime) -> datetime:
    """The next one in the workspace's zone."""
    today = now.astimezone(account.workspace.zone).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow = today + timedelta(days=1)  # by the wall clock, whatever a change of time does between
    return tomorrow.astimezone(UTC)


def _bucket(now: datetime) -> int:
    return int(now.timestamp()) // BUCKET_SECONDS


def _oldest(now: datetime) -> int:
    """The bucket in which the 24 hours began."""
    return _bucket(now) - BUCKETS


def _day_key(account: SendingAccount) -> str:
    return f"volley:day:{account.pk}"
