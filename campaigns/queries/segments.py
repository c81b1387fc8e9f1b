"""The segments that a report's numbers stand for: the rule builder's address with rules in it."""

from urllib.parse import urlencode

from django.urls import reverse

from campaigns.models import Campaign
from contacts.segments.rules import TEXT_LIMIT
from delivery.hygiene.standing import ARRIVED, CAME_BACK
from delivery.models import DeliveryState, Feedback

# {what is counted: how the segment is called, before the campaign}
NAMES = {
    DeliveryState.ACCEPTED: "Was sent",
    DeliveryState.REJECTED: "Rejected in",
    DeliveryState.SKIPPED: "Skipped in",
    DeliveryState.IN_DOUBT: "In doubt in",
    DeliveryState.CANCELED: "Not sent",
    ARRIVED: "Reached by",
    Feedback.BOUNCED: "Hard bounces of",
    Feedback.SOFT_BOUNCED: "Soft bounces of",
    Feedback.BLOCKED: "Blocked in",
    Feedback.COMPLAINED: "Complained about",
    "unsubscribed": "Unsubscribed by",
    "opened": "Opened",
    "clicked": "Clicked",
    "unopened": "Did not open",
    "unclicked": "Did not click",
}


def addresses(campaign: Campaign) -> dict[str, str]:
    """Where a new segment of each number begins; none before the launch."""
    if campaign.mailing_id is None:
        return {}
    return {key: _address(campaign, str(key), name) for key, name in NAMES.items()}


def address_of(campaign: Campaign, keys: list[str], url: str) -> str:
    """The one of the numbers asked for, or of the people who followed the link; "" where one rule cannot say it."""
    asked = [key for key in keys if key]
    if url and not asked and len(url) <= TEXT_LIMIT:
        value = {"link": url, "mailing": campaign.mailing_id}
        return _builder(f"Clicked in {campaign.name}: {url}", "clicked", "link", value)
    return addresses(campaign).get(asked[0], "") if len(asked) == 1 and not url else ""


def _address(campaign: Campaign, key: str, name: str) -> str:
    value: dict[str, int | str | None] = {"mailing": campaign.mailing_id}
    match key:
        case DeliveryState.ACCEPTED:
            subject, operator = "sent", "did"
        case "opened" | "clicked":
            subject, operator = key, "did"
        case "unopened":
            subject, operator = "opened", "ignored"
        case "unclicked":
            subject, operator = "clicked", "ignored"
        case "unsubscribed":
            subject, operator = "outcome", "left"
        case _ if key in CAME_BACK:
            subject, operator, value = "outcome", "came_back", {**value, "feedbacks": key}
        case _:
            subject, operator, value = "outcome", "is", {**value, "states": key}
    return _builder(f"{name} {campaign.name}", subject, operator, value)


def _builder(name: str, subject: str, operator: str, value: dict[str, int | str | None]) -> str:
    fields = {
        "name": name[:120],
        "rule.0.subject": subject,
        "rule.0.operator": operator,
        **{f"rule.0.value.{part}": held for part, held in value.items()},
    }
    return f"{reverse('segment_new')}?{urlencode(fields)}"
