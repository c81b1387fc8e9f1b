"""The sweeper: every two seconds it puts right what a dead worker or a flushed Redis left behind."""

import logging

import redis
from django.db import transaction

from delivery import mailings
from delivery.models import Batch, Mailing, MailingState
from delivery.pipeline import dispatch, lease

CLOSED_A_TURN = 100  # batches of a thousand; about a second
log = logging.getLogger(__name__)


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
            added += dispatch.top_up(mailing.pk, queued=queued[mailing.pk], at_front=mailing.is_urgent)
    return added


def _close_canceled() -> None:
    open_batches = Batch.objects.filter(state__in=mailings.NOT_BEGUN, mailing__state=MailingState.CANCELED)
    left = CLOSED_A_TURN
    for mailing in Mailing.objects.filter(pk__in=open_batches.values("mailing_id")):
        try:
            left -= mailings.cancel_open(mailing, batches=left)
        except redis.RedisError as error:  # what was accepted is not known; the next turn asks again
            log.warning("journal.unreachable mailing=%s error=%s", mailing.pk, error)
