"""What ledger, counters and tallies say of opens and clicks, worked out anew from the events: the truth they are kept by.
And what the counters say of what came back, from the ledger.

Reads every event of the mailing; what the counters are held against.
"""

from typing import Final

from django.db import connection, transaction

LEDGER: Final = """
UPDATE delivery_delivery d SET opened_at = e.opened_at, clicked_at = e.clicked_at
  FROM (SELECT o.number, min(v.at) AS opened_at, min(v.at) FILTER (WHERE v.kind = 'clicked') AS clicked_at
          FROM delivery_delivery o LEFT JOIN delivery_event v
            ON v.mailing_id = o.mailing_id AND v.contact_id = o.contact_id AND v.kind IN ('opened', 'clicked')
               AND NOT v.is_machine
         WHERE o.mailing_id = %(mailing)s AND o.contact_id IS NOT NULL GROUP BY 1) e
 WHERE d.mailing_id = %(mailing)s AND d.number = e.number
   AND (d.opened_at IS DISTINCT FROM e.opened_at OR d.clicked_at IS DISTINCT FROM e.clicked_at)
"""
COUNTERS: Final = """
UPDATE delivery_mailing m
   SET opened_count = d.opened, clicked_count = d.clicked, open_total = e.opens, click_total = e.clicks,
       machine_open_total = e.machine_opens, machine_click_total = e.machine_clicks,
       any_opened_count = e.any_opened, any_clicked_count = e.any_clicked
  FROM (SELECT count(opened_at) AS opened, count(clicked_at) AS clicked
          FROM delivery_delivery WHERE mailing_id = %(mailing)s) d,
       (SELECT count(*) FILTER (WHERE kind = 'opened' AND NOT is_machine) AS opens,
               count(*) FILTER (WHERE kind = 'clicked' AND NOT is_machine) AS clicks,
               count(*) FILTER (WHERE kind = 'opened' AND is_machine) AS machine_opens,
               count(*) FILTER (WHERE kind = 'clicked' AND is_machine) AS machine_clicks,
               count(DISTINCT contact_id) AS any_opened,
               count(DISTINCT contact_id) FILTER (WHERE kind = 'clicked') AS any_clicked
          FROM delivery_event WHERE mailing_id = %(mailing)s AND kind IN ('opened', 'clicked')) e
 WHERE m.id = %(mailing)s
"""
CAME_BACK: Final = """
UPDATE delivery_mailing m
   SET rejected_count = d.rejected, delivered_count = d.delivered, blocked_count = d.blocked,
       soft_bounced_count = d.soft_bounced, bounced_count = d.bounced, complained_count = d.complained
  FROM (SELECT count(*) FILTER (WHERE state = 'rejected') AS rejected,
               count(*) FILTER (WHERE feedback = 'delivered') AS delivered,
               count(*) FILTER (WHERE feedback = 'blocked' AND state <> 'rejected') AS blocked,
               count(*) FILTER (WHERE feedback = 'soft_bounced' AND state <> 'rejected') AS soft_bounced,
               count(*) FILTER (WHERE feedback = 'bounced' AND state <> 'rejected') AS bounced,
               count(*) FILTER (WHERE feedback = 'complained') AS complained
          FROM delivery_delivery WHERE mailing_id = %(mailing)s) d
 WHERE m.id = %(mailing)s
"""
LINKS: Final = """
INSERT INTO delivery_linktally (mailing_id, digest, url, people_count, any_count, click_total, machine_total)
SELECT mailing_id, md5(url)::uuid, url, count(DISTINCT contact_id) FILTER (WHERE NOT is_machine),
       count(DISTINCT contact_id), count(*) FILTER (WHERE NOT is_machine), count(*) FILTER (WHERE is_machine)
  FROM delivery_event WHERE mailing_id = %(mailing)s AND kind = 'clicked' AND url <> '' GROUP BY 1, 3
"""
HOURS: Final = """
INSERT INTO delivery_hourtally (mailing_id, hour, open_total, click_total, machine_open_total, machine_click_total)
SELECT mailing_id, date_trunc('hour', at, 'UTC'), count(*) FILTER (WHERE kind = 'opened' AND NOT is_machine),
       count(*) FILTER (WHERE kind = 'clicked' AND NOT is_machine), count(*) FILTER (WHERE kind = 'opened' AND is_machine),
       count(*) FILTER (WHERE kind = 'clicked' AND is_machine)
  FROM delivery_event WHERE mailing_id = %(mailing)s AND kind IN ('opened', 'clicked') GROUP BY 1, 2
"""


@transaction.atomic
def recount(mailing_id: int) -> None:
    """Holds the mailing's row, so that no event comes in between."""
    values = {"mailing": mailing_id}
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM delivery_mailing WHERE id = %(mailing)s FOR NO KEY UPDATE", values)
        cursor.execute("DELETE FROM delivery_linktally WHERE mailing_id = %(mailing)s", values)
        cursor.execute("DELETE FROM delivery_hourtally WHERE mailing_id = %(mailing)s", values)
        for statement in (LEDGER, COUNTERS, CAME_BACK, LINKS, HOURS):
            cursor.execute(statement, values)
