"""Preflight: what keeps a campaign from leaving, and what its sender should know before it does."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone
from selectolax.lexbor import LexborHTMLParser

from accounts.queue import workers_alive
from campaigns.content import compile_content
from campaigns.models import Campaign, State
from campaigns.queries import audience
from contacts.models import Contact
from delivery import days
from delivery.content import Content
from delivery.domains import standing
from delivery.liquid import TemplateProblem
from delivery.preview import draft_mold, recipient_of
from delivery.providers import PROVIDERS

SAMPLE = 50  # recipients that the content is tried on
GMAIL_CLIPS_AT = 102 * 1024  # bytes of HTML; the rest hides behind a link, the unsubscribe link with it
LOCAL_HOSTS = re.compile(r"localhost|.*\.localhost|127\..*|0\.0\.0\.0|::1", re.IGNORECASE)


@dataclass(frozen=True)
class Check:
    """An error keeps the campaign from leaving. fix_url_name: the page that mends it, of the campaign or settings."""

    level: Literal["error", "warning"]
    text: str
    fix_url_name: str = ""
    fix_label: str = ""


def checks(campaign: Campaign, *, people: int | None = None) -> list[Check]:
    """Everything that was found, errors first. people: how many it goes to, where they are counted already."""
    choice = audience.chosen(campaign)
    sample = list(audience.recipients(campaign, choice).order_by("pk")[:SAMPLE])
    found = [
        *_time(campaign),
        *_segments(campaign),
        *_audience(sample),
        *_archived(choice),
        *_sender(campaign),
        *_one_click(campaign),
        *_domain(campaign),
        *_days(campaign, people or 0),
        *_content(campaign, sample),
        *_surroundings(campaign),
    ]
    return sorted(found, key=lambda check: check.level != "error")


def problems(campaign: Campaign) -> list[Check]:
    """The errors alone."""
    return [check for check in checks(campaign) if check.level == "error"]


def _time(campaign: Campaign) -> Iterator[Check]:
    at = campaign.scheduled_at
    if at is not None and at <= timezone.now() and campaign.state == State.DRAFT:
        shown = at.astimezone(campaign.workspace.zone).strftime("%-d %b %Y, %H:%M")
        yield Check(
            "error",
            f"The time it is meant to leave, {shown}, has passed; choose a later one, or “when I press send”.",
            "campaign_schedule",
            "Schedule",
        )


def _segments(campaign: Campaign) -> Iterator[Check]:
    for problem in audience.broken(campaign):
        yield Check("error", problem, "campaign_audience", "Audience")


def _audience(sample: list[Contact]) -> Iterator[Check]:
    if not sample:
        yield Check(
            "error",
            "Nobody would get it: choose a list or segment with people in it.",
            "campaign_audience",
            "Audience",
        )


def _archived(choice: audience.Chosen) -> Iterator[Check]:
    for name in choice.archived:
        text = f"The list “{name}” is archived: leave it out, or take it back into use on its page."
        yield Check("error", text, "campaign_audience", "Audience")


def _sender(campaign: Campaign) -> Iterator[Check]:
    step, label = "campaign_sender", "Subject and sender"
    if not campaign.subject.strip():
        yield Check("error", "It has no subject.", step, label)
    if not campaign.preheader.strip():
        yield Check(
            "warning",
            "It has no preview text; inboxes show the first words of the message instead.",
            step,
            label,
        )
    if not campaign.from_email:
        yield Check("error", "The sender’s e-mail address is missing.", step, label)
    elif not _is_address(campaign.from_email):
        yield Check(
            "error", f"The sender’s address “{campaign.from_email}” is no e-mail address.", step, label
        )
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
    if account and _is_address(campaign.from_email) and (refusal := account.refusal_of(campaign.from_email)):
        yield Check("error", f"{refusal} Choose another address or account.", step, label)


def _one_click(campaign: Campaign) -> Iterator[Check]:
    """Gmail and Yahoo ask for it of whoever sends many messages (RFC 8058); nothing where no receiver will look."""
    account = campaign.account
    if account is None or not standing.is_looked_up(account, campaign.from_email):
        return
    if not PROVIDERS[account.provider].one_click(account.settings):
        text = (
            f"By “{account}” it leaves without the headers by which mail programs unsubscribe at once; "
            "the link in its text works."
        )
        yield Check("warning", text, "sender_rules", "Sender rules")
    elif not settings.PUBLIC_URL.startswith("https://"):
        text = "Volley’s address begins with http, so mail programs offer no unsubscribing at once."
        yield Check("warning", text, "sender_rules", "Sender rules")


def _domain(campaign: Campaign) -> Iterator[Check]:
    """What receivers will find when they look the sender's domain up."""
    if campaign.account is None or not _is_address(campaign.from_email):
        return
    for concern in standing.concerns(campaign.account, campaign.from_email):
        level: Literal["error", "warning"] = "error" if concern.blocks else "warning"
        yield Check(level, concern.text, "domains", "Sending domains")


