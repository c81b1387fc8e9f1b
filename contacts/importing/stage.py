"""An import's staging table: the people of its file, each once, as COPY brought them; and dropped with the import's end.

Unlogged, since the file can fill it again, and a table of its own, since dropping is free where deleting a million
rows is not. Nothing here touches a contact.
"""

import re
from collections.abc import Iterable
from typing import Final

from django.db import connection

SLICE_ROWS: Final = 10_000  # rows of the file in one transaction: under a second, so that cancelling is quick
COLUMNS: Final = "position, email, first_name, last_name, consent_at, attributes, tags"
PREFIX: Final = "contacts_import_stage_"
# position: the row's number in the file. tags: places in the names that were found, from 1.
CREATE: Final = """
CREATE UNLOGGED TABLE {stage} (
    position int NOT NULL, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL,
    consent_at timestamptz, attributes jsonb NOT NULL, tags int[] NOT NULL,
    key text GENERATED ALWAYS AS (lower(email)) STORED
)
"""
# Of the rows of one person the last filled cells count, at the place and with the address of the first.
# Cost: one pass by hash over the table, and what is repeated is written anew.
FOLD: Final = """
WITH repeated AS MATERIALIZED (
    SELECT key FROM {stage} GROUP BY key HAVING count(*) > 1
), rows AS (
    DELETE FROM {stage} s USING repeated r WHERE s.key = r.key RETURNING s.*
), cells AS (
    SELECT r.key, jsonb_object_agg(cell.key, cell.value ORDER BY r.position) AS attributes
      FROM rows r, jsonb_each(r.attributes) AS cell GROUP BY r.key
), tags AS (
    SELECT r.key, array_agg(DISTINCT place) AS tags FROM rows r, unnest(r.tags) AS place GROUP BY r.key
), people AS (
    SELECT key, min(position) AS position, (array_agg(email ORDER BY position))[1] AS email,
           COALESCE((array_agg(first_name ORDER BY position DESC) FILTER (WHERE first_name <> ''))[1], '') AS first_name,
           COALESCE((array_agg(last_name ORDER BY position DESC) FILTER (WHERE last_name <> ''))[1], '') AS last_name,
           (array_agg(consent_at ORDER BY position DESC) FILTER (WHERE consent_at IS NOT NULL))[1] AS consent_at
      FROM rows GROUP BY key
)
INSERT INTO {stage} (position, email, first_name, last_name, consent_at, attributes, tags)
SELECT p.position, p.email, p.first_name, p.last_name, p.consent_at, COALESCE(c.attributes, '{{}}'), COALESCE(t.tags, '{{}}')
  FROM people p LEFT JOIN cells c USING (key) LEFT JOIN tags t USING (key)
"""
# Where a file overwrites, empty cells mean something, and the last row counts as it stands.
FOLD_TO_LAST: Final = """
WITH repeated AS MATERIALIZED (
    SELECT key, max(position) AS last FROM {stage} GROUP BY key HAVING count(*) > 1
)
DELETE FROM {stage} s USING repeated r WHERE s.key = r.key AND s.position < r.last
"""


def table(import_id: int) -> str:
    return f"{PREFIX}{import_id:d}"


def create(import_id: int) -> None:
    """Begin an empty one, whatever was there."""
    drop(import_id)
    _execute(CREATE, import_id)


def drop(import_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {table(import_id)}")


def add(import_id: int, lines: Iterable[str]) -> None:
    """Write people, each a line of `COLUMNS`. Call it inside a transaction that holds the import's row."""
    with (
        connection.wrap_database_errors,  # a connection that is lost says so as any other statement does
        connection.cursor() as cursor,
        cursor.copy(f"COPY {table(import_id)} ({COLUMNS}) FROM STDIN") as copy,
    ):
        copy.write("".join(lines))


def fold(import_id: int, *, to_last: bool) -> int:
    """Make each person one row, in the file's order. Returns: how many people there are."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL work_mem = '64MB'")  # of the server's memory: an address of each row
        cursor.execute((FOLD_TO_LAST if to_last else FOLD).format(stage=table(import_id)))
        cursor.execute(f"CREATE INDEX ON {table(import_id)} (position)")
        cursor.execute(f"ANALYZE {table(import_id)} (position)")
    return size(import_id)


def size(import_id: int) -> int:
    """How many people are in it; 0 when there is none, a crash of the server emptied it, or an earlier Volley made it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attname = 'consent_at'",
            [table(import_id)],
        )
        if not cursor.rowcount:
            return 0
        cursor.execute(f"SELECT count(*) FROM {table(import_id)}")  # noqa: S608  (an integer)
        return int(cursor.fetchone()[0])


def addresses(import_id: int, first: int, beyond: int) -> list[str]:
    """Those of a slice, in lower case."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT key FROM {table(import_id)} WHERE position >= %s AND position < %s",  # noqa: S608
            [first, beyond],
        )
        return [key for (key,) in cursor]


def last_position(import_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COALESCE(max(position), 0) FROM {table(import_id)}")  # noqa: S608
        return int(cursor.fetchone()[0])


def leftovers() -> set[int]:
    """The imports that have one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE %s", [f"{PREFIX}%"])
        found = (re.fullmatch(rf"{PREFIX}(\d+)", name) for (name,) in cursor)
        return {int(match[1]) for match in found if match}


def _execute(statement: str, import_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement.format(stage=table(import_id)))
