"""Onto a list and off it, for many."""

from typing import Final

from contacts.bulk.statements import LOCK_SUBSCRIPTIONS, Counts, numbers
from contacts.chosen import Gone
from contacts.models import TAKEN_OFF, BulkChunk, BulkRun, List
from contacts.never_joined import NEVER_JOINED

# Whoever left by themselves, has not confirmed yet or is suppressed is held. Each person's subscription and
# suppression are looked up one by one: a join is planned as a scan of everybody's where the statistics are old.
# Cost: 5,000 people in about 0.1 s.
ADD: Final = """
WITH people AS MATERIALIZED (
    SELECT c.id, to_jsonb(s) AS held, s.id AS held_id, CASE
        WHEN s.status = 'subscribed' THEN 'same'
        WHEN s.status = 'pending' THEN 'held'
        WHEN s.status = 'unsubscribed' AND NOT starts_with(s.unsubscribe_source, %(by_hand)s) THEN 'held'
        WHEN (SELECT true FROM contacts_suppression x
               WHERE x.workspace_id = c.workspace_id AND x.email = lower(c.email) LIMIT 1) THEN 'held'
        ELSE 'added' END AS fate
      FROM contacts_contact c LEFT JOIN LATERAL (
        SELECT * FROM contacts_subscription o
         WHERE o.contact_id = c.id AND o.list_id + 0 = %(list)s LIMIT 1) s ON true
     WHERE c.id = ANY(%(ids)s)
), again AS (
    UPDATE contacts_subscription s SET status = 'subscribed', consent_source = %(source)s, consent_at = %(mark)s,
           consent_ip = NULL, unsubscribed_at = NULL, unsubscribe_source = ''
      FROM people p WHERE s.id = p.held_id AND p.fate = 'added'
    RETURNING s.contact_id
), added AS (
    INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, consent_at,
           unsubscribe_source, created_at)
    SELECT %(workspace)s, p.id, %(list)s, 'subscribed', %(source)s, %(mark)s, '', %(mark)s
      FROM people p WHERE p.fate = 'added' AND p.held_id IS NULL ORDER BY p.id
    ON CONFLICT (contact_id, list_id) DO NOTHING
    RETURNING contact_id
), kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object(
        'added', (SELECT COALESCE(jsonb_agg(contact_id), '[]') FROM added),
        'held', (SELECT COALESCE(jsonb_agg(held), '[]') FROM people WHERE fate = 'added' AND held_id IS NOT NULL))
     WHERE id = %(chunk)s
)
SELECT (SELECT count(*) FROM again) + (SELECT count(*) FROM added), count(*) FILTER (WHERE fate = 'held') FROM people
"""
# Only what still is as it was written: whoever left since, or gave consent anew, stays so.
UNDO_ADD: Final = f"""
WITH earlier AS MATERIALIZED (SELECT earlier AS e FROM contacts_bulkchunk WHERE id = %(chunk)s
), gone AS (
    DELETE FROM contacts_subscription s USING earlier, jsonb_array_elements(e -> 'added') AS added(id)
     WHERE s.contact_id = added.id::bigint AND s.list_id + 0 = %(list)s
       AND s.status <> 'unsubscribed' AND s.consent_at = %(mark)s
    RETURNING s.list_id, s.status, s.consent_at
), {NEVER_JOINED}, back AS (
    UPDATE contacts_subscription s SET status = h.status, consent_source = h.consent_source,
           consent_at = h.consent_at, consent_ip = h.consent_ip, unsubscribed_at = h.unsubscribed_at,
           unsubscribe_source = h.unsubscribe_source
      FROM earlier, jsonb_populate_recordset(NULL::contacts_subscription, e -> 'held') h
     WHERE s.id = h.id AND s.status <> 'unsubscribed' AND s.consent_at = %(mark)s
    RETURNING s.contact_id
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM back)
"""  # noqa: S608
# list: NULL takes them off all. Both parts read the same moment, so that what is kept is what was.
ENDED: Final = """
held AS MATERIALIZED (
    SELECT * FROM contacts_subscription
     WHERE contact_id = ANY(%(ids)s) AND (%(list)s::bigint IS NULL OR list_id + 0 = %(list)s)
       AND status <> 'unsubscribed'
), ended AS (
    UPDATE contacts_subscription SET status = 'unsubscribed', unsubscribed_at = %(mark)s,
           unsubscribe_source = %(source)s
     WHERE contact_id = ANY(%(ids)s) AND (%(list)s::bigint IS NULL OR list_id + 0 = %(list)s)
       AND status <> 'unsubscribed'
)"""
# {status: ids of subscriptions}: whoever is no more than that has nothing else to be given back.
KEPT: Final = """(
    SELECT COALESCE(jsonb_object_agg(status, ids), '{}')
      FROM (SELECT status, jsonb_agg(id) AS ids FROM held GROUP BY status) AS by_status)"""
REMOVE: Final = f"""
WITH {ENDED}, kept AS (
    UPDATE contacts_bulkchunk SET earlier = jsonb_build_object('held', {KEPT}) WHERE id = %(chunk)s
)
SELECT count(*) FROM held
"""  # noqa: S608
# Whoever unsubscribed by themselves since has their own time, and stays unsubscribed. The status is not asked for: it
# would be looked up among everybody's.
BACK: Final = """
back AS (
    UPDATE contacts_subscription s SET status = h.status, unsubscribed_at = NULL, unsubscribe_source = ''
      FROM contacts_bulkchunk b, jsonb_each(b.earlier -> 'held') AS h(status, ids),
           jsonb_array_elements(h.ids) AS held(id)
     WHERE b.id = %(chunk)s AND s.id = held.id::bigint AND s.unsubscribed_at = %(mark)s
    RETURNING s.contact_id
)"""
UNDO_REMOVE: Final = f"WITH {BACK} SELECT count(*) FROM back"  # noqa: S608


def add(run: BulkRun, chunk: BulkChunk) -> Counts:
    note = f": {run.parameters['note']}" if run.parameters.get("note") else ""
    values = {
        "list": _list(run),
        "by_hand": TAKEN_OFF,
        "source": f"Added with many others by {run.by}{note}"[:200],
    }
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, **values)
    return Counts(*numbers(ADD, run, chunk, **values))


def undo_add(run: BulkRun, chunk: BulkChunk) -> int:
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, list=_list(run))
    return numbers(UNDO_ADD, run, chunk, list=_list(run))[0]


def remove(run: BulkRun, chunk: BulkChunk) -> Counts:
    values = {"list": _list(run), "source": f"{TAKEN_OFF} {run.by}"[:200]}
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, **values)
    return Counts(*numbers(REMOVE, run, chunk, **values))


def undo_remove(run: BulkRun, chunk: BulkChunk) -> int:
    numbers(LOCK_SUBSCRIPTIONS, run, chunk, list=_list(run))
    return numbers(UNDO_REMOVE, run, chunk)[0]


def _list(run: BulkRun) -> int:
    pk: int = run.parameters["list"]
    if not List.objects.filter(workspace=run.workspace_id, pk=pk).exists():
        raise Gone("The list was deleted meanwhile.")
    return pk
