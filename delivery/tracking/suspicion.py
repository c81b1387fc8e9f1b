"""What several things tell together: a hidden link that was followed, links that were all followed at once, and clicks
beside the moment when the recipient's own server took the message, of which an ESP tells.

Hung into `delivery.feedback.apply`, so that a verdict is taken back in the transaction that brings the sign for it:
the events become a machine's, and ledger and counters are as if they had never been a person's. Whatever comes
first, the sign or the clicks beside it, the end is the same.
"""

from typing import Any, Final

from django.db import connection

from delivery.models import EventKind
from delivery.tracking.machines import PROMPT, WHY_PROMPT
from delivery.tracking.reading import WHY_TRAP

WHY_BURST: Final = "Several links at once"
TRAP_SECONDS: Final = (
    60  # around a hidden link's click: what the same message's links and pictures were asked for
)
BURST_LINKS: Final = 3  # different ones
BURST_SECONDS: Final = 2  # in which nobody follows so many
# Of a message with two links, both at once are a sign only so soon after it was delivered.
BOTH_SECONDS: Final = 60
# Before the ESP's word that it was delivered: a gateway looks at links before it takes the message. No longer, since
# an ESP may date its word late.
AHEAD_SECONDS: Final = 60

STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS taken_back (
    workspace_id bigint, key uuid, mailing_id bigint, number int, contact_id bigint, kind text, at timestamptz,
    url text)
"""
# Only of whom something new has come, which the ledger is locked for; by event_mailing_idx. A sign says of which time
# around it the message's clicks are a machine's, and where it says "opened", its opens, too.
SUSPECT: Final = """
WITH told AS MATERIALIZED (
  SELECT mailing_id, number, contact_id, bool_or(kind <> 'delivered') AS has_new FROM fact
   WHERE (is_new AND kind IN ('opened', 'clicked') OR kind = 'delivered')
     AND number IS NOT NULL AND contact_id IS NOT NULL
   GROUP BY 1, 2, 3),
person AS MATERIALIZED (
  SELECT t.mailing_id, t.contact_id, d.delivered_at, greatest(d.settled_at, d.delivered_at) AS reached_at FROM told t
   CROSS JOIN LATERAL (
         SELECT d.settled_at, d.delivered_at, d.opened_at FROM delivery_delivery d
          WHERE d.mailing_id = t.mailing_id AND d.number = t.number OFFSET 0) d
   WHERE t.has_new OR d.opened_at IS NOT NULL),
hit AS MATERIALIZED (
  SELECT p.mailing_id, p.contact_id, p.reached_at, e.* FROM person p
   CROSS JOIN LATERAL (
         SELECT e.workspace_id, e.key, e.kind, e.at, e.url, e.is_machine FROM delivery_event e
          WHERE e.mailing_id = p.mailing_id AND e.kind IN ('opened', 'clicked') AND e.contact_id = p.contact_id
         OFFSET 0) e),
click AS MATERIALIZED (SELECT * FROM hit WHERE kind = 'clicked'),
sign AS MATERIALIZED (
  SELECT a.mailing_id, a.contact_id, '' AS kind, a.at, make_interval(secs => %(burst_seconds)s) AS after,
         interval '0' AS before, %(burst)s AS why
    FROM click a JOIN click b ON b.mailing_id = a.mailing_id AND b.contact_id = a.contact_id
         AND b.at BETWEEN a.at AND a.at + make_interval(secs => %(burst_seconds)s)
   GROUP BY a.mailing_id, a.contact_id, a.key, a.at, a.reached_at
  HAVING count(DISTINCT b.url) >= %(burst_links)s
      OR (count(DISTINCT b.url) = 2 AND a.at < a.reached_at + make_interval(secs => %(both_seconds)s) AND 2 = (
          SELECT jsonb_array_length(m.content -> 'links') FROM delivery_mailing m WHERE m.id = a.mailing_id))
  UNION ALL
  SELECT p.mailing_id, p.contact_id, prompt.kind, p.delivered_at, make_interval(secs => prompt.seconds),
         make_interval(secs => %(ahead_seconds)s), %(prompt)s
    FROM person p CROSS JOIN (VALUES ('', %(prompt_click)s), ('opened', %(prompt_open)s)) prompt(kind, seconds)
   WHERE p.delivered_at IS NOT NULL
  UNION ALL
  SELECT mailing_id, contact_id, 'opened', at, make_interval(secs => %(trap_seconds)s),
         make_interval(secs => %(trap_seconds)s), %(trap)s
    FROM click WHERE url = ''),
