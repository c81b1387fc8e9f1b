"""Apply facts: events, the ledger, counters and suppressions in one transaction, however often and in any order."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import OperationalError, connection, transaction

from contacts.actions.suppression import suppress_returned
from contacts.collisions import again_when_ended
from contacts.models import SuppressionReason
from delivery.feedback.facts import WEIGHTS, Fact, Kind
from delivery.models import SENT_BACK, Feedback
from delivery.words import storable

log = logging.getLogger(__name__)
# Made once a connection, and emptied by each that fills it: a table for each chunk would fill the catalogue.
STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS fact (
    workspace_id bigint, account_id bigint, mailing_id bigint, number int, contact_id bigint, email text,
    kind text, weight int, at timestamptz, key uuid, is_machine boolean, why_machine text, url text, code text,
    said text, is_nameless boolean, message_id text, is_new boolean)
"""
# Whom a fact names: by number, else by address within the mailing, else by address and the provider's id of the
# message (both by one_delivery_per_contact); a mailing of another workspace is none. Of who was erased meanwhile no
# words are kept, nor where an ESP saw them click, which may be an address of their own.
READ: Final = """
INSERT INTO fact
SELECT DISTINCT ON (f.workspace_id, f.key)
       f.workspace_id, f.account_id, coalesce(told.mailing_id, m.id), coalesce(d.number, found.number, told.number),
       coalesce(d.contact_id, found.contact_id, told.contact_id), coalesce(d.email, found.email, told.email, f.email),
       f.kind, f.weight, f.at, f.key, f.is_machine, f.why_machine,
       CASE WHEN d.email = '' AND f.account_id IS NOT NULL THEN '' ELSE f.url END,
       f.code, CASE d.email WHEN '' THEN '' ELSE f.said END, f.is_nameless, f.message_id, false
  FROM jsonb_to_recordset(%s::jsonb) AS f(workspace_id bigint, account_id bigint, mailing_id bigint, number int,
       email text, kind text, weight int, at timestamptz, key uuid, is_machine boolean, why_machine text, url text,
       code text, said text, is_nameless boolean, message_id text)
  LEFT JOIN delivery_mailing m ON m.id = f.mailing_id AND m.workspace_id = f.workspace_id
  LEFT JOIN delivery_delivery d ON d.mailing_id = m.id AND d.number = f.number
  LEFT JOIN LATERAL (
       SELECT o.number, o.contact_id, o.email FROM contacts_contact c
         JOIN delivery_delivery o ON o.contact_id = c.id AND o.mailing_id = m.id
        WHERE f.number IS NULL AND NOT f.is_nameless AND f.email <> ''
          AND c.workspace_id = f.workspace_id AND lower(c.email) = lower(f.email) LIMIT 1) found ON true
  LEFT JOIN LATERAL (
       SELECT o.mailing_id, o.number, o.contact_id, o.email FROM contacts_contact c
         JOIN delivery_delivery o ON o.contact_id = c.id AND btrim(o.provider_id, '<>') = f.message_id
        WHERE d.number IS NULL AND found.number IS NULL AND f.message_id <> '' AND f.email <> ''
          AND c.workspace_id = f.workspace_id AND lower(c.email) = lower(f.email) LIMIT 1) told ON true
 ORDER BY f.workspace_id, f.key
"""
# What came before stays as it is. A contact that is gone, or another workspace's, is not named.
WRITE: Final = """
WITH written AS (
  INSERT INTO delivery_event (workspace_id, mailing_id, contact_id, number, kind, at, key, is_machine, why_machine,
                              url, code, said)
  SELECT f.workspace_id, f.mailing_id, c.id, f.number, f.kind, f.at, f.key, f.is_machine, f.why_machine,
         f.url, f.code, f.said
    FROM fact f LEFT JOIN contacts_contact c ON c.id = f.contact_id AND c.workspace_id = f.workspace_id
   WHERE f.mailing_id IS NOT NULL AND (f.number IS NOT NULL OR f.is_nameless) AND f.kind <> 'delivered'
   ORDER BY f.workspace_id, f.key
      ON CONFLICT (workspace_id, key) DO NOTHING
  RETURNING workspace_id, key)
UPDATE fact f SET is_new = true FROM written w WHERE w.workspace_id = f.workspace_id AND w.key = f.key
"""
# Whoever clicked has opened it, whether or not pictures were shown. Old events are left out: a later sign may have
# taken them back from people meanwhile.
# Locked in the ledger's order, as settlement locks. Of whoever was in doubt it is known now that the message arrived
# at a server that says something about it. Whoever was rejected is not counted as bounced as well.
NOTE: Final = """
WITH said AS (
  SELECT mailing_id, number, max(weight) AS weight,
         (array_agg(kind ORDER BY weight DESC, at))[1] AS kind, (array_agg(at ORDER BY weight DESC, at))[1] AS at,
         max(weight) FILTER (WHERE NOT is_back) AS weight_but_back,
         (array_agg(kind ORDER BY weight DESC, at) FILTER (WHERE NOT is_back))[1] AS kind_but_back,
         (array_agg(at ORDER BY weight DESC, at) FILTER (WHERE NOT is_back))[1] AS at_but_back,
         min(at) FILTER (WHERE kind = 'delivered') AS delivered_at,
         min(at) FILTER (WHERE kind IN ('opened', 'clicked') AND is_new AND NOT is_machine) AS opened_at,
         min(at) FILTER (WHERE kind = 'clicked' AND is_new AND NOT is_machine) AS clicked_at
    FROM (SELECT *, kind = ANY(%(returned)s) AS is_back FROM fact WHERE number IS NOT NULL) f
   GROUP BY mailing_id, number),
held AS MATERIALIZED (
  SELECT d.mailing_id, d.number, d.feedback, d.state, d.opened_at, d.clicked_at,
         array_position(%(feedbacks)s, d.feedback::text) - 1 AS weight,
         CASE d.state WHEN 'rejected' THEN s.weight_but_back ELSE s.weight END AS said_weight,
         CASE d.state WHEN 'rejected' THEN s.kind_but_back ELSE s.kind END AS said_kind,
         CASE d.state WHEN 'rejected' THEN s.at_but_back ELSE s.at END AS said_at,
         s.delivered_at AS said_delivered_at, s.opened_at AS said_opened_at, s.clicked_at AS said_clicked_at
    FROM delivery_delivery d JOIN said s ON s.mailing_id = d.mailing_id AND s.number = d.number
   ORDER BY d.mailing_id, d.number FOR NO KEY UPDATE OF d),
noted AS (
  UPDATE delivery_delivery d
     SET feedback = CASE WHEN h.said_weight > h.weight THEN h.said_kind ELSE d.feedback END,
         feedback_at = CASE WHEN h.said_weight > h.weight THEN h.said_at
                            WHEN h.said_weight = h.weight AND h.said_weight > 0 THEN least(d.feedback_at, h.said_at)
                            ELSE d.feedback_at END,
         delivered_at = least(d.delivered_at, h.said_delivered_at),
         opened_at = least(d.opened_at, h.said_opened_at), clicked_at = least(d.clicked_at, h.said_clicked_at),
         state = CASE d.state WHEN 'in_doubt' THEN 'accepted' ELSE d.state END
    FROM held h
   WHERE d.mailing_id = h.mailing_id AND d.number = h.number
     AND (h.said_weight > h.weight OR (h.said_weight = h.weight AND h.said_at < d.feedback_at) OR d.state = 'in_doubt'
          OR h.said_delivered_at < coalesce(d.delivered_at, 'infinity')
          OR h.said_opened_at < coalesce(d.opened_at, 'infinity')
          OR h.said_clicked_at < coalesce(d.clicked_at, 'infinity'))
  RETURNING d.mailing_id, h.feedback AS was, d.feedback AS became, h.state = 'in_doubt' AS was_in_doubt,
            h.opened_at IS NULL AND d.opened_at IS NOT NULL AS opens,
            h.clicked_at IS NULL AND d.clicked_at IS NOT NULL AS clicks)
SELECT mailing_id, was, became, count(*), count(*) FILTER (WHERE was_in_doubt), count(*) FILTER (WHERE opens),
       count(*) FILTER (WHERE clicks)
  FROM noted GROUP BY mailing_id, was, became
"""
TOTALS: Final = """
SELECT mailing_id, kind, is_machine, count(*) FROM fact
 WHERE is_new AND kind IN ('opened', 'clicked') GROUP BY 1, 2, 3
"""
# Of whom a webhook tells that are no recipients of ours: contacts alone. By a mail anybody could say so.
RETURNED: Final = """
SELECT f.workspace_id, f.kind, f.email, f.code, f.said, m.id, coalesce(m.name, a.name), f.at
  FROM fact f
  LEFT JOIN delivery_mailing m ON m.id = f.mailing_id LEFT JOIN delivery_sendingaccount a ON a.id = f.account_id
 WHERE f.is_new AND f.kind IN ('bounced', 'complained') AND f.email <> ''
   AND (f.number IS NOT NULL OR f.account_id IS NOT NULL AND EXISTS (
        SELECT FROM contacts_contact c WHERE c.workspace_id = f.workspace_id AND lower(c.email) = lower(f.email)))
 ORDER BY f.workspace_id, f.kind, lower(f.email)
"""
STRAY: Final = """
WITH written AS (
  INSERT INTO delivery_stray (workspace_id, account_id, kind, at, key, email, code, said, message_id)
  SELECT workspace_id, account_id, kind, at, key, left(email, 254), code, said, message_id FROM fact
   WHERE (mailing_id IS NULL OR (number IS NULL AND NOT is_nameless)) AND kind NOT IN ('opened', 'clicked')
      ON CONFLICT (workspace_id, key) DO NOTHING
  RETURNING workspace_id, key)
UPDATE fact f SET is_new = true FROM written w WHERE w.workspace_id = f.workspace_id AND w.key = f.key
"""
SEEN: Final = """
UPDATE delivery_sendingaccount a
   SET event_at = greatest(a.event_at, f.at), bounce_at = greatest(a.bounce_at, f.bounce_at)
  FROM (SELECT account_id, max(at) AS at, max(at) FILTER (WHERE kind LIKE '%bounced') AS bounce_at
          FROM fact WHERE account_id IS NOT NULL GROUP BY 1) f
 WHERE a.id = f.account_id AND (f.at > coalesce(a.event_at, '-infinity') OR f.bounce_at > coalesce(a.bounce_at, '-infinity'))
"""
COUNTED: Final = {
    Feedback.DELIVERED: "delivered_count",
    Feedback.BLOCKED: "blocked_count",
    Feedback.SOFT_BOUNCED: "soft_bounced_count",
    Feedback.BOUNCED: "bounced_count",
    Feedback.COMPLAINED: "complained_count",
}
TOTALLED: Final = {
    ("opened", False): "open_total",
    ("clicked", False): "click_total",
    ("opened", True): "machine_open_total",
    ("clicked", True): "machine_click_total",
}
LONGEST: Final = {
    "why_machine": 40,
    "url": 2000,
    "code": 12,
    "said": 500,
    "email": 254,
    "message_id": 200,
}  # characters
REASONS: Final = {Kind.BOUNCED: SuppressionReason.HARD_BOUNCE, Kind.COMPLAINED: SuppressionReason.COMPLAINT}

