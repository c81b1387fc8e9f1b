"""Preflight: what keeps a campaign from leaving, and what its sender should know before it does."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from selectolax.parser import HTMLParser

from accounts.queue import workers_alive
from campaigns.content import compile_content
from campaigns.models import Campaign
from campaigns.queries import audience
from delivery.content import Content
from delivery.liquid import TemplateProblem
from delivery.preview import draft_mold, recipient_of

SAMPLE = 50  # recipients that the content is tried on
GMAIL_CLIPS_AT = 102 * 1024  # bytes of HTML; the rest hides behind a link, the unsubscribe link with it
UNREACHABLE = ("http://localhost", "http://127.0.0.1", "https://localhost", "file:", "blob:")


@dataclass(frozen=True)
class Check:
    """An error keeps the campaign from leaving. fix_url_name: the page that mends it, of the campaign or settings."""

    level: Literal["error", "warning"]
    text: str
    fix_url_name: str = ""
    fix_label: str = ""


def checks(campaign: Campaign) -> list[Check]:
    """Everything that was found, errors first."""
    found = [*_audience(campaign), *_sender(campaign), *_content(campaign), *_surroundings(campaign)]
    return sorted(found, key=lambda check: check.level != "error")


def problems(campaign: Campaign) -> list[Check]:
    """The errors alone."""
    return [check for check in checks(campaign) if check.level == "error"]


def _audience(campaign: Campaign) -> Iterator[Check]:
    if not audience.recipients(campaign).exists():
        yield Check(
            "error",
            "Nobody would get it: choose a list or segment with people in it.",
            "campaign_audience",
            "Audience",
        )


def _sender(campaign: Campaign) -> Iterator[Check]:
    step, label = "campaign_sender", "Subject and sender"
    if not campaign.subject.strip():
        yield Check("error", "It has no subject.", step, label)
    if not campaign.preheader.strip():
        yield Check(
            "warning",
            "It has no preheader; inboxes show the first words of the message instead.",
            step,
            label,
        )
    try:
        validate_email(campaign.from_email)
    except ValidationError:
        yield Check("error", "The sender's e-mail address is missing.", step, label)
    account = campaign.account
    if account is None:
        yield Check("error", "No sending account is chosen.", step, label)
    elif account.stopped_reason:
        yield Check(
            "error",
            f"The sending account “{account}” is set aside: {account.stopped_reason}",
            "sending",
            "Sending",
        )
    elif account.provider != "inbox" and (account.tested_at is None or account.test_said):
        yield Check(
            "warning", f"The sending account “{account}” has not passed its test.", "sending", "Sending"
        )


def _content(campaign: Campaign) -> Iterator[Check]:
    step, label = "campaign_content", "Content"
    if not campaign.content.strip():
        yield Check("error", "It has no content.", step, label)
        return
    try:
        content = compile_content(campaign)
        _try_on_recipients(campaign, content)
    except TemplateProblem as problem:
        where = ("campaign_sender", "Subject and sender") if problem.field == "subject" else (step, label)
        yield Check("error", problem.message, *where)
        return
    yield from (Check("warning", text, step, label) for text in _in_html(content.html))


def _try_on_recipients(campaign: Campaign, content: Content) -> None:
    mold = draft_mold(content, workspace=campaign.workspace, name=campaign.name)
    for contact in audience.recipients(campaign).order_by("pk")[:SAMPLE]:
        try:
            mold.render(recipient_of(contact))
        except TemplateProblem as problem:
            raise TemplateProblem(f"For {contact.email}: {problem.message}", field=problem.field) from problem


def _in_html(html: str) -> Iterator[str]:
    size = len(html.encode())
    if size > GMAIL_CLIPS_AT:
        yield f"The message has {size // 1024} KB; Gmail cuts it off after 102 KB."
    tree = HTMLParser(html)
    if any(image.attributes.get("alt") is None for image in tree.css("img")):
        yield "Some pictures have no alternative text; many people see that first."
    links = [node.attributes.get(name) or "" for name in ("href", "src") for node in tree.css(f"[{name}]")]
    bad = [
        link for link in links if link.startswith(UNREACHABLE) and not link.startswith(settings.PUBLIC_URL)
    ]
    if bad:
        yield f"Nobody else can open {bad[0]}."


def _surroundings(campaign: Campaign) -> Iterator[Check]:
    if not campaign.workspace.postal_address.strip():
        text = "The workspace has no postal address; it stands at the foot of every campaign."
        yield Check("error", text, "workspace_settings", "Settings")
    if not workers_alive("send"):
        yield Check("warning", "No sending worker is running; it would wait until one starts.")
