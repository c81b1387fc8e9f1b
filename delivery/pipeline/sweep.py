"""The sweeper: every two seconds it puts right what a dead worker or a flushed Redis left behind."""

from django.db import transaction

from delivery import mailings
from delivery.models import Batch, BatchState, Mailing, MailingState
from delivery.pipeline import dispatch, lease

CLOSED_A_TURN = 100  # batches of a thousand; about a second


def sweep() -> int:
    """Take back expired leases, close what was canceled, refill every mailing's window, finish what is done.

    Returns: jobs queued. One turn is bounded: what is left is for the next.
    """
    lease.expire()
    _close_canceled()
    queued = dispatch.queued_or_none()
    added = 0
    for mailing in Mailing.objects.filter(state=MailingState.SENDING).order_by("pk"):
        if mailings.finish_if_done(mailing.pk, wait=False) or queued is None:
            continue
        with transaction.atomic():
            added += dispatch.top_up(mailing.pk, queued=queued[mailing.pk], at_front=mailing.is_test)
    return added


def _close_canceled() -> None:
    open_batches = Batch.objects.filter(state=BatchState.READY, mailing__state=MailingState.CANCELED)
    left = CLOSED_A_TURN
    for mailing in Mailing.objects.filter(pk__in=open_batches.values("mailing_id")):
        left -= mailings.cancel_open(mailing, batches=left)
