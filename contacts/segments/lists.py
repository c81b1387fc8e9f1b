"""Conditions on lists and tags."""

from dataclasses import replace
from typing import Any, ClassVar, Final

from django.db.models import DateTimeField, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce

from contacts.models import HAS_TAGS, List, Subscription, SubscriptionStatus, Tag
from contacts.segments.condition import Condition, Operator, said
from contacts.segments.inputs import Choices, Date, One, Some, Text, Whole
from contacts.segments.sql import DAY


def lists(vocabulary: Any) -> Choices:
    return vocabulary.once(
        lambda workspace: dict(List.objects.of(workspace).values_list("pk", "name")), "lists"
    )


def tags(vocabulary: Any) -> Choices:
    return vocabulary.once(
        lambda workspace: dict(Tag.objects.of(workspace).values_list("pk", "name")), "tags"
    )


LIST: Final = One(label="List", choices=lists, thing="list", blank="any list")
ON_LIST: Final = One("list", label="List", before="on", choices=lists, thing="list", blank="any list")
DAYS: Final = Whole("days", label="Days")
DATE: Final = Date("date", label="Date")
STATUSES: Final = {
    "subscribed": [SubscriptionStatus.SUBSCRIBED],
    "pending": [SubscriptionStatus.PENDING],
    "unsubscribed": [SubscriptionStatus.UNSUBSCRIBED],
    "not_on": [SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.PENDING],
}


class OnList(Condition):
    """Not on a list is who is neither subscribed nor about to confirm. Joined: when they agreed, else when added."""

    group = "Lists"
    operators = {
        "subscribed": Operator("subscribed to", (LIST,)),
        "pending": Operator("unconfirmed on", (LIST,)),
        "unsubscribed": Operator("unsubscribed from", (LIST,)),
        "not_on": Operator("not on", (LIST,)),
        "joined_last": Operator("joined in the last", (DAYS, ON_LIST)),
        "joined_before": Operator("joined before", (DATE, ON_LIST)),
        "joined_after": Operator("joined after", (DATE, ON_LIST)),
        "left_last": Operator("left in the last", (DAYS, replace(ON_LIST, before="from"))),
        "source": Operator("consent source contains", (Text("text", label="Text"), ON_LIST)),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        if operator in STATUSES:
            rows = self._rows(value).filter(status__in=STATUSES[operator])
            found: Q = vocabulary.has(rows, workspace=vocabulary.workspace)
            return ~found if operator == "not_on" else found
        rows, clock = self._rows(value["list"]), vocabulary.clock
        joined = rows.filter(status=SubscriptionStatus.SUBSCRIBED).alias(
            joined_at=Coalesce("consent_at", "created_at", output_field=DateTimeField())
        )
        match operator:
            case "joined_last":
                rows = joined.filter(joined_at__gte=clock.since(value["days"]))
            case "joined_before":
                rows = joined.filter(joined_at__lt=clock.starts(value["date"]))
            case "joined_after":
                rows = joined.filter(joined_at__gte=clock.starts(value["date"] + DAY))
            case "left_last":
                left = rows.filter(status=SubscriptionStatus.UNSUBSCRIBED)
                rows = left.filter(unsubscribed_at__gte=clock.since(value["days"]))
            case _:
                rows = rows.filter(consent_source__icontains=value["text"])
        return vocabulary.has(rows, workspace=vocabulary.workspace)

    def in_words(self, operator: Operator, value: Any, vocabulary: Any) -> str:
        return " ".join([operator.label, *said(operator, value, vocabulary)])

    def _rows(self, pk: int | None) -> QuerySet[Subscription]:
        rows = Subscription.objects.filter(contact=OuterRef("pk"))
        return rows if pk is None else rows.filter(list=pk)


class Tags(Condition):
    group = "Tags"
    SOME: ClassVar = (Some(label="Tags", choices=tags, thing="tag"),)
    operators = {
        "any_of": Operator("have any of", SOME),
        "all_of": Operator("have all of", SOME),
        "none_of": Operator("have none of", SOME),
        "empty": Operator("have none at all"),
        "not_empty": Operator("have one or more"),
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        match operator:
            case "any_of":
                return Q(tag_ids__overlap=value) & HAS_TAGS  # contact_tags_idx
            case "all_of":
                return Q(tag_ids__contains=value) & HAS_TAGS
            case "empty" | "not_empty":
                return HAS_TAGS if operator == "not_empty" else ~HAS_TAGS
        return ~Q(tag_ids__overlap=value)


def conditions(vocabulary: Any) -> list[Condition]:
    return [OnList("list", "List"), Tags("tags", "Tags")]
