"""Leaving by the link in a message, and coming back: what the link took is noted in the ledger's row."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.db.models import F, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from accounts.models import record
from contacts.actions.subscriptions import subscribe, unsubscribe, unsubscribe_from_everything
from contacts.collisions import again_when_ended
from contacts.models import Contact, List, Subscription, SubscriptionStatus, Suppression, SuppressionReason
from delivery.links import read_token
from delivery.models import Delivery, LeavingReason, Mailing


@dataclass(frozen=True)
class Link:
    """Who holds it, and where they stand.

    contact: None once erased. lists: of the mailing, those they are on. left: those it took them off.
    """

    mailing: Mailing
    delivery: Delivery
    contact: Contact | None
    lists: list[List]
    left: list[List]
    left_everything: bool

    @property
    def has_left(self) -> bool:
        return self.delivery.unsubscribed_at is not None

    @property
    def left_names(self) -> str:
        return names_of(self.left)

    @property
    def list_names(self) -> str:
        return names_of(self.lists)

    @property
    def masked_email(self) -> str:
        """Enough for its owner, too little for whom the message was forwarded to."""
        if not self.delivery.email:
            return gettext("this address")
        local, _, domain = self.delivery.email.rpartition("@")
        return f"{local[:1]}…@{domain}"


def names_of(lists: Iterable[List]) -> str:
    """The lists as people know them, in the reader's language: “News”, “Offers” and “Events”."""
    quoted = [gettext("“%(name)s”") % {"name": each.shown_name} for each in lists]
    if len(quoted) < 2:
        return "".join(quoted)
    return gettext("%(first)s and %(last)s") % {"first": ", ".join(quoted[:-1]), "last": quoted[-1]}


def find(token: str) -> Link | None:
    """The link that a token stands for; None where it was not signed by us, or its mailing is gone."""
    named = read_token(token)
    return of(named) if named else None


def of(named: tuple[int, int]) -> Link | None:
    """The link in a message: (mailing id, recipient's number); None where its mailing is gone."""
    delivery = Delivery.objects.select_related("mailing__workspace").filter(pk=named).first()
    if delivery is None:
        return None
    contact = _contact(delivery)
    left = delivery.left or {}
    return Link(
        delivery.mailing,
        delivery,
        contact,
        lists=_of_mailing(contact, delivery.mailing),
        left=list(List.objects.filter(pk__in=left.get("lists", []))),
        left_everything=left.get("everything", False),
    )


def _contact(delivery: Delivery) -> Contact | None:
    """The person, also when merged into another contact, or deleted and imported again since."""
    of_workspace = Contact.objects.filter(workspace=delivery.mailing.workspace)
    known = of_workspace.filter(pk=delivery.contact_id).first() if delivery.contact_id else None
    if known is None and delivery.contact_id:
        known = of_workspace.filter(formers__former_id=delivery.contact_id).first()
    return known or (of_workspace.filter(email__iexact=delivery.email).first() if delivery.email else None)


def _of_mailing(contact: Contact | None, mailing: Mailing) -> list[List]:
    """The mailing's lists that the person is on; of one that asks to confirm, also while they have not."""
    if contact is None:
        return []
    statuses = [SubscriptionStatus.SUBSCRIBED]
    if mailing.confirms_id:
        statuses.append(SubscriptionStatus.PENDING)
    return [each for each in _lists(contact, *statuses) if each.pk in mailing.list_ids]


def _taken_off(contact: Contact, mailing: Mailing) -> list[List]:
    """The mailing's lists that a member of the workspace took them off: now it is their own wish, and stays."""
    held = Subscription.objects.filter(contact=contact, list__in=mailing.list_ids)
    return [
        each.list
        for each in held.filter(status=SubscriptionStatus.UNSUBSCRIBED).select_related("list")
        if not each.left_by_themselves
    ]


def _all_lists(contact: Contact) -> list[List]:
    return _lists(contact, SubscriptionStatus.SUBSCRIBED)


def _lists(contact: Contact, *statuses: SubscriptionStatus) -> list[List]:
    theirs = Subscription.objects.filter(contact=contact, status__in=statuses)
    return [each.list for each in theirs.select_related("list").order_by("list__name")]


def leave(link: Link, *, ip: str | None) -> None:
    """What one click does: leave the lists of the mailing, or everything where none of them brought it.

    Whom a segment reached is on none of its lists: they would get the next one all the same.
    """
    if _came_by_list(link):
        leave_lists(link, ip=ip)
    else:
        leave_everything(link, ip=ip)


