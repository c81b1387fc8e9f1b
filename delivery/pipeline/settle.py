"""Settle: write what happened to a chunk of recipients into the ledger, and the mailing's counters with it."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from contacts.collisions import again_when_ended
from delivery.hygiene import refusals
from delivery.models import SENT_BACK, DeliveryState, Mailing
from delivery.pipeline import retry
from delivery.pipeline.load import CAME_BACK, NEVER, Tried
from delivery.transports.base import Fate, Outcome
from delivery.words import storable

SAID_LIMIT = 500  # characters of the server's words that are kept
BREAKER_FROM = 200  # accepted and rejected messages; fewer say little about a list
SKIP_REASONS = {
    "suppressed": "On the suppression list.",
    "erased": "No longer a contact.",
    "confirmed": "Has confirmed already.",
    "unsubscribed": "No longer subscribed.",
    "paused": "Wants nothing for a while.",
    "too_often": "Wants fewer messages, and got one lately.",
}

ACCEPTED, REJECTED = DeliveryState.ACCEPTED.value, DeliveryState.REJECTED.value
# SETTLE's columns: number, state, code, what the server said, the ESP's id, when it is due again, attempts.
Row = tuple[int, str, str, str, str, datetime | None, int]
# Only open rows change, so a chunk settled twice counts once. Of who was erased meanwhile no words are kept. Nobody is
# in doubt of whose message something came back before the answer.
SETTLE = f"""
WITH settled AS (
  UPDATE delivery_delivery d
     SET state = CASE WHEN said.state = 'in_doubt' AND {CAME_BACK} THEN 'accepted' ELSE said.state END,
         code = said.code,
         server_said = CASE d.email WHEN '' THEN '' ELSE said.server_said END,
         provider_id = CASE d.email WHEN '' THEN '' ELSE said.provider_id END,
         due_at = said.due_at, attempt_count = d.attempt_count + said.attempts, settled_at = now(),
         deferred_since = CASE said.state WHEN 'deferred' THEN coalesce(d.deferred_since, now()) END
    FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::int[])
      AS said(number, state, code, server_said, provider_id, due_at, attempts)
   WHERE d.mailing_id = %s AND d.number = said.number AND d.state IN ('pending', 'deferred')
  RETURNING d.state)
SELECT state, count(*) FROM settled GROUP BY state
"""  # noqa: S608
COUNT = """
UPDATE delivery_mailing
   SET accepted_count = accepted_count + %s, rejected_count = rejected_count + %s,
       skipped_count = skipped_count + %s, in_doubt_count = in_doubt_count + %s,
       canceled_count = canceled_count + %s, progress_at = now(),
       state_reason = CASE WHEN %s > 0 AND state = 'sending' THEN '' ELSE state_reason END,
       trouble_since = CASE WHEN %s > 0 THEN NULL ELSE trouble_since END
 WHERE id = %s
RETURNING state, accepted_count, rejected_count, breaker_done, breaker_rejected
"""
# Whose bounce was told before the answer that rejected them: counted as rejected alone, as where it is told later (NOTE
# in delivery.feedback.apply). Their rows are locked by SETTLE.
COUNT_ONCE = """
WITH told AS (
  SELECT number, feedback FROM delivery_delivery
   WHERE mailing_id = %(mailing)s AND number = ANY(%(numbers)s) AND state = 'rejected' AND feedback = ANY(%(returned)s)),
taken AS (
  UPDATE delivery_delivery d
     SET feedback = CASE WHEN d.delivered_at IS NULL THEN '' ELSE 'delivered' END, feedback_at = d.delivered_at
    FROM told t WHERE d.mailing_id = %(mailing)s AND d.number = t.number
  RETURNING t.feedback AS was, d.feedback AS became)
UPDATE delivery_mailing m
   SET delivered_count = delivered_count + c.delivered, blocked_count = blocked_count - c.blocked,
       soft_bounced_count = soft_bounced_count - c.soft_bounced, bounced_count = bounced_count - c.bounced
  FROM (SELECT count(*) AS found, count(*) FILTER (WHERE became = 'delivered') AS delivered,
               count(*) FILTER (WHERE was = 'blocked') AS blocked,
               count(*) FILTER (WHERE was = 'soft_bounced') AS soft_bounced,
               count(*) FILTER (WHERE was = 'bounced') AS bounced FROM taken) c
 WHERE m.id = %(mailing)s AND c.found > 0
"""
CANCEL = """
UPDATE delivery_delivery SET state = 'canceled', settled_at = now(), due_at = NULL
 WHERE mailing_id = %s AND number BETWEEN %s AND %s AND state IN ('pending', 'deferred')
