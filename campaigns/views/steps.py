"""What the editor's pages show beside the forms: the steps, the audience in rows, merge tags."""

from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse

from accounts.errors import Refusal
from campaigns import starters
from campaigns.forms.editor import AudienceForm, ContentForm
from campaigns.models import Campaign
from campaigns.preflight import Check
from campaigns.queries import audience
from contacts.models import CustomField
from contacts.queries import lists
from contacts.queries.limits import at_most
from contacts.segments import segment_in_words
from contacts.segments.vocabulary import Vocabulary

STEPS: Final = {
    "audience": "Audience",
    "content": "Content",
    "sender": "Subject and sender",
    "schedule": "Schedule",
    "review": "Review and send",
}
COUNT_SECONDS: Final = 3  # longer, and the page says so instead of waiting
MERGE_TAGS: Final = (
    ("First name", '{{ contact.first_name | default: "there" }}'),
    ("Last name", "{{ contact.last_name }}"),
    ("First and last name", '{{ contact.name | default: "friend" }}'),
    ("E-mail address", "{{ contact.email }}"),
)
OTHER_TAGS: Final = (
    ("Unsubscribe link", "{{ unsubscribe_url }}"),
    ("Link to the preferences", "{{ preferences_url }}"),
    ("Your workspace’s name", "{{ workspace.name }}"),
    ("Your postal address", "{{ workspace.postal_address }}"),
    ("The campaign’s name", "{{ campaign.name }}"),
    ("Only if there is a first name", "{% if contact.first_name %}…{% endif %}"),
)


@dataclass(frozen=True)
class StepLink:
    number: int
    label: str
    url: str
    is_here: bool


@dataclass(frozen=True)
class Choice:
    """A list or segment that may be sent to or left out."""

    pk: int
    name: str
    about: str
    people: int | None
    is_in: bool
    is_out: bool


def shown_steps(campaign: Campaign, here: str) -> list[StepLink]:
    return [
        StepLink(number, label, reverse(f"campaign_{step}", args=[campaign.pk]), step == here)
        for number, (step, label) in enumerate(STEPS.items(), start=1)
    ]


def shown_check(check: Check, campaign: Campaign) -> dict[str, str]:
    """The check with the address of the page that mends it."""
    of_campaign = check.fix_url_name.startswith("campaign_")
    url = reverse(check.fix_url_name, args=[campaign.pk] if of_campaign else []) if check.fix_url_name else ""
    return {"level": check.level, "text": check.text, "fix_url": url, "fix_label": check.fix_label}


def next_step(step: str) -> str:
    order = list(STEPS)
    return order[order.index(step) + 1]


def audience_count(
    campaign: Campaign, choice: audience.Chosen | None = None, vocabulary: Vocabulary | None = None
) -> dict[str, Any]:
    """people, left_out and wants_less, or the words of why they cannot be told."""
    try:
        with at_most(COUNT_SECONDS):
            count = audience.count(campaign, choice=choice, vocabulary=vocabulary)
    except Refusal as refusal:
        return {"problem": refusal.message}
    return {"people": count.people, "left_out": count.left_out, "wants_less": count.wants_less}


def audience_context(form: AudienceForm) -> dict[str, Any]:
    vocabulary = Vocabulary(form.campaign.workspace)
    return {
        "list_choices": _list_choices(form),
        "segment_choices": _segment_choices(form, vocabulary),
        "audience": audience_count(form.campaign, None if form.is_bound else form.held, vocabulary),
    }


def _list_choices(form: AudienceForm) -> list[Choice]:
    rows = list(form.offered_lists)
    found = lists.counts(form.campaign.workspace, rows)
    chosen, left_out = form.chosen("lists"), form.chosen("excluded_lists")
    none = lists.Counts()
    return [
        Choice(
            row.pk,
            row.name,
            row.description,
            found.get(row.pk, none).subscribed,
            row.pk in chosen,
            row.pk in left_out,
        )
        for row in rows
    ]


def _segment_choices(form: AudienceForm, vocabulary: Vocabulary) -> list[Choice]:
    chosen, left_out = form.chosen("segments"), form.chosen("excluded_segments")
    return [
        Choice(
            row.pk, row.name, segment_in_words(row, vocabulary), None, row.pk in chosen, row.pk in left_out
        )
        for row in form.offered_segments
    ]


def content_context(form: ContentForm) -> dict[str, Any]:
    campaign = form.campaign
    fields = CustomField.objects.of(campaign.workspace)
    own = [(field.label, f'{{{{ contact.{field.key} | default: "" }}}}') for field in fields]
    return {
        "tag_groups": [("About the person", MERGE_TAGS), ("Your own fields", own), ("Also", OTHER_TAGS)],
        "starters": [] if campaign.content.strip() or form.is_bound else starters.STARTERS,
        "line": getattr(form, "line", None),
    }