def _came_by_list(link: Link) -> bool:
    """Whether they are on one of the mailing's lists, or left it since."""
    known = (SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.UNSUBSCRIBED)
    held = Subscription.objects.filter(contact=link.contact, list__in=link.mailing.list_ids)
    return held.exists() if link.mailing.confirms_id else held.filter(status__in=known).exists()


@again_when_ended
@transaction.atomic
def leave_lists(link: Link, *, ip: str | None) -> None:
    """Take the person off the mailing's lists; nothing happens for a test message, or the second time."""
    if link.mailing.is_test or link.contact is None:
        return
    delivery = locked(link)
    taken, by_hand = _of_mailing(link.contact, link.mailing), _taken_off(link.contact, link.mailing)
    if taken or by_hand:
        unsubscribe(link.contact, lists=[*taken, *by_hand], source=source(link), ip=ip)
    if taken:
        note(delivery, taken, everything=False)


@again_when_ended
@transaction.atomic
def leave_everything(link: Link, *, ip: str | None) -> None:
    """Take the person off every list and suppress the address."""
    if link.mailing.is_test or link.contact is None:
        return
    delivery = locked(link)
    taken = _all_lists(link.contact)
    held = suppressions(link.contact).first()
    is_new, was_by_hand = held is None, held is not None and held.reason == SuppressionReason.MANUAL
    unsubscribe_from_everything(link.contact, source=source(link), ip=ip)
    if taken or is_new:
        note(delivery, taken, everything=is_new, by_hand=was_by_hand)


@again_when_ended
@transaction.atomic(durable=True)
def come_back(link: Link, *, ip: str | None) -> bool:
    """Give back what this link took, and nothing else: a complaint or another list stays as it is.

    Returns: whether it had taken anything.
    """
    delivery = locked(link)
    if link.contact is None or delivery.unsubscribed_at is None:
        return False
    left = delivery.left or {}
    lists = List.objects.filter(pk__in=left.get("lists", []))
    subscribe(link.contact, lists=lists, source=f"{source(link)}, undoing it", ip=ip)
    if left.get("everything"):
        lift_suppression(link.contact)
    elif left.get("by_hand"):
        wish = suppressions(link.contact).filter(reason=SuppressionReason.UNSUBSCRIBED)
        wish.update(reason=SuppressionReason.MANUAL)  # as before they asked for the same
    _forget(delivery)
    return True


def note_return(delivery: Delivery, lists: Iterable[List]) -> None:
    """The person has chosen lists again: once they have all that the link took, they count as never gone."""
    if delivery.unsubscribed_at is None:
        return
    left = delivery.left or {}
    still = sorted(set(left.get("lists", [])) - {each.pk for each in lists})
    if still:
        Delivery.objects.filter(pk=delivery.pk).update(left={**left, "lists": still, "everything": False})
    else:
        _forget(delivery)


def _forget(delivery: Delivery) -> None:
    Delivery.objects.filter(pk=delivery.pk).update(unsubscribed_at=None, left=None)
    LeavingReason.objects.filter(mailing=delivery.mailing_id, number=delivery.number).delete()
    Mailing.objects.filter(pk=delivery.mailing_id).update(unsubscribed_count=F("unsubscribed_count") - 1)


def locked(link: Link) -> Delivery:
    """The ledger's row, so that a double click acts once."""
    return Delivery.objects.select_for_update().get(pk=link.delivery.pk)


def suppressions(contact: Contact) -> QuerySet[Suppression]:
    return Suppression.objects.filter(workspace=contact.workspace, email=contact.email.lower())


def lift_suppression(contact: Contact) -> None:
    """Only the person's own wish is lifted, never a bounce or a complaint."""
    lifted = suppressions(contact).filter(reason=SuppressionReason.UNSUBSCRIBED).first()
    if lifted:
        record(None, "suppression.removed", lifted)
        lifted.delete()


def note(delivery: Delivery, taken: list[List], *, everything: bool, by_hand: bool = False) -> None:
    """Remember what was taken; a person is counted once, however often they click."""
    before = delivery.left or {"lists": [], "everything": False}
    left = {
        "lists": sorted({*before["lists"], *(each.pk for each in taken)}),
        "everything": before["everything"] or everything,
        "by_hand": before.get("by_hand", False) or by_hand,
    }
    rows = Delivery.objects.filter(pk=delivery.pk)
    if rows.filter(unsubscribed_at=None).update(unsubscribed_at=timezone.now(), left=left):
        Mailing.objects.filter(pk=delivery.mailing_id).update(unsubscribed_count=F("unsubscribed_count") + 1)
    else:
        rows.update(left=left)


def source(link: Link) -> str:
    return f"The link in “{link.mailing}”"
