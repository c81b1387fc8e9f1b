"""What a report says of opens and clicks: read from counters and tallies, however many events there are."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import F, QuerySet, Sum

from contacts.segments.sql import Sql
from delivery.models import Delivery, Event, EventKind, HourTally, LinkTally, Mailing

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
class Link:
    """digest: names it in an address. recipients: who followed it; clicks: how often. machine_clicks: counted in
    `clicks` with machines, else apart."""

    digest: UUID
    url: str
    recipients: int
    clicks: int
    machine_clicks: int


@dataclass(frozen=True)
class Watched:
    """delivered: what the rates are of. opened, clicked: recipients. The totals count each time.
    hidden_clicks: of the machines, on the link that only they find: in their total, and on none of the links.

    with_machines: all but machine_… are of people and machines together, else of people alone. opens, clicks: whether
    they were asked for. links: the most followed ones, has_more beyond. hours: from the launch to the last one with a
    hit; none where there was none. needs_consent: only whoever had agreed was watched.
    """

    with_machines: bool
    opens: bool
    clicks: bool
    is_nameless: bool
    needs_consent: bool
    delivered: int
    opened: int
    clicked: int
    open_total: int
    click_total: int
    machine_open_total: int
    machine_click_total: int
    links: list[Link]
    has_more_links: bool
    hidden_clicks: int
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


def is_nameless(mailing: Mailing) -> bool:
    """Whether it was sent in privacy mode: nobody is told apart."""
    return bool((mailing.frame.get("tracking") or {}).get("is_nameless"))


def watched(mailing: Mailing, *, with_machines: bool = False) -> Watched:
    """Three short queries."""
    tracked = mailing.frame.get("tracking") or {}
    links = _links(mailing, with_machines=with_machines)
    opens, clicks = (mailing.machine_open_total, mailing.machine_click_total) if with_machines else (0, 0)
    return Watched(
        with_machines=with_machines,
        opens=tracked.get("opens", False),
        clicks=tracked.get("clicks", False),
        is_nameless=is_nameless(mailing),
        needs_consent=bool(tracked.get("consent")),
        delivered=mailing.delivered,
        opened=mailing.any_opened_count if with_machines else mailing.opened_count,
        clicked=mailing.any_clicked_count if with_machines else mailing.clicked_count,
        open_total=mailing.open_total + opens,
        click_total=mailing.click_total + clicks,
        machine_open_total=mailing.machine_open_total,
        machine_click_total=mailing.machine_click_total,
        links=links[:LINKS_SHOWN],
        has_more_links=len(links) > LINKS_SHOWN,
        hidden_clicks=_hidden_clicks(mailing),
        hours=_hours(mailing, with_machines=with_machines),
    )


def _links(mailing: Mailing, *, with_machines: bool) -> list[Link]:
    """One more than are shown, where there are."""
    followed = F("any_count" if with_machines else "people_count")
    clicks = F("click_total") + F("machine_total") if with_machines else F("click_total")
    rows = LinkTally.objects.filter(mailing=mailing).annotate(followed=followed, clicks=clicks)
    shown = rows.order_by("-followed", "-clicks", "url")[: LINKS_SHOWN + 1]
    return [Link(*row) for row in shown.values_list("digest", "url", "followed", "clicks", "machine_total")]


def _hidden_clicks(mailing: Mailing) -> int:
    if not mailing.machine_click_total:
        return 0
    on_links = LinkTally.objects.filter(mailing=mailing).aggregate(sum=Sum("machine_total"))["sum"] or 0
    return max(mailing.machine_click_total - on_links, 0)


def link_of(mailing: Mailing, digest: str) -> LinkTally | None:
    """The link that a digest names; None where the mailing has none of it."""
    try:
        return LinkTally.objects.filter(mailing=mailing, digest=UUID(digest)).first()
    except ValueError:
        return None


def by_link(rows: QuerySet[Delivery], link: LinkTally) -> QuerySet[Delivery]:
    """Those of a mailing's recipients who followed it, as its people are counted.

    Cost: the mailing's clicks once, by event_mailing_idx, and by the ledger's key whom they name. As an array they are
    never joined: to statistics of before the first click, one of the two would seem empty.
    """
    clicks = Event.objects.filter(
        mailing=link.mailing_id, kind=EventKind.CLICKED, is_machine=False, url=link.url, number__isnull=False
    )
    return rows.filter(Sql("{0} = ANY({1})", F("number"), ArraySubquery(clicks.values("number"))))


def _hours(mailing: Mailing, *, with_machines: bool) -> list[Hour]:
    start = mailing.created_at.replace(minute=0, second=0, microsecond=0)
    rows = HourTally.objects.filter(mailing=mailing, hour__gte=start, hour__lt=start + timedelta(hours=HOURS))
    counts = {row.hour: _counts(row, with_machines=with_machines) for row in rows}
    found = {hour: count for hour, count in counts.items() if any(count)}
    highest = max((max(count) for count in found.values()), default=0)
    if not highest:
        return []
    hours = []
    for step in range(int((max(found) - start).total_seconds() // 3600) + 1):
        at = start + timedelta(hours=step)
        opens, clicks = found.get(at, (0, 0))
        hours.append(Hour(at, opens, clicks, 100 * opens / highest, 100 * clicks / highest))
    return hours


def _counts(row: HourTally, *, with_machines: bool) -> tuple[int, int]:
    """Opens and clicks of the hour; a tally may be below zero for none."""
    opens, clicks = row.open_total, row.click_total
    if with_machines:
        opens, clicks = opens + row.machine_open_total, clicks + row.machine_click_total
    return max(opens, 0), max(clicks, 0)
