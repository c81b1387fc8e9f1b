"""When a deferred message is tried again, and when to give up."""

import random
from datetime import datetime, timedelta

from django.conf import settings

LONGEST_ASKED = 86_400.0  # seconds; what a server may ask for, whatever number it writes
LONGEST_WAIT = 3600.0  # seconds between two tries


def wait_seconds(attempt_count: int, *, asked: float | None = None) -> float:
    """Exponential back-off with jitter, or at least what the server asked for. attempt_count: tries before this one."""
    wait = min(settings.RETRY_FIRST_SECONDS * 2.0 ** min(attempt_count, 20), LONGEST_WAIT)
    spread = wait * random.uniform(0.8, 1.2)  # noqa: S311  (spreads load, guards nothing)
    return max(spread, min(asked or 0.0, LONGEST_ASKED))


def is_too_late(deferred_since: datetime, now: datetime) -> bool:
    """Receivers' greylists and outages end within a day; RETRY_HOURS says when to stop."""
    return now - deferred_since > timedelta(hours=settings.RETRY_HOURS)
