"""Adding addresses to the suppression list and taking them off."""

from collections.abc import Iterable
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User, Workspace, record
from contacts.models import Suppression, SuppressionReason

# Lower case as the database understands it, since that is how contacts are compared with it.
# The first reason stays, but what the person did or their server said outweighs what was put in by hand: that
# may be taken back by hand, too. Cost: one look by one_suppression_per_address for each address.
SUPPRESS: Final = """
INSERT INTO contacts_suppression AS held (workspace_id, email, reason, note, created_at)
SELECT DISTINCT %(workspace)s::bigint, lower(email), %(reason)s, %(note)s, %(at)s::timestamptz
FROM unnest(%(emails)s::text[]) AS typed(email) ORDER BY 2
ON CONFLICT (workspace_id, email) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at,
    note = left(concat_ws('. Before: ', excluded.note, NULLIF(held.note, '')), 500)
WHERE held.reason = 'manual' AND excluded.reason <> 'manual'
"""


@transaction.atomic
def suppress(
    workspace: Workspace, *, email: str, reason: str, note: str = "", by: User | None = None
) -> bool:
    """Send nothing to the address any more, also of campaigns in the air.

    False: it was suppressed before, and stays so for its reason.
    """
    added = _insert(workspace, [email], reason=reason, note=note)
    if added:
        record(by, "suppression.added", email.lower(), workspace=workspace)
    return bool(added)


@transaction.atomic(durable=True)
def suppress_many(workspace: Workspace, *, emails: Iterable[str], note: str = "", by: User) -> int:
    """Suppress every address, by hand. Returns: how many were not suppressed before."""
    added = _insert(workspace, list(emails), reason=SuppressionReason.MANUAL, note=note)
    if added:
        subject = f"{added:,} address{'es' if added > 1 else ''}"
        record(by, "suppression.added", subject, workspace=workspace)
    return added


RETURNED: Final = """
INSERT INTO contacts_suppression AS held (workspace_id, email, reason, note, created_at)
SELECT DISTINCT ON (lower(email)) %(workspace)s::bigint, lower(email), %(reason)s, left(note, 500), now()
FROM unnest(%(emails)s::text[], %(notes)s::text[]) AS returned(email, note) ORDER BY lower(email)
ON CONFLICT (workspace_id, email) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at,
    note = left(concat_ws('. Before: ', excluded.note, NULLIF(held.note, '')), 500)
WHERE held.reason = ANY(%(outweighed)s)
"""
# Which earlier reasons each outweighs; a complaint is for ever, and says more than any other.
OUTWEIGHED: Final = {
    SuppressionReason.HARD_BOUNCE: ("manual",),
    SuppressionReason.COMPLAINT: ("manual", "unsubscribed", "hard_bounce"),
}


def suppress_returned(
    workspace_id: int, rows: Iterable[tuple[str, str]], *, reason: SuppressionReason
) -> int:
    """Suppress what servers said of addresses, within the caller's transaction; rows: (address, note).

    Returns: how many are new, or have a weightier reason now.
    """
    emails, notes = zip(*rows, strict=True)
    values: dict[str, Any] = {
        "workspace": workspace_id,
        "emails": list(emails),
        "notes": list(notes),
        "reason": reason.value,
    }
    with connection.cursor() as cursor:
        cursor.execute(RETURNED, values | {"outweighed": list(OUTWEIGHED[reason])})
        return cursor.rowcount


@transaction.atomic(durable=True)
def unsuppress(suppression: Suppression, *, by: User) -> None:
    """Let the address get mail again, where it is subscribed."""
    record(by, "suppression.removed", suppression)
    suppression.delete()


def _insert(workspace: Workspace, emails: list[str], *, reason: str, note: str) -> int:
    named: dict[str, Any] = {
        "workspace": workspace.pk,
        "emails": emails,
        "reason": reason,
        "note": note[:500],
        "at": timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(SUPPRESS, named)
        return cursor.rowcount