# Called inside the transaction, while the facts stand in the temporary table `fact` with whom they name, whether they
# are new, and the ledger is written. Each must be safe to call again with the same.
consequences: list[Callable[[], object]] = []


@dataclass
class Applied:
    """changes: {mailing id: {counter: by how much}}."""

    new_events: int = 0
    changes: dict[int, dict[str, int]] = field(default_factory=dict)

    def add(self, mailing_id: int, counter: str, count: int) -> None:
        of_mailing = self.changes.setdefault(mailing_id, {})
        of_mailing[counter] = of_mailing.get(counter, 0) + count


@again_when_ended
def apply(facts: Sequence[Fact]) -> Applied:
    """Write what is not there yet; safe to call again with the same, and in any order. Some thousands at once."""
    applied = Applied()
    if not facts:
        return applied
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.execute(READ, [json.dumps([_row(fact) for fact in facts])])
        cursor.execute(WRITE)
        applied.new_events = cursor.rowcount
        _note(cursor, applied)
        cursor.execute(STRAY)
        cursor.execute(SEEN)
        _count(cursor, applied)
        _suppress(cursor)
        for consequence in consequences:
            consequence()
        cursor.execute("TRUNCATE fact")
    return applied


def _row(fact: Fact) -> dict[str, Any]:
    row = fact._asdict() | {"key": str(fact.key), "at": fact.at.isoformat(), "kind": str(fact.kind)}
    row["weight"] = WEIGHTS.get(fact.kind, 0)
    for name, longest in LONGEST.items():
        row[name] = storable(row[name], longest)
    return row


