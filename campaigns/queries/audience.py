"""Whom a campaign goes to: worked out in the database when asked, and frozen by the launch."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from campaigns.models import Campaign, State
from contacts.models import Contact, List, Segment, Subscription, SubscriptionStatus, Suppression
from contacts.segments import NOBODY, condition
from contacts.segments.vocabulary import Vocabulary

# All that a campaign says of its audience, in one query by the keys of its four link tables.
CHOSEN = """
SELECT 'lists', l.id, CASE WHEN l.archived_at IS NOT NULL THEN to_jsonb(l.name) END
  FROM campaigns_campaign_lists c JOIN contacts_list l ON l.id = c.list_id WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'excluded_lists', list_id, NULL FROM campaigns_campaign_excluded_lists WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'segments', s.id, s.rules FROM campaigns_campaign_segments c JOIN contacts_segment s ON s.id = c.segment_id
 WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'excluded_segments', s.id, s.rules
  FROM campaigns_campaign_excluded_segments c JOIN contacts_segment s ON s.id = c.segment_id
 WHERE campaign_id = %(campaign)s
"""


@dataclass(frozen=True)
class Chosen:
    """lists, excluded_lists: ids. segments, excluded_segments: {id: rules}. archived: names of lists, of those chosen."""

    lists: list[int] = field(default_factory=list)
    excluded_lists: list[int] = field(default_factory=list)
    segments: dict[int, Any] = field(default_factory=dict)
    excluded_segments: dict[int, Any] = field(default_factory=dict)
    archived: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AudienceCount:
    """left_out: on the chosen lists or in the chosen segments, yet not written to: they left, were never
    confirmed, are suppressed, or excluded."""

    people: int
    left_out: int


def chosen(campaign: Campaign) -> Chosen:
    """What is chosen and left out; one query."""
    found = Chosen()
    with connection.cursor() as cursor:
        cursor.execute(CHOSEN, {"campaign": campaign.pk})
        for kind, pk, value in cursor.fetchall():
            kept, value = getattr(found, kind), json.loads(value) if isinstance(value, str) else value
            if isinstance(kept, list):
                kept.append(pk)
            else:
                kept[pk] = value
            if kind == "lists" and value:
                found.archived.append(value)
    return found


def recipients(campaign: Campaign, choice: Chosen | None = None) -> QuerySet[Contact]:
    """Everyone who would get the campaign now, each once, in no order.

    Subscribed to a chosen list, or sendable and in a chosen segment; less the excluded and the suppressed.
    Whoever left a chosen list gets it by another chosen list only, not by a segment: so the pipeline asks, too.
    Cost: one statement of sub-selects; the lists' part goes by `subscription_list_idx`. choice: where it is read already.
    """
    return _recipients(campaign.workspace, choice or chosen(campaign), None)


def count(
    campaign: Campaign, *, choice: Chosen | None = None, vocabulary: Vocabulary | None = None
) -> AudienceCount:
    """How many it goes to, and how many of the chosen it does not. choice, vocabulary: where they are read already."""
    choice = choice or chosen(campaign)
    if vocabulary is None and (choice.segments or choice.excluded_segments):
        vocabulary = Vocabulary.of(campaign.workspace)
    wanted = _on(choice.lists) | _in_any(choice.segments, campaign.workspace, vocabulary)
    people = _recipients(campaign.workspace, choice, vocabulary).count()
    everyone = Contact.objects.of(campaign.workspace).filter(wanted).count()
    return AudienceCount(people=people, left_out=max(0, everyone - people))


def _recipients(workspace: Workspace, choice: Chosen, vocabulary: Vocabulary | None) -> QuerySet[Contact]:
    if vocabulary is None and (choice.segments or choice.excluded_segments):
        vocabulary = Vocabulary.of(workspace)
    wanted = _on(choice.lists, SubscriptionStatus.SUBSCRIBED)
    if choice.segments:
        sendable = Q(Exists(_subscriptions().filter(status=SubscriptionStatus.SUBSCRIBED)))
        left = _on(choice.lists, SubscriptionStatus.UNSUBSCRIBED)
        wanted |= _in_any(choice.segments, workspace, vocabulary) & sendable & ~left
    people = Contact.objects.of(workspace).filter(wanted).filter(~_suppressed())
    if choice.excluded_lists:
        people = people.filter(~_on(choice.excluded_lists, SubscriptionStatus.SUBSCRIBED))
    if choice.excluded_segments:
        people = people.filter(~_in_any(choice.excluded_segments, workspace, vocabulary))
    return people


def segment_uses(segment: Segment) -> list[str]:
    """The names of campaigns that would go to other people without the segment."""
    waiting = Campaign.objects.of(segment.workspace).filter(
        Q(segments=segment) | Q(excluded_segments=segment),
        state__in=[State.DRAFT, State.SCHEDULED],
        archived_at=None,
    )
    return list(waiting.order_by("name").values_list("name", flat=True).distinct())


def list_uses(held: List) -> list[str]:
    """The names of campaigns that are scheduled to go to the list."""
    waiting = Campaign.objects.of(held.workspace).filter(lists=held, state=State.SCHEDULED)
    return list(waiting.order_by("name").values_list("name", flat=True))


def _on(lists: Collection[int], *statuses: SubscriptionStatus) -> Q:
    """Whether the contact stands on one of the lists, with one of the statuses where any is given."""
    on_them = _subscriptions().filter(list__in=lists)
    return Q(Exists(on_them.filter(status__in=statuses) if statuses else on_them))


def _in_any(segments: dict[int, Any], workspace: Workspace, vocabulary: Vocabulary | None) -> Q:
    if not segments:
        return NOBODY
    parts = [condition(rules, workspace, vocabulary=vocabulary) for rules in segments.values()]
    return Q(*parts, _connector=Q.OR)


def _subscriptions() -> QuerySet[Subscription]:
    return Subscription.objects.filter(contact=OuterRef("pk"))


def _suppressed() -> Q:
    return Q(
        Exists(Suppression.objects.filter(workspace=OuterRef("workspace"), email=Lower(OuterRef("email"))))
    )
