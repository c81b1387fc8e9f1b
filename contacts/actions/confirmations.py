"""Double opt-in: people who are asked to confirm a subscription, are asked again, and confirm.

What is written here is the whole truth; delivery mails whoever is unconfirmed and has not been asked.
"""

import datetime
from collections.abc import Iterable
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, record
from contacts import registry
from contacts.actions.subscriptions import refuse_who_left
from contacts.models import Contact, List, OptIn, Subscription, SubscriptionStatus

MOST_TIMES: Final = 3  # mails that ask one person for one list; more would be a nuisance
AGAIN_AFTER: Final = datetime.timedelta(hours=1)
ALL_AGAIN_AFTER: Final = datetime.timedelta(days=3)  # where many are asked, most have seen the first mail
FORGOTTEN_AFTER: Final = datetime.timedelta(days=1)  # whoever left and comes back later is asked as anew

# Whoever is subscribed or unconfirmed already stays so. Who left becomes unconfirmed, and is mailed no sooner than
# anybody else: signing up and leaving by turns fills nobody's mailbox.
ASK: Final = """
INSERT INTO contacts_subscription AS held (workspace_id, contact_id, list_id, status,
    consent_source, consent_at, consent_ip, unsubscribe_source, created_at)
SELECT l.workspace_id, %(contact)s, l.id, 'pending', %(source)s, %(at)s, %(ip)s, '', %(at)s
  FROM contacts_list l WHERE l.id = ANY(%(lists)s) AND l.workspace_id = %(workspace)s ORDER BY l.id
ON CONFLICT (contact_id, list_id) DO UPDATE SET
    status = 'pending', consent_source = excluded.consent_source, consent_at = excluded.consent_at,
    consent_ip = excluded.consent_ip, unsubscribed_at = NULL, unsubscribe_source = '',
    confirmation_count = CASE WHEN held.confirmation_asked_at > %(forgotten)s THEN held.confirmation_count ELSE 0 END,
    confirmation_asked_at = CASE WHEN held.confirmation_asked_at > %(again)s
                                   OR (held.confirmation_asked_at > %(forgotten)s AND held.confirmation_count >= %(most)s)
                                 THEN held.confirmation_asked_at END
WHERE held.status = 'unsubscribed'
RETURNING held.list_id
"""


class NotAsked(Refusal):
    """Why nobody is mailed, in words."""

    code = "not_asked"
    status = 409


@transaction.atomic
def ask(
    contact: Contact, *, lists: Iterable[List], source: str, by: User | None = None, ip: str | None = None
) -> int:
    """Put the contact on the lists as unconfirmed, to be asked by mail. Returns how many subscriptions changed.

    Raises: NotAsked: a list is single opt-in or archived, and so asks nobody.
    """
    chosen = list(lists)
    for each in chosen:
        refuse_deaf(each)
    now = timezone.now()
    named: dict[str, Any] = {
        "workspace": contact.workspace_id,
        "contact": contact.pk,
        "lists": [each.pk for each in chosen],
        "source": source[:200],
        "at": now,
        "ip": ip,
        "again": now - AGAIN_AFTER,
        "forgotten": now - FORGOTTEN_AFTER,
        "most": MOST_TIMES,
    }
    with connection.cursor() as cursor:
        cursor.execute(ASK, named)
        changed = [pk for (pk,) in cursor.fetchall()]
    if changed:
        record(by, "contact.asked", contact)
    _tell(changed)
    return len(changed)


@transaction.atomic(durable=True)
def ask_by_hand(contact: Contact, *, held: List, asked_again: bool = False, by: User) -> int:
    """Let the contact be asked because a member of the workspace says so.

    asked_again: they left by themselves and asked to come back.
    Raises: LeftByThemselves, NotAsked.
    """
    refuse_who_left(contact, [held], asked_again=asked_again)
    return ask(contact, lists=[held], source=f"Asked to confirm by {by}", by=by)


@transaction.atomic(durable=True)
def ask_again(held: Subscription, *, by: User | None = None) -> None:
    """Mail one more time who is still unconfirmed. by: None where they asked for it themselves.

    Raises: NotAsked: not yet, not so often, or not at all, in words.
    """
    refuse_deaf(held.list)
    waiting = _waiting().filter(pk=held.pk, confirmation_asked_at__lt=timezone.now() - AGAIN_AFTER)
    if not waiting.update(confirmation_asked_at=None):
        raise NotAsked(_why_not(Subscription.objects.get(pk=held.pk)))
    record(by, "contact.asked", held.contact)
    _tell([held.list_id])


@transaction.atomic(durable=True)
def ask_all_again(held: List, *, by: User) -> int:
    """Mail all of a list once more who have not confirmed for days. Returns how many.

    Raises: NotAsked: the list asks nobody.
    """
    refuse_deaf(held)
    count = to_ask_again(held).update(confirmation_asked_at=None)
    if count:
        record(by, "list.asked_again", held)
        _tell([held.pk])
    return count


def to_ask_again(held: List) -> QuerySet[Subscription]:
    """Who is unconfirmed, was asked days ago, and fewer than MOST_TIMES times."""
    rows = _waiting().filter(workspace=held.workspace_id, list=held)
    return rows.filter(confirmation_asked_at__lt=timezone.now() - ALL_AGAIN_AFTER)


@transaction.atomic
def confirm(held: Subscription, *, source: str, ip: str | None, comes_back: bool = False) -> bool:
    """Subscribe who followed the link; the earlier record of consent stays behind this one. False: nothing to do.

    comes_back: they left meanwhile and say that they want it after all.
    """
    open_to = Q(status=SubscriptionStatus.PENDING)
    if comes_back:
        open_to |= Q(status=SubscriptionStatus.UNSUBSCRIBED)
    rows = Subscription.objects.select_for_update().filter(open_to, pk=held.pk)
    found = rows.first()
    if found is None:
        return False
    before = f" (before: {found.consent_source})" if found.consent_source else ""
    rows.update(
        status=SubscriptionStatus.SUBSCRIBED,
        consent_source=f"{source}{before}"[:200],
        consent_at=timezone.now(),
        consent_ip=ip,
        unsubscribed_at=None,
        unsubscribe_source="",
    )
    record(None, "contact.confirmed", held.contact)
    return True


def refuse_deaf(held: List) -> None:
    """Raises: NotAsked: the list asks nobody."""
    if held.archived_at:
        raise NotAsked(f"“{held}” is archived, so nobody is asked to confirm.")
    if held.opt_in != OptIn.DOUBLE:
        raise NotAsked(
            f"“{held}” is single opt-in, so nobody is asked to confirm. Edit the list to change that."
        )


def _waiting() -> QuerySet[Subscription]:
    """Who was asked, not too often, and has not answered."""
    return Subscription.objects.filter(
        status=SubscriptionStatus.PENDING,
        confirmation_asked_at__isnull=False,
        confirmation_count__lt=MOST_TIMES,
    )


def _why_not(held: Subscription) -> str:
    if held.status != SubscriptionStatus.PENDING:
        return f"They are {held.get_status_display().lower()} by now."
    if held.confirmation_asked_at is None:
        return "They are about to be asked: the mail leaves by itself."
    if held.confirmation_count >= MOST_TIMES:
        return f"They were asked {MOST_TIMES} times, which is enough. They can sign up again by themselves."
    return "They were asked less than an hour ago. Give them time, then ask again."


def _tell(lists: Iterable[int]) -> None:
    for pk in lists:
        for tell in registry.on_unconfirmed:
            tell(pk)
