"""Merges a chunk of people into contacts and lists: COPY into a staging table, then one statement."""

import datetime
from typing import Final, NamedTuple

from django.db import connection

from contacts.importing.people import Chunk, as_columns

STAGE: Final = """
CREATE TEMPORARY TABLE IF NOT EXISTS import_staging (
    position int NOT NULL, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL,
    attributes jsonb NOT NULL
) ON COMMIT DELETE ROWS
"""
# Sorted by address, so that two imports of the same people lock them in one order. updated_at tells what an
# earlier chunk of this import wrote: it becomes the import's mark first, the moment after it later on.
# While a table grows faster than its statistics, the planner takes a new workspace or list for an empty one
# and would read all of it for each person. So no join finds contacts; `list_id + 0` forbids an index.
# The last counts read subscriptions as they were before this statement.
# Cost: one look by one_contact_per_address for each person; 5,000 new people in about 0.15 s.
MERGE: Final = """
WITH staged AS (
    SELECT DISTINCT ON (lower(email)) * FROM import_staging ORDER BY lower(email), position DESC
), merged AS (
    INSERT INTO contacts_contact AS c
        (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
    SELECT %(workspace)s, email, first_name, last_name, attributes, %(mark)s, %(mark)s
    FROM staged ORDER BY lower(email)
    ON CONFLICT (workspace_id, lower(email)) DO UPDATE SET
        first_name = COALESCE(NULLIF(excluded.first_name, ''), c.first_name),
        last_name = COALESCE(NULLIF(excluded.last_name, ''), c.last_name),
        attributes = c.attributes || excluded.attributes,
        updated_at = GREATEST(c.updated_at, CASE c.updated_at WHEN %(mark)s THEN %(again)s ELSE %(mark)s END)
    RETURNING c.id, c.email, (xmax = 0) AS created, updated_at = %(again)s AS repeated
), people AS (
    SELECT m.*, EXISTS (
        SELECT FROM contacts_suppression x WHERE x.workspace_id = %(workspace)s AND x.email = lower(m.email)
    ) AS suppressed
    FROM merged m
), subscribed AS (
    INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, consent_at,
        unsubscribe_source, created_at)
    SELECT %(workspace)s, p.id, chosen.id, 'subscribed', %(source)s, %(mark)s, '', %(mark)s
    FROM people p CROSS JOIN unnest(%(lists)s::bigint[]) AS chosen(id)
    WHERE NOT p.suppressed ORDER BY p.id, chosen.id
    ON CONFLICT (contact_id, list_id) DO NOTHING
)
SELECT
    count(*) FILTER (WHERE created),
    count(*) FILTER (WHERE NOT created AND NOT repeated),
    count(*) FILTER (WHERE repeated),
    count(*) FILTER (WHERE NOT repeated AND cardinality(%(lists)s::bigint[]) > 0 AND (suppressed OR EXISTS (
        SELECT FROM contacts_subscription u
        WHERE u.contact_id = p.id AND u.list_id + 0 = ANY(%(lists)s) AND u.status = 'unsubscribed')))
FROM people p
"""


MOMENT: Final = datetime.timedelta(microseconds=1)  # the least that the database tells apart


class Merged(NamedTuple):
    """People created, updated, already written by this import, and not subscribed again."""

    created: int
    updated: int
    repeated: int
    held: int


def merge(
    chunk: Chunk, *, workspace_id: int, list_ids: list[int], consent_source: str, mark: datetime.datetime
) -> Merged:
    """Write the people: filled cells update, empty ones leave what is there; nobody is subscribed again.

    mark: the import's own time, the same for all its chunks. Call it inside a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(STAGE)
        columns = "COPY import_staging (position, email, first_name, last_name, attributes) FROM STDIN"
        with cursor.copy(columns) as copy:
            for row in as_columns(chunk):
                copy.write_row(row)
        cursor.execute(
            MERGE,
            {
                "workspace": workspace_id,
                "lists": list_ids,
                "source": consent_source,
                "mark": mark,
                "again": mark + MOMENT,
            },
        )
        merged = Merged(*cursor.fetchone())
        cursor.execute("TRUNCATE import_staging")
    return merged


def analyze() -> None:
    """Renew the statistics after a large merge, by which segments and audiences are planned."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE contacts_contact, contacts_subscription")


def keep_refusals(chunk: Chunk, *, import_id: int) -> None:
    """Write the refused rows, with number, text and reason. Call it inside a transaction."""
    if not chunk.refused:
        return
    columns = "COPY contacts_importrefusal (run_id, row_number, text, reason) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(columns) as copy:
        for number, text, reason in chunk.refused:
            copy.write_row((import_id, number, text, reason))
