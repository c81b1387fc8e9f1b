"""Pace: one rate for a sending account, shared exactly by all workers and hosts (GCRA, kept in Redis)."""

import django_rq

BURST_SECONDS = 0.1  # what may leave at once after a pause, as a share of a second's messages

# Reserve the next free moment and say how long to wait for it; beyond the limit nothing is reserved.
RESERVE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local next_free = tonumber(redis.call('GET', KEYS[1]) or 0)
if next_free < now - tonumber(ARGV[2]) then next_free = now - tonumber(ARGV[2]) end
local wait = next_free - now
if wait > tonumber(ARGV[3]) then return tostring(-wait) end
redis.call('SET', KEYS[1], string.format('%.6f', next_free + tonumber(ARGV[1])), 'EX', 3600)
return tostring(math.max(wait, 0))
"""


def reserve(account_id: int, *, per_second: float, longest_wait: float) -> float:
    """Reserve one message's turn. Returns seconds to wait, or minus that when it exceeds longest_wait.

    Raises: redis.RedisError: the pace cannot be kept; do not send.
    """
    interval = 1.0 / per_second
    burst = max(BURST_SECONDS - interval, 0.0)
    connection = django_rq.get_connection("send")
    wait = connection.eval(RESERVE, 1, f"volley:pace:{account_id}", interval, burst, longest_wait)
    return float(wait)
