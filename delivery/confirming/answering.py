"""What the link in a confirmation does: a look changes nothing, since scanners look; a press of the button confirms."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import record
from contacts.actions import confirmations
from contacts.models import List, Subscription, SubscriptionStatus, Suppression, SuppressionReason
from delivery.links import read_confirm_token
from delivery.models import Delivery, Mailing

LINK_DAYS: Final = 30  # after which a new mail is offered: who confirms by now should know what they confirm


class Stands(StrEnum):
    """Where the holder of a link stands, and so what the page shows."""

    TEST = "test"
    GONE = "gone"  # erased, or the address is another one by now
    ARCHIVED = "archived"
    CONFIRMED = "confirmed"
    LEFT = "left"
    OLD = "old"
    ASKED_ANEW = "asked anew"  # a newer mail is there, or on its way
    OPEN = "open"


@dataclass(frozen=True)
class Link:
    """Who holds it. subscription: of the list that it is about; None once erased."""

    mailing: Mailing
    delivery: Delivery
    list: List
    subscription: Subscription | None

    @property
    def masked_email(self) -> str:
        """Enough for its owner, too little for whom the message was forwarded to."""
        local, _, domain = self.delivery.email.rpartition("@")
        return f"{local[:1]}…@{domain}"

    @property
    def stands(self) -> Stands:
        held = self.subscription
        if self.mailing.is_test:
            return Stands.TEST
        if held is None or held.contact.email.lower() != self.delivery.email.lower():
            return Stands.GONE
        match held.status:
            case SubscriptionStatus.SUBSCRIBED:
                return Stands.CONFIRMED
            case _ if self.list.archived_at:
                return Stands.ARCHIVED
            case SubscriptionStatus.UNSUBSCRIBED:
                return Stands.LEFT
        if self.mailing.created_at > timezone.now() - timedelta(days=LINK_DAYS):
            return Stands.OPEN
        return Stands.ASKED_ANEW if self._is_asked_anew(held) else Stands.OLD

    def _is_asked_anew(self, held: Subscription) -> bool:
        asked = held.confirmation_asked_at
        return asked is None or asked > timezone.now() - timedelta(days=LINK_DAYS)


def find(token: str) -> Link | None:
    """The link that a token stands for; None where it was not signed by us, or its mailing is gone."""
    named = read_confirm_token(token)
    if named is None:
        return None
    rows = Delivery.objects.select_related("mailing__workspace", "mailing__confirms")
    delivery = rows.filter(pk=named, mailing__confirms__isnull=False).first()
    if delivery is None or delivery.mailing.confirms is None:
        return None
    held = Subscription.objects.select_related("contact__workspace", "list").filter(
        contact=delivery.contact_id or 0,
        list=delivery.mailing.confirms_id,
        workspace=delivery.mailing.workspace_id,
    )
    return Link(delivery.mailing, delivery, delivery.mailing.confirms, held.first())


def confirm(link: Link, *, ip: str | None) -> None:
    """Subscribe the link's holder; nothing happens the second time, or where the page offers it not."""
    if link.stands == Stands.OPEN and link.subscription:
        confirmations.confirm(link.subscription, source=_source(link), ip=ip)


@transaction.atomic(durable=True)
def come_back(link: Link, *, ip: str | None) -> None:
    """Subscribe who left meanwhile and says that they want it after all; their own wish to get nothing is lifted."""
    if link.stands != Stands.LEFT or link.subscription is None:
        return
    contact = link.subscription.contact
    if confirmations.confirm(link.subscription, source=_source(link), ip=ip, comes_back=True):
        own_wish = Suppression.objects.filter(
            workspace=contact.workspace,
            email=contact.email.lower(),
            reason=SuppressionReason.UNSUBSCRIBED,
        )
        for lifted in own_wish:
            record(None, "suppression.removed", lifted)
            lifted.delete()


def ask_anew(link: Link) -> str:
    """Send another mail in place of one that is too old. Returns: why not, in words; "" where it is on its way."""
    if link.stands != Stands.OLD or link.subscription is None:
        return ""
    try:
        confirmations.ask_again(link.subscription)
    except Refusal as refusal:
        return refusal.message
    return ""


def _source(link: Link) -> str:
    asked = link.mailing.created_at.astimezone(link.mailing.workspace.zone)
    return f"Confirmed by the link in the mail of {asked:%-d %b %Y}"
