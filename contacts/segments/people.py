"""Conditions on the contact itself: its names and times, and whether it can be mailed."""

import datetime
from typing import Any, ClassVar, Final

from django.db.models import OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import (
    Import,
    ImportState,
    Subscription,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
)
from contacts.segments.condition import Condition, Operator, said
from contacts.segments.inputs import Choices, Date, One, Some, Whole
from contacts.segments.sql import DAY, Clock
from contacts.segments.text import Email, TextCondition

YES_NO: Final = {"yes": Operator("is yes"), "no": Operator("is no")}


class Moment(Condition):
    """A time of the contact itself, by the workspace's days."""

    operators = {
        "on": Operator("on", (Date(label="Date"),)),
        "before": Operator("before", (Date(label="Date"),)),
        "after": Operator("after", (Date(label="Date"),)),
        "between": Operator("between", (Date("from", "From"), Date("to", "To", before="and"))),
        "last": Operator("in the last", (Whole(label="Days"),)),
        "ago": Operator("longer ago than", (Whole(label="Days"),)),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        clock: Clock = vocabulary.clock
        match operator:
            case "before":
                return self._within(None, value, clock)
            case "after":
                return self._within(value + DAY, None, clock)
            case "between":
                return self._within(value["from"], value["to"] + DAY, clock)
            case "last":
                return self._within(clock.today - value * DAY, clock.today + DAY, clock)
            case "ago":
                return self._within(None, clock.today - value * DAY, clock)
        return self._within(value, value + DAY, clock)

    def _within(self, first: datetime.date | None, end: datetime.date | None, clock: Clock) -> Q:
        since = {f"{self.key}__gte": clock.starts(first)} if first else {}
        until = {f"{self.key}__lt": clock.starts(end)} if end else {}
        return Q(**since, **until)


class Suppressed(Condition):
    operators = {
        **YES_NO,
        "because": Operator(
            "because of",
            (
                Some(
                    label="Reasons",
                    choices=lambda _vocabulary: dict(SuppressionReason.choices),
                    thing="reason",
                ),
            ),
        ),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        rows = suppressions(vocabulary.workspace)
        if operator == "because":
            rows = rows.filter(reason__in=value)
        found: Q = vocabulary.has(rows)
        return ~found if operator == "no" else found

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        if operator is self.operators["no"]:
            return "not suppressed"
        return " ".join(
            ["suppressed", *(["because of"] if value else []), *said(operator, value, vocabulary)]
        )


class Mailable(Condition):
    operators = YES_NO

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        found = mailable(vocabulary)
        return found if operator == "yes" else ~found

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        return "can be mailed" if operator is self.operators["yes"] else "cannot be mailed"


TAKEN_BACK: Final = (ImportState.UNDONE, ImportState.CANCELED)


def _imports(vocabulary: Any) -> dict[int, Import]:
    """Those that made contacts, the latest first."""

    def load(workspace: Workspace) -> dict[int, Import]:
        made_some = Import.objects.of(workspace).filter(created_count__gt=0, started_at__isnull=False)
        return {each.pk: each for each in made_some.exclude(state__in=TAKEN_BACK).order_by("-pk")}

    held: dict[int, Import] = vocabulary.once(load, "imports")
    return held


def _import_names(vocabulary: Any) -> Choices:
    zone = vocabulary.workspace.zone
    return {
        pk: f"{each.file_name}, {each.created_at.astimezone(zone):%-d %b %Y, %H:%M}"
        for pk, each in _imports(vocabulary).items()
    }


class AddedBy(Condition):
    """Made by an import; whom one only changed is not known for good."""

    ONE: ClassVar = (One(label="Import", choices=_import_names, thing="import"),)
    operators = {
        "is": Operator("the import", ONE),
        "is_not": Operator("other than the import", ONE),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        found = Q(created_at=_imports(vocabulary)[value].started_at)  # see contacts.queries.imported
        return found if operator == "is" else ~found


def mailable(vocabulary: Any) -> Q:
    """As `Contact.objects.sendable()`, within the one workspace."""
    subscribed = Subscription.objects.filter(contact=OuterRef("pk"), status=SubscriptionStatus.SUBSCRIBED)
    found: Q = vocabulary.has(subscribed, workspace=vocabulary.workspace)
    return found & ~vocabulary.has(suppressions(vocabulary.workspace))


def suppressions(workspace: Workspace) -> QuerySet[Suppression]:
    """Those of the contact that an outer query is at, by one_suppression_per_address."""
    return Suppression.objects.filter(workspace=workspace, email=Lower(OuterRef("email")))


def conditions(vocabulary: Any) -> list[Condition]:
    return [
        Email("email", "E-mail"),
        TextCondition("first_name", "First name"),
        TextCondition("last_name", "Last name"),
        Moment("created_at", "Added"),
        AddedBy("added_by", "Added by"),
        Moment("updated_at", "Last changed"),
        Mailable("mailable", "Can be mailed"),
        Suppressed("suppressed", "Suppressed"),
    ]
