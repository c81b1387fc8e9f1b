"""One value of a custom field for many contacts."""

import json
from typing import Any, Final

from contacts import fitting
from contacts.bulk.statements import LOCK_CONTACTS, Counts, numbers
from contacts.chosen import Gone
from contacts.models import BulkChunk, BulkRun, CustomField

# value: NULL takes it away. Kept of each: its id, and the value before; null where there was none.
SET: Final = """
WITH people AS MATERIALIZED (
    SELECT c.id, c.attributes -> %(key)s AS held
      FROM contacts_contact c
     WHERE c.id = ANY(%(ids)s) AND (c.attributes -> %(key)s) IS DISTINCT FROM %(value)s::jsonb
), changed AS (
    UPDATE contacts_contact c SET updated_at = %(mark)s, attributes = CASE WHEN %(value)s::jsonb IS NULL
           THEN c.attributes - %(key)s ELSE c.attributes || jsonb_build_object(%(key)s, %(value)s::jsonb) END
     WHERE c.id = ANY(%(ids)s) AND (c.attributes -> %(key)s) IS DISTINCT FROM %(value)s::jsonb
), kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object(
        'values', (SELECT COALESCE(jsonb_agg(jsonb_build_array(id, held)), '[]') FROM people))
     WHERE id = %(chunk)s
)
SELECT count(*) FROM people
"""
# Whoever has another value since keeps it.
UNDO_SET: Final = """
WITH earlier AS MATERIALIZED (
    SELECT (e -> 0)::bigint AS id, NULLIF(e -> 1, 'null') AS held
      FROM contacts_bulkchunk b, jsonb_array_elements(b.earlier -> 'values') AS e WHERE b.id = %(chunk)s
), back AS (
    UPDATE contacts_contact c SET updated_at = now(), attributes = CASE WHEN e.held IS NULL
           THEN c.attributes - %(key)s ELSE c.attributes || jsonb_build_object(%(key)s, e.held) END
      FROM earlier e WHERE c.id = e.id AND (c.attributes -> %(key)s) IS NOT DISTINCT FROM %(value)s::jsonb
    RETURNING c.id
)
SELECT count(*) FROM back
"""


def put(run: BulkRun, chunk: BulkChunk) -> Counts:
    field = _field(run)
    if (value := run.parameters["value"]) is not None:
        try:
            fitting.fit(field, value)
        except fitting.Unfit as problem:
            raise Gone(f"The field “{field}” was changed meanwhile: {problem}") from None
    values = _values(run)
    numbers(LOCK_CONTACTS, run, chunk)
    return Counts(*numbers(SET, run, chunk, **values))


def undo_put(run: BulkRun, chunk: BulkChunk) -> int:
    values = _values(run)
    numbers(LOCK_CONTACTS, run, chunk)
    return numbers(UNDO_SET, run, chunk, **values)[0]


def _field(run: BulkRun) -> CustomField:
    field: CustomField | None = CustomField.objects.filter(
        workspace=run.workspace_id, pk=run.parameters["field"]
    ).first()
    if field is None:
        raise Gone("The field was deleted meanwhile.")
    return field


def _values(run: BulkRun) -> dict[str, Any]:
    value = run.parameters["value"]
    return {"key": _field(run).key, "value": None if value is None else json.dumps(value)}
