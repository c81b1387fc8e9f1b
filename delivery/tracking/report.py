"""What a report says of opens and clicks: read from counters and tallies, however many events there are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from delivery.models import HourTally, LinkTally, Mailing

LINKS_SHOWN: Final = 50
HOURS: Final = 48  # since the launch


@dataclass(frozen=True)
class Hour:
    """opens, clicks: how many. open_share, click_share: 0-100, of the highest of all."""

    at: datetime
    opens: int
    clicks: int
    open_share: float
    click_share: float


@dataclass(frozen=True)
class Watched:
    """delivered: what the rates are of. opened, clicked: people. The totals count each time.

    opens, clicks: whether they were asked for. links: the most followed ones, has_more beyond. hours: from the launch
    to the last one with a hit; none where there was none.
    """

    opens: bool
    clicks: bool
    is_nameless: bool
    delivered: int
    opened: int
    clicked: int
    open_total: int
    click_total: int
    machine_open_total: int
    machine_click_total: int
    links: list[LinkTally]
    has_more_links: bool
    hours: list[Hour]

    @property
    def machine_total(self) -> int:
        return self.machine_open_total + self.machine_click_total

    @property
    def is_on(self) -> bool:
        return self.opens or self.clicks or bool(self.open_total or self.click_total or self.machine_total)

    @property
    def width(self) -> int:
        """Of the drawing, ten to an hour."""
        return 10 * len(self.hours)


def watched(mailing: Mailing) -> Watched:
    """Two short queries."""
    tracked = mailing.frame.get("tracking") or {}
    rows = LinkTally.objects.filter(mailing=mailing).order_by("-people_count", "-click_total", "url")
    links = list(rows[: LINKS_SHOWN + 1])
    return Watched(
        opens=tracked.get("opens", False),
        clicks=tracked.get("clicks", False),
        is_nameless=tracked.get("is_nameless", False),
        delivered=mailing.delivered,
        opened=mailing.opened_count,
        clicked=mailing.clicked_count,
        open_total=mailing.open_total,
        click_total=mailing.click_total,
        machine_open_total=mailing.machine_open_total,
        machine_click_total=mailing.machine_click_total,
        links=links[:LINKS_SHOWN],
        has_more_links=len(links) > LINKS_SHOWN,
        hours=_hours(mailing),
    )


def _hours(mailing: Mailing) -> list[Hour]:
    start = mailing.created_at.replace(minute=0, second=0, microsecond=0)
    rows = HourTally.objects.filter(mailing=mailing, hour__gte=start, hour__lt=start + timedelta(hours=HOURS))
    found = {row.hour: row for row in rows if row.open_total > 0 or row.click_total > 0}
    highest = max((max(row.open_total, row.click_total) for row in found.values()), default=0)
    if not highest:
        return []
    hours, none = [], HourTally()
    for step in range(int((max(found) - start).total_seconds() // 3600) + 1):
        at = start + timedelta(hours=step)
        row = found.get(at, none)
        opens, clicks = max(row.open_total, 0), max(row.click_total, 0)
        hours.append(Hour(at, opens, clicks, 100 * opens / highest, 100 * clicks / highest))
    return hours
