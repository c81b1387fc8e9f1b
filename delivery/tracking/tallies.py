"""What a report shows by link and by hour, and of people and machines together, kept with each set of facts so that no
page counts events.

Hung into `delivery.feedback.apply` behind `suspicion.suspect`: what is new is added, what it took back is subtracted.
"""

from typing import Final

from django.db import connection

# Recipients whose first event it is, whoever did it: what `suspicion` takes back is theirs all the same. An open goes
# with each click, as it does with people's.
ANYBODY: Final = """
WITH touched AS (
  SELECT DISTINCT mailing_id, contact_id FROM fact
   WHERE is_new AND kind IN ('opened', 'clicked') AND number IS NOT NULL AND contact_id IS NOT NULL),
recipient AS (
  SELECT t.mailing_id, bool_or(f.key IS NULL) AS was_opened, bool_or(e.kind = 'clicked') AS is_clicked,
         bool_or(e.kind = 'clicked' AND f.key IS NULL) AS was_clicked
    FROM touched t
   CROSS JOIN LATERAL (
         SELECT e.workspace_id, e.key, e.kind FROM delivery_event e
          WHERE e.mailing_id = t.mailing_id AND e.kind IN ('opened', 'clicked') AND e.contact_id = t.contact_id
         OFFSET 0) e
    LEFT JOIN fact f ON f.is_new AND f.workspace_id = e.workspace_id AND f.key = e.key
   GROUP BY t.mailing_id, t.contact_id)
UPDATE delivery_mailing m
   SET any_opened_count = m.any_opened_count + c.opened, any_clicked_count = m.any_clicked_count + c.clicked
  FROM (SELECT mailing_id, count(*) FILTER (WHERE NOT was_opened) AS opened,
               count(*) FILTER (WHERE is_clicked AND NOT was_clicked) AS clicked FROM recipient GROUP BY 1) c
 WHERE m.id = c.mailing_id AND c.opened + c.clicked > 0
"""
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
         bool_or(f.key IS NULL AND (NOT e.is_machine OR b.key IS NOT NULL))::int AS was_theirs,
         bool_and(f.key IS NOT NULL)::int AS is_first
    FROM touched t
   CROSS JOIN LATERAL (
         SELECT e.workspace_id, e.key, e.is_machine FROM delivery_event e
          WHERE e.mailing_id = t.mailing_id AND e.kind = 'clicked' AND e.contact_id = t.contact_id AND e.url = t.url
         OFFSET 0) e
    LEFT JOIN fact f ON f.is_new AND f.workspace_id = e.workspace_id AND f.key = e.key
    LEFT JOIN taken_back b ON b.workspace_id = e.workspace_id AND b.key = e.key
   GROUP BY 1, 2, 3),
people AS (
  SELECT mailing_id, url, sum(now_theirs - was_theirs) AS people, sum(is_first) AS anybody FROM person GROUP BY 1, 2),
change AS (
  SELECT mailing_id, url, sum(clicks) AS clicks, sum(machines) AS machines, sum(people) AS people, sum(anybody) AS anybody
    FROM (SELECT mailing_id, url, clicks, machines, 0 AS people, 0 AS anybody FROM counted
          UNION ALL SELECT mailing_id, url, 0, 0, people, anybody FROM people) each
   GROUP BY 1, 2)
INSERT INTO delivery_linktally AS t (mailing_id, digest, url, people_count, any_count, click_total, machine_total)
SELECT mailing_id, md5(url)::uuid, url, people, anybody, clicks, machines FROM change ORDER BY mailing_id, md5(url)
    ON CONFLICT (mailing_id, digest) DO UPDATE
   SET people_count = t.people_count + excluded.people_count, any_count = t.any_count + excluded.any_count,
       click_total = t.click_total + excluded.click_total, machine_total = t.machine_total + excluded.machine_total
"""
HOURS: Final = """
WITH change AS (
  SELECT mailing_id, date_trunc('hour', at, 'UTC') AS hour, kind, (NOT is_machine)::int AS people,
         is_machine::int AS machines
    FROM fact WHERE is_new AND kind IN ('opened', 'clicked')
  UNION ALL SELECT mailing_id, date_trunc('hour', at, 'UTC'), kind, -1, 1 FROM taken_back)
INSERT INTO delivery_hourtally AS t (mailing_id, hour, open_total, click_total, machine_open_total, machine_click_total)
SELECT mailing_id, hour, coalesce(sum(people) FILTER (WHERE kind = 'opened'), 0),
       coalesce(sum(people) FILTER (WHERE kind = 'clicked'), 0), coalesce(sum(machines) FILTER (WHERE kind = 'opened'), 0),
       coalesce(sum(machines) FILTER (WHERE kind = 'clicked'), 0)
  FROM change GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (mailing_id, hour) DO UPDATE
   SET open_total = t.open_total + excluded.open_total, click_total = t.click_total + excluded.click_total,
       machine_open_total = t.machine_open_total + excluded.machine_open_total,
       machine_click_total = t.machine_click_total + excluded.machine_click_total
"""


def tally() -> None:
    with connection.cursor() as cursor:
        cursor.execute(ANYBODY)
        cursor.execute(LINKS)
        cursor.execute(HOURS)
