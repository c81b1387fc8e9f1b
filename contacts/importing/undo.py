"""Takes an import back, slice by slice: what it made goes, what it changed gets its earlier values, others' work stays."""

from collections import Counter
from functools import partial
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from contacts import registry, runs
from contacts.importing.merge import LOOK_UP, QUICK
from contacts.importing.signs import in_one_go, stay
from contacts.models import Import, ImportSlice, ImportState, ImportTask
from contacts.never_joined import NEVER_JOINED

# What it put on lists, unless the person has left, confirmed or agreed anew since: then their consent is later.
UNSUBSCRIBE: Final = f"""
WITH gone AS (
    DELETE FROM contacts_subscription
     WHERE contact_id = ANY(%(people)s) AND created_at = %(mark)s AND status = %(status)s
       AND COALESCE(consent_at, %(mark)s) <= %(mark)s
    RETURNING list_id, status, consent_at
), {NEVER_JOINED}
SELECT count(*) FROM gone
"""  # noqa: S608
# Who was not changed since is as before; of the others only the tags go.
RESTORE: Final = """
WITH before AS MATERIALIZED (
    SELECT * FROM contacts_importbefore WHERE run_id = %(run)s AND contact_id = ANY(%(found)s) ORDER BY contact_id
), restored AS (
    UPDATE contacts_contact c SET first_name = b.first_name, last_name = b.last_name, attributes = b.attributes,
           tag_ids = ARRAY(SELECT t FROM unnest(c.tag_ids) WITH ORDINALITY AS o(t, place)
                            WHERE t <> ALL(b.added_tag_ids) ORDER BY place),
           updated_at = b.updated_at
      FROM before b WHERE c.id = b.contact_id AND c.updated_at = %(mark)s
    RETURNING c.id
), untagged AS (
    UPDATE contacts_contact c SET tag_ids = ARRAY(SELECT t FROM unnest(c.tag_ids) WITH ORDINALITY AS o(t, place)
                                                   WHERE t <> ALL(b.added_tag_ids) ORDER BY place)
      FROM before b WHERE c.id = b.contact_id AND c.updated_at <> %(mark)s AND b.added_tag_ids <> '{}'
    RETURNING c.id
), forgotten AS (
    DELETE FROM contacts_importbefore i USING before b WHERE i.run_id = %(run)s AND i.contact_id = b.contact_id
)
SELECT (SELECT count(*) FROM before), (SELECT count(*) FROM restored)
"""
# Whom it made, and what others did with them since.
MADE: Final = """
SELECT c.id, CASE
    WHEN c.updated_at <> %(mark)s OR NOT c.tag_ids <@ %(tags)s::int[] THEN 'changed'
    WHEN EXISTS (SELECT FROM contacts_subscription s WHERE s.contact_id = c.id) THEN 'on_lists'
    ELSE '' END
  FROM contacts_contact c WHERE c.id = ANY(%(created)s) ORDER BY c.id FOR UPDATE
"""
DELETE: Final = """
WITH going AS (SELECT unnest(%s::bigint[]) AS id), left_snapshots AS (
    DELETE FROM contacts_segmentmember m USING going g WHERE m.contact_id = g.id
)
DELETE FROM contacts_contact c USING going g WHERE c.id = g.id
"""


def take_back(run: Import) -> None:
    """Undo every slice that was done, and end as undone or canceled.

    Raises: Stopped: another worker has it.
    """
    for number in run.slices.order_by("-number").values_list("number", flat=True):
        stay()
        in_one_go(partial(_take_back, run, number))
    ended = ImportState.CANCELED if run.task == ImportTask.CANCEL else ImportState.UNDONE
    runs.alive(run, state=ended, finished_at=timezone.now())
    if run.file:  # of one that failed it is deleted by its age
        run.file.storage.delete(run.file.name or "")


def _take_back(run: Import, number: int) -> None:
    kept = Import.objects.select_for_update(no_key=True).values_list("taken_back", flat=True).get(pk=run.pk)
    done = ImportSlice.objects.get(run=run, number=number)
    counts: Counter[str] = Counter(kept)
    asked = _parameters(run, done)
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP)
        cursor.execute(QUICK)
        cursor.execute(UNSUBSCRIBE, asked)
        counts["unsubscribed"] += cursor.fetchone()[0]
        cursor.execute(RESTORE, asked)
        changed, restored = cursor.fetchone()
        counts["restored"] += restored
        counts["changed_since"] += changed - restored
        counts += _delete(cursor, asked)
        cursor.execute("DELETE FROM contacts_importslice WHERE run_id = %s AND number = %s", [run.pk, number])
    counts["people"] += len(asked["people"])
    runs.alive(run, taken_back=counts, done_count=counts["people"])


def _parameters(run: Import, done: ImportSlice) -> dict[str, Any]:
    return {
        "run": run.pk,
        "mark": run.started_at,
        "status": run.status,
        "people": [*done.created_ids, *done.found_ids],
        "found": done.found_ids,
        "created": done.created_ids,
        "tags": run.findings.get("tag_ids", []),
    }


def _delete(cursor: Any, asked: dict[str, Any]) -> Counter[str]:
    """Delete whom it made and nobody did anything with. Returns: how many, and why others are kept."""
    cursor.execute(MADE, asked)
    fates = dict(cursor.fetchall())
    for of_room in registry.contact_uses:
        fates |= dict.fromkeys(of_room([pk for pk, fate in fates.items() if not fate]), "mailed")
    going = [pk for pk, fate in fates.items() if not fate]
    cursor.execute(DELETE, [going])
    kept = Counter(f"kept_{fate}" for fate in fates.values() if fate)
    return kept + Counter(deleted=len(going), gone_before=len(asked["created"]) - len(fates))
