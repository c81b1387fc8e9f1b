"""Whom a campaign goes to: worked out in the database when asked, and frozen by the launch."""

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Workspace
from campaigns.models import Campaign, State
from contacts.models import (
    WANTS_LESS,
    Contact,
    List,
    ListSuppression,
    Segment,
    Subscription,
    SubscriptionStatus,
    Suppression,
)
from contacts.queries.suppression import has_suppressions
from contacts.segments import NOBODY, condition, within
from contacts.segments.vocabulary import Vocabulary

# All that a campaign says of its audience, in one query by the keys of its four link tables.
CHOSEN = """
SELECT 'lists', l.id, CASE WHEN l.archived_at IS NOT NULL THEN l.name END, NULL, NULL::jsonb
  FROM campaigns_campaign_lists c JOIN contacts_list l ON l.id = c.list_id WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'excluded_lists', list_id, NULL, NULL, NULL FROM campaigns_campaign_excluded_lists WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'segments', s.id, s.name, s.kind, s.rules
  FROM campaigns_campaign_segments c JOIN contacts_segment s ON s.id = c.segment_id
 WHERE campaign_id = %(campaign)s
UNION ALL
SELECT 'excluded_segments', s.id, s.name, s.kind, s.rules
  FROM campaigns_campaign_excluded_segments c JOIN contacts_segment s ON s.id = c.segment_id
 WHERE campaign_id = %(campaign)s
"""


@dataclass(frozen=True)
class Chosen:
    """lists, excluded_lists: ids. segments, excluded_segments: by id, as far as rules are compiled from them.

    archived: names of lists, of those chosen.
    """

    lists: list[int] = field(default_factory=list)
    excluded_lists: list[int] = field(default_factory=list)
    segments: dict[int, Segment] = field(default_factory=dict)
    excluded_segments: dict[int, Segment] = field(default_factory=dict)
    archived: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class AudienceCount:
    """left_out: on the chosen lists or in the chosen segments, yet not written to: they left, were never
    confirmed, are suppressed, or excluded. wants_less: of the people, those whom their own choice may keep from getting
    it, which is asked when it is sent."""

    people: int
    left_out: int
    wants_less: int = 0


def chosen(campaign: Campaign) -> Chosen:
    """What is chosen and left out; one query."""
    found = Chosen()
    with connection.cursor() as cursor:
        cursor.execute(CHOSEN, {"campaign": campaign.pk})
        for chosen_as, pk, name, kind, rules in cursor.fetchall():
            kept = getattr(found, chosen_as)
            if isinstance(kept, list):
                kept.append(pk)
            else:
                rules = json.loads(rules) if isinstance(rules, str) else rules
                kept[pk] = Segment(pk=pk, workspace=campaign.workspace, name=name, kind=kind, rules=rules)
            if chosen_as == "lists" and name:
                found.archived.append(name)
    return found


def recipients(campaign: Campaign, choice: Chosen | None = None) -> QuerySet[Contact]:
    """Everyone who would get the campaign now, each once, in no order.

    Subscribed to a chosen list, or sendable and in a chosen segment; less the excluded and the suppressed.
    Whoever left a chosen list gets it by another chosen list only, not by a segment: so the pipeline asks, too.
    Cost: one statement of sub-selects; the lists' part goes by `subscription_list_idx`. choice: where it is read already.
    """
    return _recipients(campaign.workspace, choice or chosen(campaign), None)


def broken(campaign: Campaign) -> list[str]:
    """Which of its segments make no sense any more, in sentences: one that finds nobody would also leave out nobody."""
    choice = chosen(campaign)
    vocabulary = Vocabulary(campaign.workspace)
    found = (choice.segments | choice.excluded_segments).values()
    problems = ((each, vocabulary.problem(within(each))) for each in found)
    return [
        f"The segment “{each}” cannot be used as it is: {problem}" for each, problem in problems if problem
    ]


def count(
    campaign: Campaign, *, choice: Chosen | None = None, vocabulary: Vocabulary | None = None
) -> AudienceCount:
    """How many it goes to, and how many of the chosen it does not. choice, vocabulary: where they are read already."""
    choice = choice or chosen(campaign)
    if vocabulary is None and (choice.segments or choice.excluded_segments):
        vocabulary = Vocabulary(campaign.workspace)
    wanted = _on(choice.lists) | _in_any(choice.segments, campaign.workspace, vocabulary)
    recipients = _recipients(campaign.workspace, choice, vocabulary)
    people = recipients.count()
    everyone = Contact.objects.of(campaign.workspace).filter(wanted).count()
    return AudienceCount(people, max(0, everyone - people), _wants_less(campaign.workspace, recipients))


def _wants_less(workspace: Workspace, recipients: QuerySet[Contact]) -> int:
    """By contact_wants_less_idx; most workspaces have nobody there."""
    if not Contact.objects.of(workspace).filter(WANTS_LESS).exists():
        return 0
    now = Q(paused_until__gt=timezone.now()) | ~Q(frequency="")
    return recipients.filter(WANTS_LESS).filter(now).count()


def _recipients(workspace: Workspace, choice: Chosen, vocabulary: Vocabulary | None) -> QuerySet[Contact]:
    if vocabulary is None and (choice.segments or choice.excluded_segments):
        vocabulary = Vocabulary(workspace)
    wanted = _on(choice.lists, SubscriptionStatus.SUBSCRIBED)
    held = ListSuppression.objects.filter(list__in=choice.lists)
    has_held = has_suppressions(
        choice.lists
    )  # few lists have any, and asking each person for them doubles the cost
    if has_held:
        wanted = Q(Exists(_not_held(choice.lists)))
    if choice.segments:
        sendable = Q(Exists(_subscriptions().filter(status=SubscriptionStatus.SUBSCRIBED)))
        left = _on(choice.lists, SubscriptionStatus.UNSUBSCRIBED)
        if has_held:
            left |= Q(Exists(held.filter(email=Lower(OuterRef("email")))))
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


def _in_any(segments: dict[int, Segment], workspace: Workspace, vocabulary: Vocabulary | None) -> Q:
    if not segments:
        return NOBODY
    parts = [condition(within(each), workspace, vocabulary=vocabulary) for each in segments.values()]
    return Q(*parts, _connector=Q.OR)


def _subscriptions() -> QuerySet[Subscription]:
    return Subscription.objects.filter(contact=OuterRef("pk"))


def _not_held(lists: Collection[int]) -> QuerySet[Subscription]:
    """Subscriptions to lists that are not suppressed for the address, as the pipeline asks."""
    held = ListSuppression.objects.filter(list=OuterRef("list"), email=Lower(OuterRef(OuterRef("email"))))
    return _subscriptions().filter(~Exists(held), list__in=lists, status=SubscriptionStatus.SUBSCRIBED)


def _suppressed() -> Q:
    return Q(
        Exists(Suppression.objects.filter(workspace=OuterRef("workspace"), email=Lower(OuterRef("email"))))
    )
