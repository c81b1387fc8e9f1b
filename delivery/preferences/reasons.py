"""Why people left: asked on the page that says they have, shown to the marketer by campaign and by list."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Count, QuerySet
from django.urls import reverse

from contacts.models import List
from contacts.registry import ListFact
from delivery.models import Delivery, LeavingReason, Mailing, Why
from delivery.unsubscribe import Link

WORDS_LIMIT = 500  # characters
WORDS_SHOWN = 50  # answers in people's own words, the newest

FORGET = """
UPDATE delivery_leavingreason r SET words = '' FROM delivery_delivery o
 WHERE o.mailing_id = r.mailing_id AND o.number = r.number AND r.words <> '' AND {whose}
"""


@transaction.atomic
def answer(link: Link, *, why: str, words: str) -> None:
    """Keep why the person left, in place of an earlier answer; nothing, where they have not, or chose no reason."""
    delivery = Delivery.objects.select_for_update().get(pk=link.delivery.pk)
    if link.mailing.is_test or delivery.unsubscribed_at is None or why not in Why.values:
        return
    left = delivery.left or {}
    LeavingReason.objects.update_or_create(
        mailing=link.mailing,
        number=delivery.number,
        defaults={
            "workspace": link.mailing.workspace,
            "list_ids": left.get("lists", []),
            "why": why,
            "words": " ".join(words.replace("\0", "").split())[:WORDS_LIMIT],
        },
    )


def answer_of(link: Link) -> LeavingReason | None:
    return LeavingReason.objects.filter(mailing=link.mailing, number=link.delivery.number).first()


@dataclass(frozen=True)
class Share:
    """How many gave a reason; percent: of those who gave any."""

    label: str
    count: int
    percent: int


@dataclass(frozen=True)
class Answers:
    shares: list[Share]
    total: int
    words: list[LeavingReason]  # the newest first


def of_mailing(mailing: Mailing) -> Answers:
    return _answers(LeavingReason.objects.filter(mailing=mailing))


def of_list(held: List) -> Answers:
    return _answers(_of_list(held))


def _of_list(held: List) -> "QuerySet[LeavingReason]":
    return LeavingReason.objects.of(held.workspace).filter(list_ids__contains=[held.pk])


def _answers(rows: "QuerySet[LeavingReason]") -> Answers:
    counts: dict[str, int] = dict(rows.order_by().values_list("why").annotate(Count("pk")))
    total = sum(counts.values())
    shares = [
        Share(str(why.label), counts[why], round(100 * counts[why] / total)) for why in Why if why in counts
    ]
    words = rows.exclude(words="").select_related("mailing").order_by("-id")[:WORDS_SHOWN]
    return Answers(sorted(shares, key=lambda each: -each.count), total, list(words) if total else [])


def facts(held: List) -> list[ListFact]:
    """What people said of the list, in a line; hung into `contacts.registry`."""
    found = of_list(held)
    if not found.total:
        return []
    first = found.shares[0]
    text = f"Mostly “{first.label}”, {first.percent} % of {found.total:,}."
    return [ListFact("Why people leave", text, reverse("list_reasons", args=[held.pk]))]


def forget(cursor: Any, values: dict[str, Any], whose: Iterable[str]) -> None:
    """Take people's own words away; the reasons stay, for the numbers."""
    for each in whose:
        cursor.execute(FORGET.format(whose=each), values)


def of_person(contact_ids: list[int]) -> Iterable[dict[str, Any]]:
    """What they answered, for the file of all that is held on them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT r.at, m.name, r.why, r.words FROM delivery_leavingreason r"
            " JOIN delivery_delivery o ON o.mailing_id = r.mailing_id AND o.number = r.number"
            " JOIN delivery_mailing m ON m.id = r.mailing_id WHERE o.contact_id = ANY(%s) ORDER BY r.at",
            [contact_ids],
        )
        rows = cursor.fetchall()
    for at, mailing, why, words in rows:
        yield {"at": at, "mailing": mailing, "why": str(Why(why).label), "words": words}
