"""What keeps a list's people from being asked, in words; hung into `contacts.registry` for the list's page."""

from dataclasses import dataclass
from typing import Final

from django.urls import reverse

from accounts.queue import workers_alive
from contacts.models import List, OptIn, Subscription, SubscriptionStatus
from contacts.registry import ListNote, WayOn
from delivery.confirming.asking import unasked
from delivery.confirming.sender import way_of
from delivery.confirming.wording import words_of
from delivery.mailings import open_count
from delivery.models import Mailing, MailingState

COUNTED: Final = 10_000  # people; beyond, the page says "10,000+"
SHOWN: Final = 5  # mailings that stand still


@dataclass(frozen=True)
class Stuck:
    """A mailing of confirmations that waits for somebody or something."""

    mailing: Mailing
    open: int
    why: str

    @property
    def is_paused(self) -> bool:
        return self.mailing.state == MailingState.PAUSED


def stuck(held: List) -> list[Stuck]:
    """The mailings that are paused or in trouble, by mailing_confirms_idx."""
    rows = Mailing.objects.filter(
        confirms=held, state__in=(MailingState.SENDING, MailingState.PAUSED), is_test=False
    )
    found = rows.exclude(state_reason="").select_related("account").order_by("pk")[:SHOWN]
    return [Stuck(each, open_count(each), each.state_reason) for each in found]


def links(held: List) -> list[WayOn]:
    if held.opt_in != OptIn.DOUBLE or held.archived_at:
        return []
    return [
        WayOn("Confirmation mail", "mail-check", reverse("list_confirmation", args=[held.pk]), is_quiet=True)
    ]


def notes(held: List) -> list[ListNote]:
    """Four short queries at most, and for a list that asks nobody one; of a list that is about to be made, too."""
    if held.archived_at:
        return []
    if held.pk is None:
        return _unmade(held)
    if held.opt_in != OptIn.DOUBLE:
        return _deaf(held)
    return [*_waiting(held), *_stuck(held)]


def _deaf(held: List) -> list[ListNote]:
    pending = Subscription.objects.filter(
        workspace=held.workspace_id, list=held, status=SubscriptionStatus.PENDING
    )
    if not pending.exists():
        return []
    text = "Nobody asks the unconfirmed people of this list, since it is single opt-in. Make it double, and they are."
    return [ListNote(text, "info", reverse("list_edit", args=[held.pk]), "Edit the list")]


def _unmade(held: List) -> list[ListNote]:
    problem = way_of(words_of(held), held.workspace).problem
    wait = "The people of this import wait until it is mended on the list’s page."
    return [ListNote(f"Nobody can be asked to confirm yet. {problem} {wait}")] if problem else []


def _waiting(held: List) -> list[ListNote]:
    count = unasked(held)[: COUNTED + 1].count()
    way = way_of(words_of(held), held.workspace)
    page = reverse("list_confirmation", args=[held.pk])
    if way.problem:
        wait = f"{_many(count)} to be asked." if count else "Nobody can be asked to confirm."
        return [ListNote(f"{wait} {way.problem}", "warning", page, "Confirmation mail")]
    if count and not workers_alive("clock"):
        return [
            ListNote(
                f"{_many(count)} to be asked, and the clock is not running. They are asked once it does."
            )
        ]
    if count:
        return [ListNote(f"{_many(count)} to be asked; the mails leave within seconds.", "info")]
    return []


def _many(count: int) -> str:
    if count > COUNTED:
        return f"{COUNTED:,}+ people wait"
    return "1 person waits" if count == 1 else f"{count:,} people wait"


def _stuck(held: List) -> list[ListNote]:
    page = reverse("list_confirmation", args=[held.pk])
    return [
        ListNote(
            f"{each.open:,} {'confirmation waits' if each.open == 1 else 'confirmations wait'}: {each.why}",
            "warning",
            page,
            "See to it" if each.is_paused else "",
        )
        for each in stuck(held)
    ]
