"""How segments are read: the list, and who matches, within a time a page can wait."""

import time
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import connection
from django.db.models import BigIntegerField, ExpressionWrapper, F, QuerySet
from django.db.models.expressions import RawSQL

from accounts.models import Workspace
from accounts.pages import Page, page_of
from contacts import segments
from contacts.models import Contact, Segment
from contacts.queries.limits import TakesTooLong, at_most
from contacts.segments import people
from contacts.segments.rules import RulesProblem, every_rule, read
from contacts.segments.vocabulary import Vocabulary

LIVE_SECONDS: Final = 1.0  # for counting while rules are edited; longer, and an estimate is shown
EXACT_SECONDS: Final = 20.0  # where somebody asked for the exact count
PAGE_SECONDS: Final = 3.0  # for a page of who matches
EXAMPLES_SECONDS: Final = 0.4  # for each of two ways to the newest ones
SAMPLE_ROWS: Final = 50_000  # of the contacts' table, read for an estimate
FEWEST: Final = 20  # found in the sample; an estimate from fewer is no figure
EXAMPLES: Final = 10

# Every so many pages of the table, the same ones each time; a page holds who came together, so none is left out by rule.
SAMPLE: Final = "SELECT id FROM contacts_contact TABLESAMPLE SYSTEM (%s) REPEATABLE (1)"
TABLE_ROWS: Final = "SELECT greatest(reltuples, 1) FROM pg_class WHERE oid = 'contacts_contact'::regclass"


@dataclass(frozen=True)
class Figure:
    """A number of people. about: estimated from a sample, to two digits; below FEWEST found, `people` is the most
    that is likely."""

    people: int
    about: bool = False
    is_few: bool = False

    @property
    def words(self) -> str:
        return f"{'fewer than ' if self.is_few else 'about ' if self.about else ''}{self.people:,}"


@dataclass(frozen=True)
class Count:
    """matching: contacts. sendable: those who can be mailed. None: not known in time. examples: the newest of them."""

    matching: Figure | None
    sendable: Figure | None
    examples: list[Contact] = field(default_factory=list)

    @property
    def is_exact(self) -> bool:
        return all(each is not None and not each.about for each in (self.matching, self.sendable))


def search(workspace: Workspace, words: str = "") -> QuerySet[Segment]:
    return Segment.objects.of(workspace).filter(name__icontains=words)


def count(rules: Any, workspace: Workspace, *, seconds: float = LIVE_SECONDS) -> Count:
    """Count who matches, exactly within that many seconds for both figures, else from a sample.

    Cost: up to a scan of the workspace's contacts; a sample reads SAMPLE_ROWS of the table.
    """
    found = segments.matching(rules, workspace)
    mailable = found.filter(people.mailable(Vocabulary(workspace)))
    began = time.monotonic()
    matching = _exactly(found, seconds)
    left = max(seconds - (time.monotonic() - began), 0.05)
    nobody = matching is not None and matching.people == 0
    sendable = matching if nobody else matching and _exactly(mailable, left)
    matching = matching or _estimated(found, seconds)
    sendable = sendable or _estimated(mailable, seconds)
    return Count(matching, _at_most_as_many(sendable, matching), [] if nobody else _examples(found))


def people_count(segment: Segment, *, seconds: float) -> int | None:
    """Exactly how many are in it; None: not known in so many seconds."""
    figure = _exactly(segments.matching(segment, segment.workspace), seconds)
    return figure.people if figure else None


def page_of_people(segment: Segment, *, cursor: str) -> Page[Contact]:
    """A page of who matches, newest first.

    Raises: TakesTooLong: no answer within PAGE_SECONDS, neither by going from the newest back nor by sorting all.
    """
    found = segments.matching(segment, segment.workspace)
    try:
        with at_most(EXAMPLES_SECONDS):
            return page_of(found, order="-id", cursor=cursor)
    except TakesTooLong:
        with at_most(PAGE_SECONDS):
            return page_of(_unordered(found), order="-newest", cursor=cursor)


def uses(segment: Segment) -> list[str]:
    """The names of other segments whose rules speak of this one. Cost: a reading of the workspace's segments."""
    others = Segment.objects.of(segment.workspace).exclude(pk=segment.pk).order_by("name")
    return [each.name for each in others if segment.pk in inner(each.rules)]


def inner(rules: Any) -> set[int]:
    """The ids of the segments that rules speak of."""
    try:
        found = [rule.value for rule in every_rule(read(rules)) if rule.subject == "segment"]
    except RulesProblem:
        return set()
    return {pk for pk in found if isinstance(pk, int)}


def _at_most_as_many(sendable: Figure | None, matching: Figure | None) -> Figure | None:
    """An estimate may not say that more can be mailed than match."""
    if sendable and matching and sendable.about and sendable.people > matching.people:
        return Figure(matching.people, about=True, is_few=sendable.is_few)
    return sendable


def _exactly(found: QuerySet[Contact], seconds: float) -> Figure | None:
    try:
        with at_most(seconds):
            return Figure(found.count())
    except TakesTooLong:
        return None


def _estimated(found: QuerySet[Contact], seconds: float) -> Figure | None:
    """From a part of the table's pages: the planner's own guess may be off by a hundred, as it knows no fields.

    Measured at a million contacts: within 5 % from 75 000 found, 15 % from 20 000, a third for a thousand.
    """
    try:
        with at_most(seconds), connection.cursor() as cursor:
            cursor.execute(TABLE_ROWS)
            percent = min(100.0, 100.0 * SAMPLE_ROWS / cursor.fetchone()[0])
            seen = found.filter(pk__in=RawSQL(SAMPLE, [percent])).count()  # noqa: S611  (a constant)
    except TakesTooLong:
        return None
    if seen < FEWEST:
        return Figure(_rounded(FEWEST * 100 / percent), about=True, is_few=True)
    return Figure(_rounded(seen * 100 / percent), about=True)


def _rounded(number: float) -> int:
    """To two digits, as much as a sample can say."""
    whole = round(number)
    return round(whole, 2 - len(str(whole)))


def _examples(found: QuerySet[Contact]) -> list[Contact]:
    """The newest: going back from the newest contact is quick where many match, sorting all where few do."""
    for rows in (found.order_by("-pk"), _unordered(found).order_by("-newest")):
        try:
            with at_most(EXAMPLES_SECONDS):
                return list(rows[:EXAMPLES])
        except TakesTooLong:
            continue
    return []


def _unordered(found: QuerySet[Contact]) -> QuerySet[Any]:
    """With an order that no index has, so that the planner finds all of them first."""
    return found.annotate(newest=ExpressionWrapper(F("pk") + 0, output_field=BigIntegerField()))
