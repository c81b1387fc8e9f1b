"""What a report shows by link and by hour, kept with each set of facts so that no page counts events.

Hung into `delivery.feedback.apply` behind `suspicion.suspect`: what is new is added, what it took back is subtracted.
"""

from typing import Final

from django.db import connection

# A link's people: whoever has a click of theirs on it now, less whoever had one before this set came.
LINKS: Final = """
WITH counted AS (
  SELECT mailing_id, url, count(*) FILTER (WHERE NOT is_machine) AS clicks, count(*) FILTER (WHERE is_machine) AS machines
    FROM fact WHERE is_new AND kind = 'clicked' AND url <> '' GROUP BY 1, 2
  UNION ALL
  SELECT mailing_id, url, -count(*), count(*) FROM taken_back WHERE kind = 'clicked' AND url <> '' GROUP BY 1, 2),
touched AS (
  SELECT mailing_id, contact_id, url FROM fact
   WHERE is_new AND kind = 'clicked' AND url <> '' AND number IS NOT NULL AND contact_id IS NOT NULL
  UNION
  SELECT mailing_id, contact_id, url FROM taken_back WHERE kind = 'clicked' AND url <> '' AND contact_id IS NOT NULL),
person AS (
  SELECT t.mailing_id, t.contact_id, t.url, bool_or(NOT e.is_machine)::int AS now_theirs,
         bool_or(f.key IS NULL AND (NOT e.is_machine OR b.key IS NOT NULL))::int AS was_theirs
    FROM touched t
   CROSS JOIN LATERAL (
         SELECT e.workspace_id, e.key, e.is_machine FROM delivery_event e
          WHERE e.mailing_id = t.mailing_id AND e.kind = 'clicked' AND e.contact_id = t.contact_id AND e.url = t.url
         OFFSET 0) e
    LEFT JOIN fact f ON f.is_new AND f.workspace_id = e.workspace_id AND f.key = e.key
    LEFT JOIN taken_back b ON b.workspace_id = e.workspace_id AND b.key = e.key
   GROUP BY 1, 2, 3),
people AS (SELECT mailing_id, url, sum(now_theirs - was_theirs) AS people FROM person GROUP BY 1, 2),
change AS (
  SELECT mailing_id, url, sum(clicks) AS clicks, sum(machines) AS machines, sum(people) AS people
    FROM (SELECT mailing_id, url, clicks, machines, 0 AS people FROM counted
          UNION ALL SELECT mailing_id, url, 0, 0, people FROM people) each
   GROUP BY 1, 2)
INSERT INTO delivery_linktally AS t (mailing_id, digest, url, people_count, click_total, machine_total)
SELECT mailing_id, md5(url)::uuid, url, people, clicks, machines FROM change ORDER BY mailing_id, md5(url)
    ON CONFLICT (mailing_id, digest) DO UPDATE
   SET people_count = t.people_count + excluded.people_count, click_total = t.click_total + excluded.click_total,
       machine_total = t.machine_total + excluded.machine_total
"""
HOURS: Final = """
WITH change AS (
  SELECT mailing_id, date_trunc('hour', at, 'UTC') AS hour, kind, 1 AS count
    FROM fact WHERE is_new AND kind IN ('opened', 'clicked') AND NOT is_machine
  UNION ALL SELECT mailing_id, date_trunc('hour', at, 'UTC'), kind, -1 FROM taken_back)
INSERT INTO delivery_hourtally AS t (mailing_id, hour, open_total, click_total)
SELECT mailing_id, hour, coalesce(sum(count) FILTER (WHERE kind = 'opened'), 0),
       coalesce(sum(count) FILTER (WHERE kind = 'clicked'), 0)
  FROM change GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (mailing_id, hour) DO UPDATE
   SET open_total = t.open_total + excluded.open_total, click_total = t.click_total + excluded.click_total
"""


def tally() -> None:
    with connection.cursor() as cursor:
        cursor.execute(LINKS)
        cursor.execute(HOURS)
