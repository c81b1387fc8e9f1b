"""Tags put on many contacts, and taken off them."""

from typing import Final

from contacts.bulk.statements import LOCK_CONTACTS, Counts, numbers
from contacts.chosen import Gone
from contacts.models import BulkChunk, BulkRun, Tag

# Kept of each: its id, and those tags that it had not.
ADD: Final = """
WITH people AS MATERIALIZED (
    SELECT c.id, ARRAY(SELECT t FROM unnest(%(tags)s::int[]) AS t WHERE t <> ALL (c.tag_ids)) AS tags
      FROM contacts_contact c WHERE c.id = ANY(%(ids)s) AND NOT c.tag_ids @> %(tags)s::int[]
), tagged AS (
    UPDATE contacts_contact c SET updated_at = %(mark)s, tag_ids = c.tag_ids ||
           ARRAY(SELECT t FROM unnest(%(tags)s::int[]) AS t WHERE t <> ALL (c.tag_ids))
     WHERE c.id = ANY(%(ids)s) AND NOT c.tag_ids @> %(tags)s::int[]
), kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object(
        'tags', (SELECT COALESCE(jsonb_agg(jsonb_build_array(id, to_jsonb(tags))), '[]') FROM people))
     WHERE id = %(chunk)s
)
SELECT count(*) FROM people
"""
# Kept of each: its id, and those of the tags that it had.
REMOVE: Final = """
WITH people AS MATERIALIZED (
    SELECT c.id, ARRAY(SELECT t FROM unnest(%(tags)s::int[]) AS t WHERE t = ANY (c.tag_ids)) AS tags
      FROM contacts_contact c WHERE c.id = ANY(%(ids)s) AND c.tag_ids && %(tags)s::int[]
), untagged AS (
    UPDATE contacts_contact c SET updated_at = %(mark)s, tag_ids =
           ARRAY(SELECT t FROM unnest(c.tag_ids) WITH ORDINALITY AS own(t, n)
                  WHERE t <> ALL (%(tags)s::int[]) ORDER BY n)
     WHERE c.id = ANY(%(ids)s) AND c.tag_ids && %(tags)s::int[]
), kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object(
        'tags', (SELECT COALESCE(jsonb_agg(jsonb_build_array(id, to_jsonb(tags))), '[]') FROM people))
     WHERE id = %(chunk)s
)
SELECT count(*) FROM people
"""
EARLIER: Final = """
earlier AS MATERIALIZED (
    SELECT (e -> 0)::bigint AS id, ARRAY(SELECT t::int FROM jsonb_array_elements(e -> 1) AS t) AS tags
      FROM contacts_bulkchunk b, jsonb_array_elements(b.earlier -> 'tags') AS e WHERE b.id = %(chunk)s
)"""
UNDO_ADD: Final = f"""
WITH {EARLIER}, back AS (
    UPDATE contacts_contact c SET updated_at = now(), tag_ids =
           ARRAY(SELECT t FROM unnest(c.tag_ids) WITH ORDINALITY AS own(t, n) WHERE t <> ALL (e.tags) ORDER BY n)
      FROM earlier e WHERE c.id = e.id AND c.tag_ids && e.tags
    RETURNING c.id
)
SELECT count(*) FROM back
"""  # noqa: S608
# Only tags that there still are come back.
UNDO_REMOVE: Final = f"""
WITH {EARLIER}, back AS (
    UPDATE contacts_contact c SET updated_at = now(), tag_ids = c.tag_ids ||
           ARRAY(SELECT t FROM unnest(e.tags) AS t WHERE t <> ALL (c.tag_ids) AND t = ANY (%(tags)s::int[]))
      FROM earlier e WHERE c.id = e.id AND NOT c.tag_ids @> e.tags
    RETURNING c.id
)
SELECT count(*) FROM back
"""  # noqa: S608


def add(run: BulkRun, chunk: BulkChunk) -> Counts:
    tags = _tags(run)
    numbers(LOCK_CONTACTS, run, chunk)
    return Counts(*numbers(ADD, run, chunk, tags=tags))


def undo_add(run: BulkRun, chunk: BulkChunk) -> int:
    numbers(LOCK_CONTACTS, run, chunk)
    return numbers(UNDO_ADD, run, chunk)[0]


def remove(run: BulkRun, chunk: BulkChunk) -> Counts:
    numbers(LOCK_CONTACTS, run, chunk)
    return Counts(*numbers(REMOVE, run, chunk, tags=run.parameters["tags"]))


def undo_remove(run: BulkRun, chunk: BulkChunk) -> int:
    tags = _tags(run)
    numbers(LOCK_CONTACTS, run, chunk)
    return numbers(UNDO_REMOVE, run, chunk, tags=tags)[0]


def _tags(run: BulkRun) -> list[int]:
    """Those of the run's tags that there still are."""
    held = Tag.objects.filter(workspace=run.workspace_id, pk__in=run.parameters["tags"])
    if tags := sorted(held.values_list("pk", flat=True)):
        return tags
    raise Gone("The tag was deleted meanwhile.")
