"""Who is on which list, with the record of consent; for the pages here and the public unsubscribe page."""

import datetime
from collections.abc import Iterable
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, record
from contacts.actions.suppression import suppress
from contacts.models import TAKEN_OFF, Contact, List, Subscription, SubscriptionStatus, SuppressionReason

# Only lists of the contact's own workspace; whoever is subscribed keeps their first record of consent.
# Cost: one look by one_subscription_per_list for each list.
SUBSCRIBE: Final = """
INSERT INTO contacts_subscription AS held (workspace_id, contact_id, list_id, status,
    consent_source, consent_at, consent_ip, unsubscribe_source, created_at)
SELECT l.workspace_id, %(contact)s, l.id, 'subscribed', %(source)s, %(at)s, %(ip)s, '', %(at)s
FROM contacts_list l WHERE l.id = ANY(%(lists)s) AND l.workspace_id = %(workspace)s ORDER BY l.id
ON CONFLICT (contact_id, list_id) DO UPDATE SET
    status = 'subscribed', consent_source = excluded.consent_source, consent_at = excluded.consent_at,
    consent_ip = excluded.consent_ip, unsubscribed_at = NULL, unsubscribe_source = ''
WHERE held.status <> 'subscribed'
"""


class NoConsent(Refusal):
    code = "no_consent"


class LeftByThemselves(Refusal):
    code = "left_by_themselves"


@transaction.atomic
def subscribe(
    contact: Contact,
    *,
    lists: Iterable[List],
    source: str,
    by: User | None = None,
    ip: str | None = None,
    at: datetime.datetime | None = None,
) -> int:
    """Subscribe the contact, with the record of consent: its source in words, its time (now), its address.

    Returns: how many subscriptions changed; those that stood already keep their record.
    """
    named: dict[str, Any] = {
        "workspace": contact.workspace_id,
        "contact": contact.pk,
        "lists": [each.pk for each in lists],
        "source": source[:200],
        "at": at or timezone.now(),
        "ip": ip,
    }
    with connection.cursor() as cursor:
        cursor.execute(SUBSCRIBE, named)
        changed = cursor.rowcount
    if changed:
        record(by, "contact.subscribed", contact)
    return changed


@transaction.atomic
def unsubscribe(
    contact: Contact,
    *,
    lists: Iterable[List] = (),
    source: str,
    ip: str | None = None,
    by: User | None = None,
) -> int:
    """Take the contact off the lists, all of them where none is named; effective for what is not sent yet.

    by: who of the workspace does it; None: the contact, whose own wish is also written over what was done by hand.
    Returns: how many subscriptions changed; others that ended before keep their record.
    """
    ending = ~Q(status=SubscriptionStatus.UNSUBSCRIBED)
    if by is None:
        ending |= Q(unsubscribe_source__startswith=TAKEN_OFF)
    held = Subscription.objects.filter(ending, contact=contact)
    if pks := [each.pk for each in lists]:
        held = held.filter(list__in=pks)
    changed = held.update(
        status=SubscriptionStatus.UNSUBSCRIBED,
        unsubscribed_at=timezone.now(),
        unsubscribe_source=(f"{source}, from {ip}" if ip else source)[:200],
    )
    if changed:
        record(by, "contact.unsubscribed", contact)
    return changed


@transaction.atomic
def unsubscribe_from_everything(contact: Contact, *, source: str, ip: str | None = None) -> int:
    """Take the contact off every list, and suppress the address.

    Returns: how many subscriptions changed.
    """
    changed = unsubscribe(contact, source=source, ip=ip)
    suppress(contact.workspace, email=contact.email, reason=SuppressionReason.UNSUBSCRIBED, note=source)
    return changed


@transaction.atomic(durable=True)
def subscribe_by_hand(
    contact: Contact, *, lists: Iterable[List], agreed: bool, asked_again: bool = False, by: User
) -> int:
    """Subscribe somebody whose consent a member of the workspace declares.

    agreed: they agreed to get these mails. asked_again: they left by themselves and asked to come back.
    Raises: NoConsent, LeftByThemselves: it was not declared.
    """
    chosen = list(lists)
    check_consent(agreed=agreed)
    refuse_who_left(contact, chosen, asked_again=asked_again)
    return subscribe(contact, lists=chosen, source=f"Added by hand by {by}", by=by)


@transaction.atomic(durable=True)
def unsubscribe_by_hand(contact: Contact, *, lists: Iterable[List], by: User) -> int:
    """Take the contact off the lists because a member of the workspace says so.

    Returns: how many subscriptions changed.
    """
    chosen = list(lists)
    assert chosen, "no list would mean all of them"
    return unsubscribe(contact, lists=chosen, source=f"{TAKEN_OFF} {by}", by=by)


def refuse_who_left(contact: Contact, lists: Iterable[List], *, asked_again: bool) -> None:
    """Raises: LeftByThemselves: they ended one of these themselves, and nobody declares that they asked for it again."""
    held = Subscription.objects.filter(contact=contact, list__in=lists).select_related("list")
    left = [each for each in held.select_for_update(of=("self",)) if each.left_by_themselves]
    if left and not asked_again:
        raise LeftByThemselves(
            f"{contact} unsubscribed from “{left[0].list}” by themselves. "
            "Confirm that they asked to get it again."
        )


def check_consent(*, agreed: bool) -> None:
    """Raises: NoConsent: nobody may be subscribed without it."""
    if not agreed:
        raise NoConsent("Only people who agreed may be subscribed. Confirm it, or choose no list.")