"""


class Result(NamedTuple):
    """What became of one recipient; tried: before this try."""

    number: int
    outcome: Outcome
    tried: Tried = NEVER


class Standing(NamedTuple):
    """The mailing after a settlement: its state, and whether too many of its recipients are rejected."""

    state: str
    is_refused_too_often: bool = False


@again_when_ended  # what comes back locks the same rows, and more
def settle(
    mailing: Mailing,
    results: Sequence[Result],
    *,
    skipped: dict[int, str] | None = None,
    calls: Sequence[UUID] = (),
) -> Standing:
    """Write the results in one transaction. Returns where the mailing stands now.

    skipped: {number: reason code} of those who are not sent to. calls: that are through with these results.
    """
    now = timezone.now()
    waits: Waits = {}
    rows = [_row(mailing, result, now, waits) for result in results]
    rows += [
        (number, DeliveryState.SKIPPED.value, why, SKIP_REASONS[why], "", None, 0)
        for number, why in (skipped or {}).items()
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        counts: dict[str, int] = {}
        if rows:
            rows.sort(key=itemgetter(0))  # all workers lock in the same order
            cursor.execute(SETTLE, [*_arrays(rows), mailing.pk])
            counts = dict(cursor.fetchall())
        if calls:
            cursor.execute("DELETE FROM delivery_call WHERE id = ANY(%s)", [list(calls)])
        rejected = {row[0] for row in rows if row[1] == REJECTED} if counts.get(REJECTED) else set()
        if rejected:
            returned = [each.value for each in SENT_BACK]
            numbers: dict[str, Any] = {"mailing": mailing.pk, "numbers": list(rejected), "returned": returned}
            cursor.execute(COUNT_ONCE, numbers)
        standing = _count(mailing, counts)
        if rejected:  # last, since what came back later is applied in this order, too
            refusals.note(
                mailing, {each.number: each.outcome.verdict for each in results if each.number in rejected}
            )
        return standing


def cancel_range(mailing: Mailing, first: int, last: int) -> None:
    """Close what is open between two numbers of a canceled mailing."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(CANCEL, [mailing.pk, first, last])
        _count(mailing, {"canceled": cursor.rowcount})


def _count(mailing: Mailing, counts: dict[str, int]) -> Standing:
    accepted = counts.get("accepted", 0)
    changes = [counts.get(state, 0) for state in ("accepted", "rejected", "skipped", "in_doubt", "canceled")]
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [*changes, accepted, accepted, mailing.pk])
        state, accepted, rejected, breaker_done, breaker_rejected = cursor.fetchone()
    done = accepted + rejected - breaker_done
    share = mailing.workspace.pause_at_rejected_percent
    too_often = bool(share) and done >= BREAKER_FROM and (rejected - breaker_rejected) * 100 > share * done
    return Standing(state, too_often)


# {an outcome that several have, and how often they were tried: seconds until they are tried again, together}
Waits = dict[tuple[int, int], float]


def _row(mailing: Mailing, result: Result, now: datetime, waits: Waits) -> Row:
    outcome, tried = result.outcome, result.tried
    said = storable(outcome.server_said, SAID_LIMIT)
    code = storable(outcome.code, 12)
    provider_id = storable(outcome.provider_id, 200)
    state, due_at = REJECTED, None
    match outcome.fate:
        case Fate.ACCEPTED:
            state = ACCEPTED
        case Fate.IN_DOUBT if not _repeats(mailing, result):
            state = DeliveryState.IN_DOUBT.value
        case Fate.DEFERRED | Fate.IN_DOUBT if retry.is_too_late(tried.since or now, now):
            said = storable(f"Given up after {tried.times + 1} tries: {said}", SAID_LIMIT)
        case Fate.DEFERRED | Fate.IN_DOUBT:
            state = DeliveryState.DEFERRED.value
            key = id(outcome), tried.times
            if key not in waits:
                waits[key] = retry.wait_seconds(tried.times, asked=outcome.retry_after)
            due_at = now + timedelta(seconds=waits[key])
    return (result.number, state, code, said, provider_id, due_at, 1)


def _arrays(rows: list[Row]) -> list[str]:
    """SETTLE's columns as PostgreSQL array literals; the driver's own way of writing them takes ten times as long."""
    numbers, states, codes, said, provider_ids, due, attempts = zip(*rows, strict=True)
    return [
        _array(map(str, numbers)),
        *map(_texts, (states, codes, said, provider_ids)),
        _array("NULL" if each is None else each.isoformat() for each in due),
        _array(map(str, attempts)),
    ]


def _array(elements: Iterable[str]) -> str:
    return "{" + ",".join(elements) + "}"


def _texts(values: Sequence[str]) -> str:
    """Quoted in one go: no text that is storable has a NUL in it."""
    joined = "\0".join(values).replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace("\0", '","') + '"}'


def _repeats(mailing: Mailing, result: Result) -> bool:
    """Once more, where a second copy would carry the same Message-ID and the workspace wants it so."""
    if result.tried.in_doubt or mailing.doubt_retried:
        return False
    return result.outcome.repeatable and mailing.workspace.repeats_in_doubt