found AS (
  SELECT h.workspace_id, h.key, min(s.why) AS why
    FROM hit h JOIN sign s ON s.mailing_id = h.mailing_id AND s.contact_id = h.contact_id
         AND h.at BETWEEN s.at - s.before AND s.at + s.after AND h.kind IN ('clicked', s.kind)
   WHERE NOT h.is_machine GROUP BY 1, 2),
changed AS (
  UPDATE delivery_event e SET is_machine = true, why_machine = f.why
    FROM found f WHERE e.workspace_id = f.workspace_id AND e.key = f.key
  RETURNING e.workspace_id, e.key, e.mailing_id, e.number, e.contact_id, e.kind, e.at, e.url)
INSERT INTO taken_back (workspace_id, key, mailing_id, number, contact_id, kind, at, url) SELECT * FROM changed
"""
# The ledger says what remains of each of them.
LEDGER: Final = """
WITH person AS (SELECT DISTINCT mailing_id, number, contact_id FROM taken_back WHERE number IS NOT NULL),
left_over AS (
  SELECT p.mailing_id, p.number, min(e.at) AS opened_at, min(e.at) FILTER (WHERE e.kind = 'clicked') AS clicked_at
    FROM person p LEFT JOIN delivery_event e
      ON e.mailing_id = p.mailing_id AND e.contact_id = p.contact_id AND e.kind IN ('opened', 'clicked')
         AND NOT e.is_machine
   GROUP BY 1, 2),
noted AS (
  UPDATE delivery_delivery d SET opened_at = l.opened_at, clicked_at = l.clicked_at
    FROM left_over l JOIN delivery_delivery was ON was.mailing_id = l.mailing_id AND was.number = l.number
   WHERE d.mailing_id = l.mailing_id AND d.number = l.number
  RETURNING d.mailing_id, was.opened_at IS NOT NULL AND d.opened_at IS NULL AS unopened,
            was.clicked_at IS NOT NULL AND d.clicked_at IS NULL AS unclicked)
SELECT mailing_id, count(*) FILTER (WHERE unopened), count(*) FILTER (WHERE unclicked) FROM noted GROUP BY 1
"""
COUNTERS: Final = """
UPDATE delivery_mailing m
   SET opened_count = m.opened_count - %s, clicked_count = m.clicked_count - %s,
       open_total = m.open_total - t.opens, machine_open_total = m.machine_open_total + t.opens,
       click_total = m.click_total - t.clicks, machine_click_total = m.machine_click_total + t.clicks
  FROM (SELECT count(*) FILTER (WHERE kind = 'opened') AS opens, count(*) FILTER (WHERE kind = 'clicked') AS clicks
          FROM taken_back WHERE mailing_id = %s) t
 WHERE m.id = %s
"""


def suspect() -> int:
    """Take back what was no person's doing after all. Returns how many events. Three short statements where there is
    nothing to take back; the ledger's rows are locked already."""
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        cursor.execute("TRUNCATE taken_back")
        cursor.execute(
            SUSPECT,
            {
                "trap": WHY_TRAP,
                "trap_seconds": TRAP_SECONDS,
                "burst": WHY_BURST,
                "burst_links": BURST_LINKS,
                "burst_seconds": BURST_SECONDS,
                "both_seconds": BOTH_SECONDS,
                "prompt": WHY_PROMPT,
                "prompt_click": PROMPT[EventKind.CLICKED],
                "prompt_open": PROMPT[EventKind.OPENED],
                "ahead_seconds": AHEAD_SECONDS,
            },
        )
        count = cursor.rowcount
        if count:
            _correct(cursor)
    return count


def _correct(cursor: Any) -> None:
    cursor.execute(LEDGER)
    people = {mailing_id: (opened, clicked) for mailing_id, opened, clicked in cursor.fetchall()}
    for mailing_id, (opened, clicked) in sorted(people.items()):
        cursor.execute(COUNTERS, [opened, clicked, mailing_id, mailing_id])
