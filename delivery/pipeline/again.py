"""Again: open recipients that were not reached once more, and the batches that hold them."""

from typing import Any

from django.db import connection, transaction

from delivery.models import DeliveryState, Feedback, Mailing

RETRYABLE = (DeliveryState.REJECTED, DeliveryState.IN_DOUBT)
# By delivery_exception_idx. What was tried stays counted; the server's old words go, and what came back of the old
# try, which would be taken for a sign that the new one was made.
REOPEN = """
WITH held AS MATERIALIZED (
  SELECT number, feedback FROM delivery_delivery
   WHERE mailing_id = %(mailing)s AND exception = %(state)s AND (%(code)s = '' OR code = %(code)s)
   ORDER BY number FOR NO KEY UPDATE),
opened AS (
  UPDATE delivery_delivery d
     SET state = 'pending', due_at = NULL, deferred_since = NULL, code = '', server_said = '', feedback = '',
         feedback_at = NULL, delivered_at = NULL
    FROM held h WHERE d.mailing_id = %(mailing)s AND d.number = h.number
  RETURNING h.feedback)
SELECT feedback, count(*) FROM opened GROUP BY 1
"""
# A fresh key: the batch's old journal must not answer for what is sent anew.
READY = """
UPDATE delivery_batch SET state = 'ready', due_at = now(), key = gen_random_uuid()
 WHERE mailing_id = %s AND state = 'done' AND EXISTS (
       SELECT FROM delivery_delivery d WHERE d.mailing_id = delivery_batch.mailing_id
          AND d.state IN ('pending', 'deferred') AND d.number BETWEEN first_number AND last_number)
"""
UNCOUNT = """
UPDATE delivery_mailing
   SET rejected_count = rejected_count - %s, in_doubt_count = in_doubt_count - %s,
       delivered_count = delivered_count - %s, blocked_count = blocked_count - %s,
       soft_bounced_count = soft_bounced_count - %s, bounced_count = bounced_count - %s,
       complained_count = complained_count - %s
 WHERE id = %s
"""


def reopen(mailing: Mailing, *, state: DeliveryState, code: str) -> int:
    """Make those who ended so pending again; the mailing's row is locked by the caller. Returns how many.

    code: as an ErrorGroup has it; "" for all of the state.
    """
    values: dict[str, Any] = {"mailing": mailing.pk, "state": state.value, "code": code}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(REOPEN, values)
        came_back = dict(cursor.fetchall())
        count = sum(came_back.values())
        rejected = count if state == DeliveryState.REJECTED else 0
        by_feedback = [came_back.get(each, 0) for each in Feedback if each]
        cursor.execute(UNCOUNT, [rejected, count - rejected, *by_feedback, mailing.pk])
        cursor.execute(READY, [mailing.pk])
    return count


def reopen_batches(mailing: Mailing) -> int:
    """Make done batches ready that hold open recipients: one was released just as they were opened again."""
    with connection.cursor() as cursor:
        cursor.execute(READY, [mailing.pk])
        return cursor.rowcount
