"""How a deed's statements are run: over one chunk, whose people were locked before.

All lock contacts in the order in which imports do, so that none waits for the other in a circle. What a statement
reads is of its own moment, after the locks: it finds what others committed meanwhile.
"""

from typing import Any, Final, NamedTuple

from django.db import connection

from contacts.models import BulkChunk, BulkRun

LOCK_CONTACTS: Final = """
SELECT count(*) FROM (
    SELECT FROM contacts_contact WHERE id = ANY(%(ids)s) ORDER BY lower(email) FOR NO KEY UPDATE) AS locked
"""
# The contacts only against being deleted. `+ 0`: the list's own index would be read whole where it is thought small.
LOCK_SUBSCRIPTIONS: Final = """
SELECT (SELECT count(*) FROM (
    SELECT FROM contacts_contact WHERE id = ANY(%(ids)s) ORDER BY lower(email) FOR KEY SHARE) AS kept),
  (SELECT count(*) FROM (
    SELECT FROM contacts_subscription
     WHERE contact_id = ANY(%(ids)s) AND (%(list)s::bigint IS NULL OR list_id + 0 = %(list)s)
     ORDER BY contact_id, list_id FOR NO KEY UPDATE) AS locked)
"""


class Counts(NamedTuple):
    """People changed, and people who may not be; the others were so before."""

    changed: int
    held: int = 0


def numbers(statement: str, run: BulkRun, chunk: BulkChunk, **values: Any) -> tuple[int, ...]:
    """Run a statement over the chunk's people; it answers with one row of numbers.

    mark: the run's own time, by which its undoing knows what it wrote.
    """
    named: dict[str, Any] = {
        "ids": chunk.contact_ids,
        "chunk": chunk.pk,
        "workspace": run.workspace_id,
        "mark": run.started_at,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, named | values)
        row: tuple[int, ...] = cursor.fetchone()
    return row
