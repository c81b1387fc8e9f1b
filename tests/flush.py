"""Empties the database after a test that commits: what such a test wrote is little, truncating every table is not.

TRUNCATE makes each table and index anew, some 400 files; deleting a few rows costs a hundredth of it.
"""

from collections.abc import Callable
from typing import Any

KEPT = {
    "django_content_type",
    "auth_permission",
}  # made anew, query by query, after each flush that takes them
SMALL = (
    1 << 20
)  # bytes; what is larger is truncated with all the others, for its size tells the planner how many it holds
EMPTY = """
DO $do$
DECLARE
    name text;
BEGIN
    IF (SELECT max(pg_relation_size(oid)) > {small} FROM pg_class WHERE oid = ANY('{{{tables}}}'::regclass[])) THEN
        {truncate}
    ELSE
        SET LOCAL session_replication_role = replica;  -- whatever refers to it is deleted as well
        FOR name IN
            SELECT oid::regclass::text FROM pg_class
            WHERE oid = ANY('{{{tables}}}'::regclass[]) AND pg_relation_size(oid) > 0
        LOOP
            EXECUTE 'DELETE FROM ' || name;
        END LOOP;
    END IF;
END $do$
"""


def quickly(truncate: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """The statement that empties tables, in the place of Django's `sql_flush` of PostgreSQL."""

    def sql_flush(style: Any, tables: list[str], **options: Any) -> list[str]:
        tables = [table for table in tables if table not in KEPT]
        every = " ".join(truncate(style, tables, **options))
        return [EMPTY.format(small=SMALL, tables=",".join(tables), truncate=every)]

    return sql_flush
