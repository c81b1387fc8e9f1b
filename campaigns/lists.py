"""What a list's page shows of campaigns; hung into `contacts.registry`."""

from django.urls import reverse

from campaigns.models import Campaign, State
from contacts.models import List
from contacts.registry import ListFact, ListLink


def links(held: List) -> list[ListLink]:
    if held.archived_at:
        return []
    return [ListLink("Send campaign", "send", f"{reverse('campaign_new')}?list={held.pk}")]


def facts(held: List) -> list[ListFact]:
    """The last campaign that was sent to the list, by the link table's index."""
    sent = Campaign.objects.of(held.workspace).filter(lists=held, state=State.SENT).select_related("mailing")
    last = sent.defer("content").order_by("-pk").first()
    if last is None or last.mailing is None:
        return [ListFact("Last campaign", "none yet")]
    reached = f"{last.name}, {last.mailing.accepted_count:,} reached"
    return [ListFact("Last campaign", reached, reverse("campaign_report", args=[last.pk]))]
