"""Who is unconfirmed and was not asked yet is mailed: by the clock, and at once where somebody has just signed up."""

import logging
from typing import Final

from django.db import OperationalError, connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, record
from accounts.queue import enqueue
from contacts.models import Contact, List, OptIn, Subscription, SubscriptionStatus
from delivery import actions as delivery
from delivery.confirming.sender import sender_of, way_of
from delivery.confirming.wording import checked, compiled, words_of
from delivery.models import Confirmation, Mailing

JOB: Final = "delivery.jobs.ask_to_confirm"
MOST_AT_ONCE: Final = (
    50_000  # people of one list in one turn, some two seconds; the next turn takes the next ones
)
log = logging.getLogger(__name__)

# The lists that have somebody to ask, each found by one step down subscription_unasked_idx, however many wait.
WAITING: Final = """
WITH RECURSIVE waiting AS (
    (SELECT list_id FROM contacts_subscription WHERE status = 'pending' AND confirmation_asked_at IS NULL
      ORDER BY list_id LIMIT 1)
     UNION ALL
    SELECT (SELECT s.list_id FROM contacts_subscription s
             WHERE s.status = 'pending' AND s.confirmation_asked_at IS NULL AND s.list_id > waiting.list_id
             ORDER BY s.list_id LIMIT 1)
      FROM waiting WHERE waiting.list_id IS NOT NULL)
SELECT l.id FROM waiting JOIN contacts_list l ON l.id = waiting.list_id
 WHERE l.opt_in = 'double' AND l.archived_at IS NULL ORDER BY l.id
"""


def nudge(list_id: int) -> None:
    """Let a worker ask as soon as this is committed; should the job get lost, the clock does."""
    enqueue(JOB, queue="system", list_id=list_id)


def ask_waiting() -> int:
    """Ask whoever waits, a mailing for each list; for the clock. Returns how many people."""
    with connection.cursor() as cursor:
        cursor.execute(WAITING)
        lists = [pk for (pk,) in cursor.fetchall()]
    return sum(_ask_guarded(pk) for pk in lists)


def _ask_guarded(list_id: int) -> int:
    """One list's fault must not keep those of everybody else from being asked."""
    try:
        return ask(list_id)
    except OperationalError:
        raise
    except Exception:
        log.exception("confirmation.failed list=%s", list_id)
        return 0


@transaction.atomic(durable=True)
def ask(list_id: int) -> int:
    """Mail the list's people who wait to be asked, each once, whatever runs beside it. Returns how many.

    The mailing, its ledger and who counts as asked are one transaction. Where nothing can be sent they go on waiting,
    and the list's page says why.
    """
    # Locked, so that those who come one after the other are not split into mailings by two workers.
    rows = List.objects.select_for_update(no_key=True, skip_locked=True, of=("self",)).select_related(
        "workspace"
    )
    held = rows.filter(pk=list_id, opt_in=OptIn.DOUBLE, archived_at=None).first()
    if held is None or not unasked(held).exists():
        return 0
    words = words_of(held)
    way = way_of(words, held.workspace)
    if way.problem or way.account is None:
        return 0
    try:
        with transaction.atomic():
            content = compiled(words, way.sender)
            mailing = delivery.ask_to_confirm(
                confirms=held, account=way.account, content=content, most=MOST_AT_ONCE
            )
    except Refusal as refusal:
        log.warning("confirmation.refused list=%s why=%s", list_id, refusal.message)
        return 0
    return mailing.total_count if mailing else 0


def unasked(held: List) -> QuerySet[Subscription]:
    """Who waits to be asked, by subscription_unasked_idx."""
    return Subscription.objects.filter(
        list=held, status=SubscriptionStatus.PENDING, confirmation_asked_at=None
    )


def hold_unasked(_why: str) -> None:
    """Ask nobody by itself of whom another Volley may have asked them already; a person may ask them again."""
    waiting = Subscription.objects.filter(status=SubscriptionStatus.PENDING, confirmation_asked_at=None)
    waiting.filter(list__opt_in=OptIn.DOUBLE).update(confirmation_asked_at=timezone.now())


@transaction.atomic(durable=True)
def save(words: Confirmation, *, by: User) -> None:
    """Ask so from now on. Raises: TemplateProblem, NoLink."""
    held = words.list
    checked(words, held.workspace, sender_of(words, held.workspace))
    words.save()
    record(by, "list.confirmation_changed", held)


class NotReady(Refusal):
    code = "not_ready"


@transaction.atomic(durable=True)
def send_test(held: List, *, to: list[str], sample: Contact | None, by: User) -> Mailing:
    """Send the confirmation as it is stored; its link changes nothing.

    Raises: NotReady: nothing can be sent, in words. TemplateProblem, NoLink, AccountStopped, SenderNotAllowed.
    """
    words = words_of(held)
    way = way_of(words, held.workspace)
    if way.problem or way.account is None:
        raise NotReady(way.problem)
    checked(words, held.workspace, way.sender)
    content = compiled(words, way.sender)
    record(by, "list.confirmation_tested", held)
    return delivery.send_test(
        workspace=held.workspace,
        name=f"Please confirm: {held}"[:150],
        account=way.account,
        content=content,
        to=to,
        sample=sample,
        confirms=held,
    )
