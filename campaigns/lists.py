"""What a list's and a segment's page show of campaigns; hung into `contacts.registry`."""

from django.urls import reverse

from campaigns.models import Campaign, State
from contacts.models import List, Segment
from contacts.registry import ListFact, WayOn


def links(held: List) -> list[WayOn]:
    if held.archived_at:
        return []
    return [WayOn("Send campaign", "send", f"{reverse('campaign_new')}?list={held.pk}")]


def segment_links(segment: Segment) -> list[WayOn]:
    return [WayOn("Send campaign", "send", f"{reverse('campaign_new')}?segment={segment.pk}")]


def facts(held: List) -> list[ListFact]:
    """The last campaign that was sent to the list, by the link table's index."""
    sent = Campaign.objects.of(held.workspace).filter(lists=held, state=State.SENT).select_related("mailing")
    last = sent.defer("content").order_by("-pk").first()
    if last is None or last.mailing is None:
        return [ListFact("Last campaign", "none yet")]
    reached = f"{last.name}, {last.mailing.accepted_count:,} reached"
    return [ListFact("Last campaign", reached, reverse("campaign_report", args=[last.pk]))]