def _note(cursor: Any, applied: Applied) -> None:
    cursor.execute(NOTE, {"feedbacks": list(WEIGHTS), "returned": [each.value for each in SENT_BACK]})
    for mailing_id, was, became, count, in_doubt, opens, clicks in cursor.fetchall():
        if was != became:
            for feedback, sign in ((was, -1), (became, 1)):
                if feedback:
                    applied.add(mailing_id, COUNTED[feedback], sign * count)
        applied.add(mailing_id, "in_doubt_count", -in_doubt)
        applied.add(mailing_id, "accepted_count", in_doubt)
        applied.add(mailing_id, "opened_count", opens)
        applied.add(mailing_id, "clicked_count", clicks)
    cursor.execute(TOTALS)
    for mailing_id, kind, is_machine, count in cursor.fetchall():
        applied.add(mailing_id, TOTALLED[kind, is_machine], count)


def _count(cursor: Any, applied: Applied) -> None:
    """Last of what locks the ledger, and in one order, as settlement does."""
    for mailing_id, counters in sorted(applied.changes.items()):
        changed = {counter: count for counter, count in counters.items() if count}
        if changed:
            sets = ", ".join(f"{counter} = {counter} + %s" for counter in changed)
            cursor.execute(
                f"UPDATE delivery_mailing SET {sets} WHERE id = %s",  # noqa: S608  (names from above)
                [*changed.values(), mailing_id],
            )


