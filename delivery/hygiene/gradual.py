"""The gradual start of a large mailing: it goes to some first, and to the rest once there was time for their answers.

Planning holds the rest's batches back (delivery.pipeline.plan), and here they are let go: by the clock, or by a person.
What comes back meanwhile is the circuit breaker's, as always: a mailing that it paused lets nobody go.
"""

from datetime import timedelta
from functools import partial

from django.db import connection, transaction
from django.utils import timezone

from delivery.hygiene import breaker
from delivery.models import Batch, BatchState, Mailing, MailingState
from delivery.pipeline import dispatch

# Whether nobody of the first ones waits for a first try; who was put off is no reason to wait, as that takes hours.
# By batches_do_not_overlap and the ledger's key: the first ones' rows alone. LIMIT keeps it so: joined, all who wait
# may be read for each batch, a second for some hundred thousand.
ALL_OUT = """
SELECT NOT EXISTS (
  SELECT FROM delivery_batch b CROSS JOIN LATERAL (
         SELECT FROM delivery_delivery d
          WHERE d.mailing_id = b.mailing_id AND d.number BETWEEN b.first_number AND b.last_number
            AND d.state = 'pending' LIMIT 1) waiting
   WHERE b.mailing_id = %s AND b.state <> 'held')
"""


def watch() -> None:
    """Let the rest follow where its time has come; for the clock. Cost: one query where nobody is held back."""
    rows = Mailing.objects.filter(state=MailingState.SENDING, first_count__gt=0)
    for mailing in rows.select_related("workspace").defer("content"):
        if mailing.rest_at is None:
            _wait_from_now(mailing)
        elif mailing.rest_at <= timezone.now() and not breaker.check(mailing):
            let_go(mailing.pk)


def _wait_from_now(mailing: Mailing) -> None:
    """Say when the rest follows, once the first ones are out."""
    with connection.cursor() as cursor:
        cursor.execute(ALL_OUT, [mailing.pk])
        is_out = cursor.fetchone()[0]
    if is_out:
        at = timezone.now() + timedelta(minutes=mailing.workspace.gradual_minutes)
        Mailing.objects.filter(pk=mailing.pk, rest_at=None).update(rest_at=at)


def let_go(mailing_id: int) -> int:
    """Hand out the rest from now on. Returns how many batches; 0: it is not being sent, or somebody was faster."""
    now = timezone.now()
    with transaction.atomic():
        held = Mailing.objects.filter(pk=mailing_id, state=MailingState.SENDING, first_count__gt=0)
        if not held.update(first_count=0, rest_at=now, progress_at=now):
            return 0
        batches = Batch.objects.filter(mailing_id=mailing_id, state=BatchState.HELD)
        count = batches.update(state=BatchState.READY)
        transaction.on_commit(partial(dispatch.top_up, mailing_id), robust=True)
    return count


def in_words(mailing: Mailing) -> str:
    """What becomes of those who are held back; "" where nobody is, or it is not being sent."""
    if mailing.state != MailingState.SENDING or not mailing.first_count:
        return ""
    rest = f"The other {mailing.total_count - mailing.first_count:,} follow"
    unless = "unless too many of these messages are refused, bounce or are reported as spam."
    if mailing.rest_at is None:
        minutes = mailing.workspace.gradual_minutes
        return (
            f"It goes to {mailing.first_count:,} people first, from all parts of the audience. "
            f"{rest} {minutes} minutes after them, {unless}"
        )
    return (
        f"It has gone to the first {mailing.first_count:,} people, from all parts of the audience. "
        f"{rest} at {mailing.rest_at.astimezone(mailing.workspace.zone):%H:%M}, {unless}"
    )
