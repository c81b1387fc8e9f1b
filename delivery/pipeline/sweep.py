"""The sweeper: every two seconds it puts right what a dead worker or a flushed Redis left behind."""

from django.db import transaction

from delivery import mailings
from delivery.models import Batch, BatchState, Mailing, MailingState
from delivery.pipeline import dispatch, lease


def sweep() -> int:
    """Take back expired leases, refill every mailing's window, finish what is done. Returns jobs queued."""
    lease.expire()
    queued = dispatch.queued_or_none()
    if queued is None:
        return 0
    added = 0
    for mailing in Mailing.objects.filter(state=MailingState.SENDING).order_by("pk"):
        if not mailings.finish_if_done(mailing.pk):
            with transaction.atomic():
                added += dispatch.top_up(mailing.pk, queued=queued[mailing.pk], at_front=mailing.is_test)
    canceled = Batch.objects.filter(state=BatchState.READY, mailing__state=MailingState.CANCELED)
    for mailing_id in canceled.values_list("mailing_id", flat=True).distinct():
        mailings.cancel_open(mailing_id)
    return added
