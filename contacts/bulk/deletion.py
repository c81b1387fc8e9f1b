"""Many contacts deleted for good."""

from typing import Final

from contacts.bulk.forgetting import forget
from contacts.bulk.statements import Counts, numbers
from contacts.models import BulkChunk, BulkRun, Contact, ImportBefore

LOCK: Final = """
SELECT count(*) FROM (
    SELECT FROM contacts_contact WHERE id = ANY(%(ids)s) ORDER BY lower(email) FOR UPDATE) AS locked
"""


def delete(run: BulkRun, chunk: BulkChunk) -> Counts:
    """Whatever hangs on them goes, too, by Django's own knowledge of it; suppressions stay."""
    numbers(LOCK, run, chunk)
    forget(run.workspace_id, chunk.contact_ids, [])
    ImportBefore.objects.filter(run__workspace=run.workspace_id, contact_id__in=chunk.contact_ids).delete()
    _, by_kind = Contact.objects.of(run.workspace).filter(pk__in=chunk.contact_ids).delete()
    return Counts(by_kind.get(Contact._meta.label, 0))
