"""A date and time as a person types it in their zone, and the moment it means."""

import datetime
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import timezone

from accounts.errors import Refusal
from campaigns.actions.lifecycle import FAR_LIMIT

FURTHEST: Final = FAR_LIMIT  # beyond, nothing is scheduled; it is the year that was mistyped


class NoSuchMoment(Refusal):
    code = "no_such_moment"


def moment(typed: str, zone: ZoneInfo) -> datetime.datetime:
    """The moment in UTC. An hour that happens twice, when clocks go back, means the first time.

    typed: as <input type="datetime-local"> sends it, such as "2026-12-01T09:00"; where an offset from UTC stands
    behind it, it is not of the zone.
    Raises: NoSuchMoment: no date, no time of day, skipped by the clocks, past, or over a year away.
    """
    typed = typed.strip()
    if _is_bare_date(typed):
        raise NoSuchMoment("Give a time of day too, such as 09:00.")
    try:
        meant = datetime.datetime.fromisoformat(typed)
        found = (meant if meant.tzinfo else meant.replace(tzinfo=zone)).astimezone(datetime.UTC)
        again = found.astimezone(zone).replace(tzinfo=None)
    except (ValueError, OverflowError):
        raise NoSuchMoment("Give a date and a time, such as 1 December 2026, 09:00.") from None
    if meant.tzinfo is None and again != meant:
        raise NoSuchMoment(
            f"The clocks in {zone.key} go forward then, and {meant:%H:%M} does not happen. "
            f"Choose {again:%H:%M}, or another time."
        )
    now = timezone.now()
    if found <= now:
        raise NoSuchMoment(
            f"This has passed: it is {now.astimezone(zone):%-d %B %Y, %H:%M} in {zone.key} now."
        )
    if found > now + FURTHEST:
        raise NoSuchMoment("This is more than a year away. Check the year.")
    return found


def _is_bare_date(typed: str) -> bool:
    try:
        datetime.date.fromisoformat(typed)
    except ValueError:
        return False
    return True


def as_typed(at: datetime.datetime, zone: ZoneInfo) -> str:
    """The moment as <input type="datetime-local"> shows it."""
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")
