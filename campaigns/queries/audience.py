"""Whom a campaign goes to: worked out in the database when asked, and frozen by the launch."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from campaigns.models import Campaign, State
from contacts.models import Contact, Segment, Subscription, SubscriptionStatus, Suppression
from contacts.segments import NOBODY, condition
from contacts.segments.vocabulary import Vocabulary


@dataclass(frozen=True)
class AudienceCount:
    """left_out: on the chosen lists or in the chosen segments, yet not written to: they left, were never
    confirmed, are suppressed, or excluded."""

    people: int
    left_out: int


def recipients(campaign: Campaign) -> QuerySet[Contact]:
    """Everyone who would get the campaign now, each once, in no order.

    Subscribed to a chosen list, or sendable and in a chosen segment; less the excluded and the suppressed.
    Whoever left a chosen list gets it by another chosen list only, not by a segment: so the pipeline asks, too.
    Cost: one statement of sub-selects; the lists' part goes by `subscription_list_idx`.
    """
    on_lists = _on(campaign.lists, SubscriptionStatus.SUBSCRIBED)
    sendable = Q(Exists(_subscriptions().filter(status=SubscriptionStatus.SUBSCRIBED)))
    segments = _in_any(campaign.segments, campaign.workspace)
    left = _on(campaign.lists, SubscriptionStatus.UNSUBSCRIBED)
    chosen = on_lists if segments is NOBODY else on_lists | (segments & sendable & ~left)
    people = Contact.objects.of(campaign.workspace).filter(chosen).filter(~_suppressed())
    if campaign.excluded_lists.exists():
        people = people.filter(~_on(campaign.excluded_lists, SubscriptionStatus.SUBSCRIBED))
    excluded = _in_any(campaign.excluded_segments, campaign.workspace)
    return people if excluded is NOBODY else people.filter(~excluded)


def count(campaign: Campaign) -> AudienceCount:
    """How many it goes to, and how many of the chosen it does not."""
    chosen = _on(campaign.lists)
    segments = _in_any(campaign.segments, campaign.workspace)
    if segments is not NOBODY:
        chosen |= segments
    people = recipients(campaign).count()
    everyone = Contact.objects.of(campaign.workspace).filter(chosen).count()
    return AudienceCount(people=people, left_out=max(0, everyone - people))


def segment_uses(segment: Segment) -> list[str]:
    """The names of campaigns that would go to other people without the segment."""
    waiting = Campaign.objects.of(segment.workspace).filter(
        Q(segments=segment) | Q(excluded_segments=segment),
        state__in=[State.DRAFT, State.SCHEDULED],
        archived_at=None,
    )
    return list(waiting.order_by("name").values_list("name", flat=True).distinct())


def _on(lists: Any, *statuses: SubscriptionStatus) -> Q:
    """Whether the contact stands on one of the lists, with one of the statuses where any is given."""
    on_them = _subscriptions().filter(list__in=lists.order_by().values("pk"))
    return Q(Exists(on_them.filter(status__in=statuses) if statuses else on_them))


def _in_any(segments: Any, workspace: Workspace) -> Q:
    """NOBODY itself where no segment is chosen."""
    rules = list(segments.order_by().values_list("rules", flat=True))
    if not rules:
        return NOBODY
    words = Vocabulary.of(workspace)
    return Q(*(condition(each, workspace, vocabulary=words) for each in rules), _connector=Q.OR)


def _subscriptions() -> QuerySet[Subscription]:
    return Subscription.objects.filter(contact=OuterRef("pk"))


def _suppressed() -> Q:
    return Q(
        Exists(Suppression.objects.filter(workspace=OuterRef("workspace"), email=Lower(OuterRef("email"))))
    )