def _days(campaign: Campaign, people: int) -> Iterator[Check]:
    """What the account may send on one day is not enough."""
    account, now = campaign.account, timezone.now()
    if account is None:
        return
    at = max(campaign.scheduled_at or now, now)
    day = days.today([account], now=at).get(account.pk)
    taken = days.days_for(account, people, now=at, today=day) if day else 1
    if day and taken > 1:
        left = f" ({day.left:,} left)" if day.used else ""
        yield Check(
            "warning",
            f"“{account}” may send {day.limit:,} messages in 24 hours{left}, and this goes to {people:,} people, "
            f"so it takes about {taken:,} days.",
            "sending",
            "Sending",
        )


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _content(campaign: Campaign, sample: list[Contact]) -> Iterator[Check]:
    step, label = "campaign_content", "Content"
    if not campaign.content.strip():
        yield Check("error", "It has no content.", step, label)
        return
    try:
        content = compile_content(campaign)
        html = _tried_on(sample, campaign, content)
    except TemplateProblem as problem:
        in_sender = problem.field in ("subject", "preheader")
        where = ("campaign_sender", "Subject and sender") if in_sender else (step, label)
        yield Check("error", problem.message, *where)
        return
    yield from (Check("warning", text, step, label) for text in _in_html(html))


def _tried_on(sample: list[Contact], campaign: Campaign, content: Content) -> str:
    """Fill it in for some who would get it, and for somebody of whom nothing is known.

    Returns: the HTML that the first of them would see.
    Raises: TemplateProblem: it names whom it fails for; its line would be one of the compiled message.
    """
    mold = draft_mold(content, workspace=campaign.workspace, name=campaign.name)
    seen = ""
    for contact in [*sample, None]:
        try:
            html = mold.render(recipient_of(contact)).html
        except TemplateProblem as problem:
            words = problem.message.removeprefix(f"Line {problem.line}: ")
            whom = f"For {contact.email}: " if contact else ""
            raise TemplateProblem(f"{whom}{words}", field=problem.field) from problem
        seen = seen or html
    return seen


def _in_html(html: str) -> Iterator[str]:
    size = len(html.encode(errors="replace"))
    if size > GMAIL_CLIPS_AT:
        yield (
            f"The message has {size // 1024} kB; Gmail cuts it off after 102 kB, "
            "the unsubscribe link at its end with it."
        )
    tree = LexborHTMLParser(html)
    mute = sum(1 for image in tree.css("img") if image.attributes.get("alt") is None)
    if mute:
        yield (
            f"{mute} {'picture has' if mute == 1 else 'pictures have'} no alternative text (alt); "
            "people who do not see pictures miss what they say."
        )
    links = {
        node.attributes.get(name) or "": None for name in ("href", "src") for node in tree.css(f"[{name}]")
    }
    yield from (
        f"Nobody else can open {link[:100]}; link to a public address." for link in links if _is_local(link)
    )


def _is_local(link: str) -> bool:
    """Whether it only opens on the machine of whoever wrote it; Volley's own address is what it is."""
    try:
        parts = urlsplit(link.strip())
        host = parts.hostname or ""
    except ValueError:
        return False
    own = urlsplit(settings.PUBLIC_URL)
    if parts.scheme in ("http", "https") and parts.netloc == own.netloc:
        return False
    return parts.scheme in ("file", "blob") or bool(LOCAL_HOSTS.fullmatch(host))


def _surroundings(campaign: Campaign) -> Iterator[Check]:
    if not campaign.workspace.postal_address.strip():
        text = "The workspace has no postal address; the law asks for it at the foot of every campaign."
        yield Check("error", text, "workspace_settings", "Settings")
    if not workers_alive("send"):
        yield Check("warning", "No sending worker is running; it would wait until one starts.")
