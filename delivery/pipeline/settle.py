"""Settle: write what happened to a chunk of recipients into the ledger, and the mailing's counters with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from delivery.models import DeliveryState, Mailing
from delivery.pipeline import retry
from delivery.transports.base import Fate, Outcome

SAID_LIMIT = 500  # characters of the server's words that are kept
SKIP_REASONS = {
    "suppressed": "On the suppression list.",
    "erased": "No longer a contact.",
    "unsubscribed": "No longer subscribed.",
}

# Only open rows change, so a chunk settled twice counts once.
SETTLE = """
WITH settled AS (
  UPDATE delivery_delivery d
     SET state = said.state, code = said.code, server_said = said.server_said, provider_id = said.provider_id,
         due_at = said.due_at, attempt_count = d.attempt_count + said.attempts, settled_at = now()
    FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::int[])
      AS said(number, state, code, server_said, provider_id, due_at, attempts)
   WHERE d.mailing_id = %s AND d.number = said.number AND d.state IN ('pending', 'deferred')
  RETURNING said.state)
SELECT state, count(*) FROM settled GROUP BY state
"""
COUNT = """
UPDATE delivery_mailing
   SET accepted_count = accepted_count + %s, rejected_count = rejected_count + %s,
       skipped_count = skipped_count + %s, in_doubt_count = in_doubt_count + %s,
       canceled_count = canceled_count + %s, progress_at = now(),
       state_reason = CASE WHEN %s > 0 AND state = 'sending' THEN '' ELSE state_reason END,
       trouble_since = CASE WHEN %s > 0 THEN NULL ELSE trouble_since END
 WHERE id = %s
RETURNING state
"""
CANCEL = """
UPDATE delivery_delivery SET state = 'canceled', settled_at = now(), due_at = NULL
 WHERE mailing_id = %s AND number BETWEEN %s AND %s AND state IN ('pending', 'deferred')
"""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one recipient; attempt_count is that before this try."""

    number: int
    outcome: Outcome
    attempt_count: int = 0


def settle(mailing: Mailing, results: Sequence[Result], *, skipped: dict[int, str] | None = None) -> str:
    """Write the results in one transaction. Returns the mailing's state as it is now.

    skipped: {number: reason code} of those who are not sent to.
    """
    now = timezone.now()
    rows = [_row(mailing, result, now) for result in results]
    rows += [
        (number, DeliveryState.SKIPPED.value, why, SKIP_REASONS[why], "", None, 0)
        for number, why in (skipped or {}).items()
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        counts: dict[str, int] = {}
        if rows:
            rows.sort()  # all workers lock in the same order
            cursor.execute(SETTLE, [*map(list, zip(*rows, strict=True)), mailing.pk])
            counts = dict(cursor.fetchall())
        return _count(mailing.pk, counts)


def cancel_range(mailing_id: int, first: int, last: int) -> None:
    """Close what is open between two numbers of a canceled mailing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CANCEL, [mailing_id, first, last])
        _count(mailing_id, {"canceled": cursor.rowcount})


def _count(mailing_id: int, counts: dict[str, int]) -> str:
    accepted = counts.get("accepted", 0)
    changes = [counts.get(state, 0) for state in ("accepted", "rejected", "skipped", "in_doubt", "canceled")]
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [*changes, accepted, accepted, mailing_id])
        return str(cursor.fetchone()[0])


def _row(mailing: Mailing, result: Result, now: object) -> tuple[int, str, str, str, str, object, int]:
    outcome = result.outcome
    said = outcome.server_said.replace("\0", "")[:SAID_LIMIT]
    code, provider_id = outcome.code[:12], outcome.provider_id[:200]
    due_at = None
    match outcome.fate:
        case Fate.ACCEPTED:
            state = DeliveryState.ACCEPTED
        case Fate.DEFERRED if not retry.is_too_late(mailing.created_at, now):  # type: ignore[arg-type]
            state = DeliveryState.DEFERRED
            wait = retry.wait_seconds(result.attempt_count, asked=outcome.retry_after)
            due_at = now + timedelta(seconds=wait)  # type: ignore[operator]
        case Fate.DEFERRED:
            state, said = (
                DeliveryState.REJECTED,
                f"Given up after {result.attempt_count + 1} tries: {said}"[:SAID_LIMIT],
            )
        case _:
            state = DeliveryState.REJECTED
    return (result.number, state.value, code, said, provider_id, due_at, 1)
