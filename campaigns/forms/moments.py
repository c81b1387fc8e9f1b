"""A date and time as a person types it in their zone, and the moment it means."""

import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.errors import Refusal

FURTHEST: Final = datetime.timedelta(days=730)  # beyond, it is the year that was mistyped


class NoSuchMoment(Refusal):
    code = "no_such_moment"


def moment(typed: str, zone: ZoneInfo) -> datetime.datetime:
    """The moment in UTC. An hour that happens twice, when clocks go back, means the first time.

    typed: as <input type="datetime-local"> sends it, such as "2026-12-01T09:00".
    Raises: NoSuchMoment: no date, skipped by the clocks, past, or years away.
    """
    try:
        local = datetime.datetime.fromisoformat(typed.strip()).replace(tzinfo=None)
        found = local.replace(tzinfo=zone).astimezone(datetime.UTC)
        again = found.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise NoSuchMoment("Give a date and a time, such as 1 December 2026, 09:00.") from None
    if again != local:
        raise NoSuchMoment(
            f"The clocks in {zone.key} go forward then, and {local:%H:%M} does not happen. "
            f"Choose {again:%H:%M}, or another time."
        )
    now = timezone.now()
    if found <= now:
        raise NoSuchMoment(
            f"This has passed: it is {now.astimezone(zone):%-d %B %Y, %H:%M} in {zone.key} now."
        )
    if found > now + FURTHEST:
        raise NoSuchMoment("This is more than two years away. Check the year.")
    return found


def as_typed(at: datetime.datetime, zone: ZoneInfo) -> str:
    """The moment as <input type="datetime-local"> shows it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
