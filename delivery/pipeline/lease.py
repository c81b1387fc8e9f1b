"""Leases: who works on which batch, and until when. PostgreSQL's clock is the only one asked."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

# How long a dead worker's batch waits; renewed with every settlement. With the clock's two seconds and what its turn
# takes, a batch that got stuck is found within 15 seconds.
LEASE_SECONDS = 12
# A holder that could not renew for this long stops sending, well before another may take the batch over: the
# difference is what the message on the wire has left to end.
FENCE_SECONDS = 8

CLAIM = """
UPDATE delivery_batch SET state = 'leased', lease = %s, worker = %s,
       leased_until = now() + make_interval(secs => %s)
 WHERE id = (SELECT batch.id FROM delivery_batch batch
               JOIN delivery_mailing mailing ON mailing.id = batch.mailing_id
                AND mailing.state = 'sending' AND coalesce(mailing.due_at <= now(), true)
               JOIN delivery_sendingaccount account ON account.id = mailing.account_id
                AND account.stopped_reason = '' AND account.id = coalesce(%s, account.id)
              WHERE batch.mailing_id = %s AND batch.state = 'ready' AND batch.due_at <= now()
              ORDER BY batch.due_at, batch.id LIMIT 1
                FOR UPDATE OF batch SKIP LOCKED)
RETURNING id, first_number, last_number, key
"""
RENEW = """
UPDATE delivery_batch SET leased_until = now() + make_interval(secs => %s)
 WHERE id = ANY(%s) AND lease = ANY(%s) AND state = 'leased'
"""
# Done when nobody in it is open any more, and then no call's note is needed; else ready again, when the first of them
# is due.
RELEASE = """
WITH open_rows AS (
  SELECT count(*) AS count, min(coalesce(due_at, now())) AS due_at FROM delivery_delivery
   WHERE mailing_id = %(mailing)s AND number BETWEEN %(first)s AND %(last)s AND state IN ('pending', 'deferred')),
released AS (
  UPDATE delivery_batch SET lease = NULL, leased_until = NULL,
         state = CASE WHEN open_rows.count > 0 THEN 'ready' ELSE 'done' END,
         due_at = greatest(open_rows.due_at, now() + make_interval(secs => %(wait)s), delivery_batch.due_at)
    FROM open_rows WHERE id = %(id)s AND lease = %(lease)s AND state = 'leased'
  RETURNING id, state),
noted AS (DELETE FROM delivery_call USING released WHERE batch_id = released.id AND released.state = 'done')
SELECT state FROM released
"""
EXPIRE = """
UPDATE delivery_batch SET state = 'ready', lease = NULL, leased_until = NULL
 WHERE state = 'leased' AND leased_until < now()
RETURNING mailing_id
"""


@dataclass(frozen=True)
class Lease:
    """The right to send a batch: numbers first to last, both included."""

    mailing_id: int
    batch_id: int
    first: int
    last: int
    key: uuid.UUID  # of the lease, new at each claim
    batch_key: uuid.UUID  # of the batch, for its journal


def claim(mailing_id: int, *, worker: str, account_id: int | None = None) -> Lease | None:
    """Lease the oldest ready batch that is due, or give None when there is none.

    account_id: only where the mailing is still sent by it.

    One UPDATE, safe against any number of workers (SKIP LOCKED); one row by `batch_ready_idx`,
    whatever the mailing's size. Nothing is given of a mailing that is not sending or is held back, nor of
    one whose account is set aside.
    """
    key = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [key, worker, LEASE_SECONDS, account_id, mailing_id])
        row = cursor.fetchone()
    return Lease(mailing_id, row[0], row[1], row[2], key, row[3]) if row else None


def renew(leases: list[Lease]) -> bool:
    """Hold the batches for another LEASE_SECONDS; False where one of them is no longer ours."""
    if not leases:
        return True
    ids, keys = [each.batch_id for each in leases], [each.key for each in leases]
    with connection.cursor() as cursor:
        cursor.execute(RENEW, [LEASE_SECONDS, ids, keys])
        renewed: int = cursor.rowcount
    return renewed == len(leases)


def release(lease: Lease, *, wait_seconds: float = 0) -> str | None:
    """Give the batch back. Returns its new state, or None where it was no longer ours."""
    values: dict[str, Any] = {
        "mailing": lease.mailing_id,
        "first": lease.first,
        "last": lease.last,
        "id": lease.batch_id,
        "lease": lease.key,
        "wait": wait_seconds,
    }
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, values)
        row = cursor.fetchone()
    return row[0] if row else None


def expire() -> set[int]:
    """Take back the batches of workers that fell silent. Returns the mailings they belong to."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE)
        return {row[0] for row in cursor.fetchall()}


def next_due(mailing_id: int) -> datetime | None:
    """When the next ready batch may be worked on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT min(due_at) FROM delivery_batch WHERE mailing_id = %s AND state = 'ready'", [mailing_id]
        )
        due: datetime | None = cursor.fetchone()[0]
    return due
