"""Taking a person's address and full name out of what was written down about something else."""

import json
import re
from collections.abc import Iterable
from typing import Any, Final

from django.db import connection

MASK: Final = "erased person"
# Else it is a part of another address; the end of a file's name is none.
_BEFORE: Final = r"(?<![[:alnum:]._%+-])"
_AFTER: Final = r"(?![[:alnum:]-]|\.(?!(csv|tsv|txt|xlsx|json)\y)[[:alnum:]])"


def pattern(emails: Iterable[str], first_name: str = "", last_name: str = "") -> str:
    """A regular expression of PostgreSQL's that finds the addresses, and the name where both parts are known.

    A first name alone would take words out that mean somebody else.
    """
    wanted = [*emails]
    if first_name.strip() and last_name.strip():
        wanted += [f"{first_name} {last_name}", f"{last_name}, {first_name}"]
    return f"{_BEFORE}({'|'.join(map(_literally, wanted))}){_AFTER}"


def mask(
    table: str, columns: Iterable[str], found: str, *, workspace_id: int, by: str = "workspace_id"
) -> None:
    """Put MASK in the place of what the pattern finds in text and JSON of the workspace's rows.

    Cost: a read of the workspace's rows; meant for tables of hundreds or thousands.
    """
    values: dict[str, Any] = {"found": found, "mask": MASK, "workspace": workspace_id}
    for column in columns:
        names = {"table": table, "column": column, "by": by}
        with connection.cursor() as cursor:
            if not _type(table, column).startswith("json"):
                cursor.execute(MASK_TEXT.format(**names), values)
                continue
            cursor.execute(FIND_JSON.format(**names), values)
            for pk, text in cursor.fetchall():
                masked = {"id": pk, "value": json.dumps(_masked(json.loads(text), values))}
                cursor.execute(KEEP_JSON.format(**names), masked)


MASK_TEXT: Final = """
UPDATE {table} SET {column} = regexp_replace({column}, %(found)s, %(mask)s, 'gi')
 WHERE {by} = %(workspace)s AND {column} ~* %(found)s
"""
# Each text of it by itself: in JSON as a whole a name with a quotation mark or a backslash stands escaped.
FIND_JSON: Final = """
SELECT id, {column}::text FROM {table} WHERE {by} = %(workspace)s AND EXISTS (
       SELECT FROM jsonb_path_query({column}::jsonb, 'strict $.** ? (@.type() == "string")') AS held
        WHERE held #>> '{{}}' ~* %(found)s)
"""
MASK_ONE: Final = "SELECT regexp_replace(%(held)s, %(found)s, %(mask)s, 'gi')"
KEEP_JSON: Final = "UPDATE {table} SET {column} = %(value)s WHERE id = %(id)s"


def _type(table: str, column: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT data_type FROM information_schema.columns"
            " WHERE table_schema = current_schema() AND table_name = %s AND column_name = %s",
            [table, column],
        )
        return str(cursor.fetchone()[0])


def _masked(held: Any, values: dict[str, Any]) -> Any:
    """JSON with what is found in its texts masked; numbers and signs are no part of anybody's name."""
    if isinstance(held, dict):
        return {key: _masked(each, values) for key, each in held.items()}
    if isinstance(held, list):
        return [_masked(each, values) for each in held]
    if not isinstance(held, str):
        return held
    with connection.cursor() as cursor:
        cursor.execute(MASK_ONE, {**values, "held": held})
        return cursor.fetchone()[0]


def _literally(text: str) -> str:
    return re.sub(r"(\W|_)", r"\\\1", text, flags=re.UNICODE)
