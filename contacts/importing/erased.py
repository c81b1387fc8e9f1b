"""Keeps people out who were erased between the check and the merge."""

from django.db import connection

from contacts.importing import people, stage
from contacts.importing.read import keep_refusals
from contacts.models import Import
from contacts.queries import erasure


def refuse(run: Import, number: int) -> int:
    """Take them out of a slice, and list their rows among the refused. Returns: how many."""
    erasure.hold(run.workspace)  # nobody is erased until the slice is written
    if not erasure.has_any(run.workspace):
        return 0
    first, beyond = number * stage.SLICE_ROWS, (number + 1) * stage.SLICE_ROWS
    gone = erasure.refused_addresses(run.workspace, stage.addresses(run.pk, first, beyond))
    if not gone:
        return 0
    statement = (
        f"DELETE FROM {stage.table(run.pk)} WHERE position >= %s AND position < %s AND key = ANY(%s) "  # noqa: S608
        "RETURNING position"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [first, beyond, list(gone)])
        positions = [position for (position,) in cursor]
    keep_refusals(run.pk, [(position, "", people.ERASED) for position in positions])
    return len(positions)
