"""Suppress an address whose messages bounce softly again and again, and let it back when one turns out to have arrived.

Decided from the ledger and the events alone, so that the order in which they were reported says nothing.
"""

from datetime import timedelta
from typing import Any, Final

from django.db import connection

from contacts.actions.suppression import suppress_returned
from contacts.models import Suppression, SuppressionReason
from delivery.feedback.apply import note_of

# Whose standing the facts at hand can change. A block is neither good nor bad, but then the message did not arrive.
# The suppression is looked up for each fact, as the first from its address on: only one_suppression_per_address gives
# that without sorting a good part of the table. By equality, in a table that was never analysed, the planner takes a
# workspace's suppressions for one or two, and reads them all by suppression_newest_idx, for each fact.
TOUCHED: Final = """
SELECT DISTINCT f.contact_id FROM fact f
 WHERE f.contact_id IS NOT NULL
   AND (f.is_new AND f.kind IN ('soft_bounced', 'blocked')
        OR f.kind IN ('delivered', 'opened', 'clicked') AND (
           SELECT s.workspace_id = f.workspace_id AND s.email = lower(f.email) AND s.reason = 'soft_bounce'
             FROM contacts_suppression s WHERE (s.workspace_id, s.email) >= (f.workspace_id, lower(f.email))
            ORDER BY s.workspace_id, s.email LIMIT 1))
"""
# Of each contact's present address, its soft bounces since the last message that arrived: one that was reported as
# delivered or that a person opened; or one of which nothing came back, sent before the newest soft bounce, since what
# was sent after it may still bounce. A message stands at the time it was accepted, or when the first was said of it
# where that is earlier. Cost: by event_contact_idx and one_delivery_per_contact, all messages of each. Materialized:
# each is worked out once, also where statistics of an empty table promise that there is but one row to do it for.
RUNS: Final = """
WITH people AS (
  SELECT c.id, c.workspace_id, lower(c.email) AS email FROM contacts_contact c WHERE c.id = ANY(%(ids)s)),
bad AS MATERIALIZED (
  SELECT DISTINCT ON (p.id, e.mailing_id) p.id, e.mailing_id, least(e.at, d.settled_at) AS at,
         e.at AS said_at, e.code, e.said
    FROM people p
    JOIN delivery_event e ON e.contact_id = p.id AND e.kind = 'soft_bounced' AND e.undone_at IS NULL
    JOIN delivery_delivery d ON d.mailing_id = e.mailing_id AND d.number = e.number
     AND lower(d.email) = p.email AND coalesce(d.opened_at, d.clicked_at) IS NULL
   ORDER BY p.id, e.mailing_id, e.at),
newest AS (SELECT DISTINCT ON (id) * FROM bad ORDER BY id, at DESC, mailing_id DESC),
good AS MATERIALIZED (
  SELECT p.id, max(least(d.settled_at, d.feedback_at, d.opened_at, d.clicked_at)) AS at
    FROM people p JOIN newest n ON n.id = p.id
    JOIN delivery_delivery d ON d.contact_id = p.id AND d.state = 'accepted' AND lower(d.email) = p.email
   WHERE d.feedback = 'delivered' OR coalesce(d.opened_at, d.clicked_at) IS NOT NULL
      OR (d.feedback = '' AND d.settled_at < n.at)
   GROUP BY p.id),
run AS MATERIALIZED (
  SELECT b.id, count(*) AS count, max(b.at) - min(b.at) AS span
    FROM bad b LEFT JOIN good g ON g.id = b.id WHERE b.at > coalesce(g.at, '-infinity') GROUP BY b.id)
SELECT p.workspace_id, p.email,
       coalesce(w.soft_bounce_limit > 0 AND r.count >= w.soft_bounce_limit
                AND r.span >= make_interval(days => w.soft_bounce_days), false),
       r.count, w.soft_suppression_days, m.id, m.name, n.said_at, n.code, n.said
  FROM people p JOIN accounts_workspace w ON w.id = p.workspace_id
  LEFT JOIN run r ON r.id = p.id LEFT JOIN newest n ON n.id = p.id LEFT JOIN delivery_mailing m ON m.id = n.mailing_id
 ORDER BY p.workspace_id, p.email
"""


def follow() -> None:
    """A consequence of `delivery.feedback.apply`."""
    with connection.cursor() as cursor:
        cursor.execute(TOUCHED)
        ids = [contact_id for (contact_id,) in cursor.fetchall()]
    if ids:
        judge(ids)


def judge(contact_ids: list[int]) -> int:
    """Suppress those whose run is long enough, and let the others back; within the caller's transaction.

    Returns: how many came back.
    """
    tired: dict[tuple[int, Any], list[tuple[str, str, int]]] = {}
    rested: dict[int, list[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(RUNS, {"ids": contact_ids})
        for workspace_id, email, is_over, count, days, mailing_id, name, at, code, said in cursor.fetchall():
            if is_over:
                note = f"{count:,} in a row, the last: {note_of(name, at, code, said)}"
                expires_at = at + timedelta(days=days) if days else None
                tired.setdefault((workspace_id, expires_at), []).append((email, note, mailing_id))
            else:
                rested.setdefault(workspace_id, []).append(email)
    for (workspace_id, expires_at), rows in tired.items():
        suppress_returned(workspace_id, rows, reason=SuppressionReason.SOFT_BOUNCE, expires_at=expires_at)
    lifted = 0
    for workspace_id, emails in rested.items():
        lifted += Suppression.objects.filter(
            workspace=workspace_id,
            email__in=emails,
            reason=SuppressionReason.SOFT_BOUNCE,
            mailing_id__isnull=False,  # not one that somebody put in
        ).delete()[0]
    return lifted
