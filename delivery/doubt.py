"""The workspace's rule for messages in doubt: what becomes of them some hours after their mailing has ended.

By whatever way they were sent. Before, a person may decide, or something that comes back settles them.
"""

import logging
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import InDoubt, User, record
from contacts.collisions import again_when_ended
from delivery import actions
from delivery.models import DeliveryState, Mailing, MailingState

ENDED: Final = (MailingState.FINISHED, MailingState.CANCELED)
AT_ONCE: Final = 20  # mailings a tick; each may be many rows
log = logging.getLogger(__name__)


def rule_of(mailing: Mailing) -> InDoubt:
    """What the rule will do when it is due, as the workspace and the mailing are now.

    Tried again are the same people by the rule once at most, and nobody of what was canceled.
    """
    rule = InDoubt(mailing.workspace.in_doubt_then)
    tried = mailing.doubt_retried or mailing.state == MailingState.CANCELED
    if mailing.doubt_due_at is None or (rule is InDoubt.AGAIN and tried):
        return InDoubt.LEAVE
    return rule


def set_due(mailing: Mailing, _by: User | None) -> None:
    """Let the rule decide some hours after the mailing's end; not while it is sent, and of no test."""
    due_at = None
    if mailing.state in ENDED and not mailing.is_test and mailing.finished_at:
        workspace = mailing.workspace
        if workspace.in_doubt_then != InDoubt.LEAVE:
            due_at = mailing.finished_at + timedelta(hours=workspace.in_doubt_hours)
    if due_at != mailing.doubt_due_at:
        Mailing.objects.filter(pk=mailing.pk).update(doubt_due_at=due_at)


def decide_due() -> None:
    """Do what the rule says where it is due; for the clock. Cost: those due alone, by mailing_doubt_due_idx."""
    due = Mailing.objects.filter(doubt_due_at__lte=timezone.now()).order_by("doubt_due_at")
    for mailing in due.select_related("workspace").defer("content")[:AT_ONCE]:
        try:
            count = _decide(mailing)
        except Refusal as why_not:  # nobody is in doubt, or its account is set aside: then a person decides
            Mailing.objects.filter(pk=mailing.pk).update(doubt_due_at=None)
            log.info("doubt.left mailing=%s why=%s", mailing.pk, why_not.code)
        else:
            log.info("doubt.decided mailing=%s rule=%s messages=%s", mailing.pk, rule_of(mailing), count)


@again_when_ended
def _decide(mailing: Mailing) -> int:
    """Returns how many messages. Raises: Refusal."""
    rule, count = rule_of(mailing), 0
    with transaction.atomic():
        match rule:
            case InDoubt.COUNT:
                count = actions.count_as_delivered(mailing)
                record(None, "mailing.doubt_settled", mailing)
            case InDoubt.AGAIN:
                count = actions.retry(mailing, state=DeliveryState.IN_DOUBT)
                record(None, "mailing.doubt_retried", mailing)
        # Last, as the actions lock what they need in their own order.
        tried = mailing.doubt_retried or rule is InDoubt.AGAIN
        Mailing.objects.filter(pk=mailing.pk).update(doubt_due_at=None, doubt_retried=tried)
    return count


def hold(_why: str) -> None:
    """Leave those of a copied database to a person: the original may have tried them again, too."""
    Mailing.objects.filter(doubt_due_at__isnull=False).update(doubt_due_at=None)