def _suppress(cursor: Any) -> None:
    """Hard bounces and complaints are suppressed with the event, also for batches in the air."""
    cursor.execute(RETURNED)
    returned: dict[tuple[int, SuppressionReason], list[tuple[str, str, int | None]]] = {}
    for workspace_id, kind, email, code, said, mailing_id, name, at in cursor.fetchall():
        row = (email, note_of(name, at, code, said), mailing_id)
        returned.setdefault((workspace_id, REASONS[Kind(kind)]), []).append(row)
    for (workspace_id, reason), rows in returned.items():
        suppress_returned(workspace_id, rows, reason=reason)


def note_of(name: str, at: datetime, code: str, said: str) -> str:
    """Which mailing it was, or which account told so, when, and in which words: for the suppression list."""
    words = f"{code} {said}".strip() if code not in said else said
    return f"“{name}”, {at:%Y-%m-%d}" + (f": {words}" if words else "")


def apply_fit(facts: Sequence[Fact]) -> None:
    """Apply what can be written; what cannot is left out, so that it does not hold up all others for ever."""
    try:
        apply(facts)
    except OperationalError:  # of the moment, not of a fact
        raise
    except Exception:
        if len(facts) == 1:
            log.exception("feedback.unfit fact=%s", facts[0])
            return
        half = len(facts) // 2
        apply_fit(facts[:half])
        apply_fit(facts[half:])


def applied_all(facts: Iterable[Fact], *, at_once: int = 2_000) -> int:
    """Apply however many, in chunks. Returns how many events were new."""
    rows, count = list(facts), 0
    for start in range(0, len(rows), at_once):
        count += apply(rows[start : start + at_once]).new_events
    return count
