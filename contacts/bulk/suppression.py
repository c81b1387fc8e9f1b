"""Many addresses that nothing is sent to any more, and people taken off everything."""

from typing import Any, Final

from contacts.bulk.lists import BACK, ENDED, KEPT
from contacts.bulk.statements import LOCK_SUBSCRIPTIONS, Counts, numbers
from contacts.models import TAKEN_OFF, BulkChunk, BulkRun

# Whoever was suppressed stays so for the first reason. In the order of addresses, as everybody adds them.
SUPPRESSED: Final = """
people AS MATERIALIZED (
    SELECT c.id, lower(c.email) AS email FROM contacts_contact c WHERE c.id = ANY(%(ids)s)
), added AS (
    INSERT INTO contacts_suppression (workspace_id, email, reason, note, created_at)
    SELECT %(workspace)s, email, 'manual', %(note)s, %(mark)s FROM people ORDER BY email
    ON CONFLICT (workspace_id, email) DO NOTHING
    RETURNING id, email
), suppressed AS (
    SELECT p.id, a.id AS suppression_id FROM people p JOIN added a USING (email)
)"""
# Kept of each: the ids of its contact and its suppression, and no address.
NEW: Final = "(SELECT COALESCE(jsonb_agg(jsonb_build_array(id, suppression_id)), '[]') FROM suppressed)"
SUPPRESS: Final = f"""
WITH {SUPPRESSED}, kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object('suppressed', {NEW}) WHERE id = %(chunk)s
)
SELECT count(*) FROM suppressed
"""  # noqa: S608
UNSUBSCRIBE: Final = f"""
WITH {ENDED}, {SUPPRESSED}, kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object('held', {KEPT}, 'suppressed', {NEW})
     WHERE id = %(chunk)s
)
SELECT count(*) FROM (SELECT contact_id FROM held UNION SELECT id FROM suppressed) AS touched
"""  # noqa: S608
# Whoever complained, bounced or unsubscribed since has that as the reason, and stays suppressed.
LIFTED: Final = """
lifted AS (
    DELETE FROM contacts_suppression x
     USING contacts_bulkchunk b, jsonb_array_elements(b.earlier -> 'suppressed') AS e
     WHERE b.id = %(chunk)s AND x.id = (e -> 1)::bigint AND x.reason = 'manual' AND x.created_at = %(mark)s
    RETURNING (e -> 0)::bigint AS id
)"""
UNDO_SUPPRESS: Final = f"WITH {LIFTED} SELECT count(*) FROM lifted"  # noqa: S608
UNDO_UNSUBSCRIBE: Final = f"""
WITH {BACK}, {LIFTED} SELECT count(*) FROM (SELECT contact_id FROM back UNION SELECT id FROM lifted) AS touched
"""  # noqa: S608


def suppress(run: BulkRun, chunk: BulkChunk) -> Counts:
    return Counts(*numbers(SUPPRESS, run, chunk, note=run.parameters.get("note", "")))


def undo_suppress(run: BulkRun, chunk: BulkChunk) -> int:
    return numbers(UNDO_SUPPRESS, run, chunk)[0]


def unsubscribe(run: BulkRun, chunk: BulkChunk) -> Counts:
    """Off every list, and suppressed by hand: as a wish of the workspace's, since the person's own outweighs it."""
    source = f"{TAKEN_OFF} {run.by}"[:200]
    values: dict[str, Any] = {"list": None, "source": source, "note": f"Off every list. {source}"}
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, **values)
    return Counts(*numbers(UNSUBSCRIBE, run, chunk, **values))


def undo_unsubscribe(run: BulkRun, chunk: BulkChunk) -> int:
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, list=None)
    return numbers(UNDO_UNSUBSCRIBE, run, chunk)[0]
