"""How lists grow: who joined and left by day, from the sums that the clock keeps."""

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import List

# {days looked back: days in one step of the chart}
SPANS: Final = {30: 1, 90: 1, 365: 7, 3650: 61}
SPAN_WORDS: Final = {30: "30 days", 90: "90 days", 365: "1 year", 3650: "10 years"}
USUAL_SPAN: Final = 90
MONTH: Final = 30  # days

# Cost: a row for each day on which something happened, by one_row_per_list_and_day.
DAYS: Final = """
SELECT day, sum(joined_count)::int, sum(left_count)::int FROM (
    SELECT day, joined_count, left_count FROM contacts_listday WHERE list_id = %(list)s AND day >= %(since)s
    UNION ALL
    SELECT day, joined_count, left_count FROM contacts_listchange WHERE list_id = %(list)s AND day >= %(since)s
) AS days GROUP BY day
"""
GAINED: Final = """
SELECT list_id, sum(joined_count - left_count)::int FROM (
    SELECT list_id, day, joined_count, left_count FROM contacts_listday
     WHERE list_id = ANY(%(lists)s) AND day >= %(since)s
    UNION ALL
    SELECT list_id, day, joined_count, left_count FROM contacts_listchange
     WHERE list_id = ANY(%(lists)s) AND day >= %(since)s
) AS days GROUP BY list_id
"""
# What changed in the last two seconds may be missing. Cost: thirty rows a list in use at most.
MOVED: Final = """
SELECT l.id, l.name, sum(d.joined_count)::int, sum(d.left_count)::int
  FROM contacts_list l JOIN contacts_listday d ON d.list_id = l.id AND d.day >= %(since)s
 WHERE l.workspace_id = %(workspace)s AND l.archived_at IS NULL
 GROUP BY l.id ORDER BY abs(sum(d.joined_count - d.left_count)) DESC, sum(d.joined_count) DESC, l.name LIMIT %(limit)s
"""


@dataclass(frozen=True)
class Step:
    """One bar of the chart. day: its first. total: subscribed at its end."""

    day: datetime.date
    joined: int
    left: int
    total: int

    @property
    def net(self) -> int:
        return self.joined - self.left


@dataclass(frozen=True)
class Growth:
    """steps: oldest first, without gaps; step_days: how long each is."""

    days: int
    step_days: int
    steps: list[Step]

    @property
    def until(self) -> datetime.date:
        return self.steps[-1].day + datetime.timedelta(days=self.step_days - 1)

    @property
    def joined(self) -> int:
        return sum(step.joined for step in self.steps)

    @property
    def left(self) -> int:
        return sum(step.left for step in self.steps)

    @property
    def net(self) -> int:
        return self.joined - self.left


@dataclass(frozen=True)
class Moved:
    """What became of a list in the last month."""

    pk: int
    name: str
    joined: int
    left: int

    @property
    def net(self) -> int:
        return self.joined - self.left


def growth(held: List, *, subscribed: int, days: int) -> Growth:
    """The list's last days, UTC; one query whatever the list's size. subscribed: how many are now."""
    step_days = SPANS[days]
    today = timezone.now().date()
    count = -(-days // step_days)
    since = today - datetime.timedelta(days=count * step_days - 1)
    with connection.cursor() as cursor:
        cursor.execute(DAYS, {"list": held.pk, "since": since})
        found = cursor.fetchall()
    joined: defaultdict[int, int] = defaultdict(int)
    left: defaultdict[int, int] = defaultdict(int)
    for day, came, went in found:
        place = min((day - since).days // step_days, count - 1)
        joined[place] += came
        left[place] += went
    total, steps = subscribed - sum(joined.values()) + sum(left.values()), []
    for place in range(count):
        total += joined[place] - left[place]
        day = since + datetime.timedelta(days=place * step_days)
        steps.append(Step(day, joined[place], left[place], total))
    return Growth(days, step_days, steps)


def gained(lists: Collection[List]) -> dict[int, int]:
    """{list id: how many more are subscribed than a month ago}; one query."""
    with connection.cursor() as cursor:
        cursor.execute(GAINED, {"lists": [each.pk for each in lists], "since": _month_ago()})
        return dict(cursor.fetchall())


def moved(workspace: Workspace, *, limit: int) -> list[Moved]:
    """The lists that grew or shrank most within a month."""
    values: dict[str, Any] = {"workspace": workspace.pk, "since": _month_ago(), "limit": limit}
    with connection.cursor() as cursor:
        cursor.execute(MOVED, values)
        return [Moved(*row) for row in cursor.fetchall()]


def _month_ago() -> datetime.date:
    return timezone.now().date() - datetime.timedelta(days=MONTH - 1)


# --- The chart, as shapes in a box of 100 units' height ------------------------------------------------------

BAR: Final = 10  # units of width for each step, a fifth of them a gap


@dataclass(frozen=True)
class Chart:
    """joined, left: all their bars as one path. line: points of the total's curve, from lowest to highest.

    steps: (x, day, joined, left, total) of each as it is written, since a page has hundreds of them, and a template
    takes five times as long to write a number.
    """

    width: int
    joined: str
    left: str
    line: str
    steps: list[tuple[str, str, str, str, str]]
    highest: int
    lowest: int


def chart(found: Growth) -> Chart:
    """Bars up for who joined and down for who left, on one scale; above them the total on its own."""
    most_up = max(step.joined for step in found.steps)
    most_down = max(step.left for step in found.steps)
    unit = 100 / max(most_up + most_down, 1)
    totals = [step.total for step in found.steps]
    return Chart(
        width=len(found.steps) * BAR,
        joined=_bars(most_up * unit, [-step.joined * unit for step in found.steps]),
        left=_bars(most_up * unit, [step.left * unit for step in found.steps]),
        line=" ".join(_points(totals)),
        steps=[
            (
                f"{place * BAR}",
                f"{step.day:%-d %b %Y}",
                f"{step.joined:,}",
                f"{step.left:,}",
                f"{step.total:,}",
            )
            for place, step in enumerate(found.steps)
        ],
        highest=max(totals),
        lowest=min(totals),
    )


def _bars(zero: float, heights: Iterable[float]) -> str:
    """A path of bars that stand on the axis or hang from it. zero: the axis, from the top. heights: downwards."""
    drawn = ((place * BAR, height) for place, height in enumerate(heights) if height)
    return "".join(f"M{x} {zero:.2f}h{BAR * 4 // 5}v{height:.2f}h-{BAR * 4 // 5}z" for x, height in drawn)


def _points(totals: list[int]) -> Iterator[str]:
    lowest, highest = min(totals), max(totals)
    for place, total in enumerate(totals):
        share = (total - lowest) / (highest - lowest) if highest > lowest else 0.5
        yield f"{place * BAR + BAR // 2},{96 - 92 * share:.1f}"
