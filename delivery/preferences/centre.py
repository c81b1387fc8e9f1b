"""What the preference centre shows the holder of a link, and what saving it does."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from contacts.actions import confirmations
from contacts.actions.preferences import prefer
from contacts.actions.subscriptions import subscribe, unsubscribe
from contacts.collisions import again_when_ended
from contacts.models import (
    Contact,
    Frequency,
    List,
    OptIn,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from delivery import unsubscribe as leaving
from delivery.unsubscribe import Link

PAUSES: Final = (30, 60, 90)  # days


@dataclass(frozen=True)
class Topic:
    """A list that the person may choose. is_waiting: they are asked to confirm it."""

    list: List
    is_on: bool
    is_waiting: bool


@dataclass(frozen=True)
class Choice:
    """What was typed. shown: ids of the lists that the page offered; chosen: of those ticked.

    pause: days from now, 0: not at all, None: as it is.
    """

    shown: frozenset[int]
    chosen: frozenset[int]
    frequency: str
    pause: int | None
    language: str

    @classmethod
    def read(
        cls, *, shown: Collection[str], chosen: Collection[str], frequency: str, pause: str, language: str
    ) -> "Choice":
        """Whatever makes no sense changes nothing."""
        return cls(
            shown=_ids(shown),
            chosen=_ids(chosen),
            frequency=frequency,
            pause=int(pause) if pause in ("0", *map(str, PAUSES)) else None,
            language=language,
        )


def _ids(typed: Collection[str]) -> frozenset[int]:
    return frozenset(int(each) for each in typed if each.isascii() and each.isdigit() and len(each) < 19)


def topics(link: Link) -> list[Topic]:
    """The public lists, and those of the message that they are on or left by themselves; in two queries, by name."""
    if link.contact is None:
        return []
    subscriptions = {each.list_id: each for each in Subscription.objects.filter(contact=link.contact)}
    held = {pk: each.status for pk, each in subscriptions.items()}
    theirs = [pk for pk in link.mailing.list_ids if pk in held and _may_join(subscriptions[pk])]
    offered = List.objects.of(link.mailing.workspace).filter(archived_at=None)
    found = offered.filter(is_public=True) | offered.filter(pk__in=theirs)
    made = [
        Topic(
            each,
            is_on=held.get(each.pk) == SubscriptionStatus.SUBSCRIBED,
            is_waiting=held.get(each.pk) == SubscriptionStatus.PENDING,
        )
        for each in found
    ]
    return sorted(made, key=lambda each: each.list.shown_name.lower())


def _may_join(subscription: Subscription) -> bool:
    """Whether they are on the list, or may come back to it: whom somebody else took off stays off."""
    if subscription.status == SubscriptionStatus.UNSUBSCRIBED:
        return subscription.left_by_themselves
    return subscription.status == SubscriptionStatus.SUBSCRIBED


def is_held(contact: Contact) -> bool:
    """Whether nothing is sent to the address for a reason that is not the person's own to lift."""
    return leaving.suppressions(contact).exclude(reason=SuppressionReason.UNSUBSCRIBED).exists()


def has_left_everything(contact: Contact) -> bool:
    own = leaving.suppressions(contact).filter(reason=SuppressionReason.UNSUBSCRIBED)
    return own.exists()


@again_when_ended  # what comes back of their messages locks the same rows, and more
@transaction.atomic(durable=True)
def save(link: Link, choice: Choice, *, ip: str | None) -> None:
    """Do what the person chose: lists first, then how they want to be written to.

    A list with double opt-in asks them to confirm. Nothing happens for a test message, or whom nothing is sent to.
    """
    contact = link.contact
    if link.mailing.is_test or contact is None:
        return
    delivery = leaving.locked(link)
    asked = [each for each in topics(link) if each.list.pk in choice.shown]
    off = [
        each.list for each in asked if (each.is_on or each.is_waiting) and each.list.pk not in choice.chosen
    ]
    on = [
        each.list for each in asked if not (each.is_on or each.is_waiting) and each.list.pk in choice.chosen
    ]
    if off:
        unsubscribe(contact, lists=off, source=leaving.source(link), ip=ip)
        of_message = [each for each in off if each.pk in link.mailing.list_ids]
        if of_message:
            leaving.note(delivery, of_message, everything=False)
    if on and not is_held(contact):
        _join(link, contact, on, ip=ip)
    prefer(
        contact,
        frequency=choice.frequency if choice.frequency in Frequency.values else contact.frequency,
        paused_until=_paused_until(contact, choice.pause),
        language=choice.language if choice.language in dict(settings.LANGUAGES) else contact.language,
    )


def _join(link: Link, contact: Contact, lists: list[List], *, ip: str | None) -> None:
    leaving.lift_suppression(contact)
    source = f"{leaving.source(link)}, preferences"
    single = [each for each in lists if each.opt_in == OptIn.SINGLE]
    double = [each for each in lists if each.opt_in == OptIn.DOUBLE]
    if single:
        subscribe(contact, lists=single, source=source, ip=ip)
    if double:
        confirmations.ask(contact, lists=double, source=source, ip=ip)
    leaving.note_return(leaving.locked(link), lists)


def _paused_until(contact: Contact, days: int | None) -> datetime | None:
    if days is None:
        return contact.paused_until
    return timezone.now() + timedelta(days=days) if days else None
