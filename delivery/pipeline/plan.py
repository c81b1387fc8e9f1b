"""Plan: freeze an audience into the ledger, number the recipients, and cut them into batches."""

from django.db import connection
from django.db.models import QuerySet

from contacts.models import Contact
from delivery.models import Mailing

BATCH_MAX = 1000  # recipients; half a second of sending on a fast way out
BATCH_MIN = 50
BATCHES_WANTED = 16  # of a small mailing, so that several workers share it
ANALYZE_FROM = 5_000  # rows; below, the planner's guesses do no harm

# One statement over the whole audience, 5–8 s a million: two index entries a row and no foreign key checks.
FREEZE = """
INSERT INTO delivery_delivery
       (mailing_id, number, contact_id, email, state, attempt_count, code, server_said, provider_id)
SELECT %s, row_number() OVER (ORDER BY id), id, email, 'pending', 0, '', '', ''
  FROM ({audience}) AS audience(id, email)
"""
FREEZE_ADDRESSES = """
INSERT INTO delivery_delivery
       (mailing_id, number, contact_id, email, state, attempt_count, code, server_said, provider_id)
SELECT %s, number, NULL, email, 'pending', 0, '', '', ''
  FROM unnest(%s::text[]) WITH ORDINALITY AS audience(email, number)
"""
CUT = """
INSERT INTO delivery_batch (mailing_id, key, first_number, last_number, state, due_at, worker)
SELECT %s, gen_random_uuid(), first, least(first + %s - 1, %s), 'ready', now(), ''
  FROM generate_series(1, %s, %s) AS first
"""


def freeze(mailing: Mailing, recipients: QuerySet[Contact]) -> int:
    """Write the audience into the ledger, each contact once, by id. Returns how many."""
    audience, parameters = recipients.order_by().values_list("pk", "email").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(FREEZE.format(audience=audience), [mailing.pk, *parameters])
        return _cut(mailing, cursor.rowcount)


def freeze_addresses(mailing: Mailing, addresses: list[str]) -> int:
    """Write addresses that need be no contacts into the ledger: a test send."""
    with connection.cursor() as cursor:
        cursor.execute(FREEZE_ADDRESSES, [mailing.pk, addresses])
        return _cut(mailing, cursor.rowcount)


def _cut(mailing: Mailing, total: int) -> int:
    size = min(BATCH_MAX, max(BATCH_MIN, total // BATCHES_WANTED))
    with connection.cursor() as cursor:
        cursor.execute(CUT, [mailing.pk, size, total, total, size])
        if total >= ANALYZE_FROM:
            cursor.execute("ANALYZE delivery_delivery")  # else the first claims plan on an empty table
    mailing.total_count, mailing.batch_size = total, size
    mailing.save(update_fields=["total_count", "batch_size"])
    return total
