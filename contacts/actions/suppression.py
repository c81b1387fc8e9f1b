"""Adding addresses to the suppression list and taking them off."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.models import List, ListSuppression, SuppressedHash, Suppression, SuppressionReason

# What stood there before is named in the note behind it; undoing a bounce gives back what was put in by hand.
BEFORE: Final = ". Before: "
# Lower case as the database understands it, since that is how contacts are compared with it.
# The first reason stays, but what the person did or their server said outweighs what was put in by hand: that
# may be taken back by hand, too. Cost: one look by one_suppression_per_address for each address.
SUPPRESS: Final = """
INSERT INTO contacts_suppression AS held (workspace_id, email, reason, note, created_at)
SELECT DISTINCT %(workspace)s::bigint, lower(email), %(reason)s, %(note)s, %(at)s::timestamptz
FROM unnest(%(emails)s::text[]) AS typed(email) ORDER BY 2
ON CONFLICT (workspace_id, email) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at,
    mailing_id = NULL, expires_at = NULL,
    note = left(concat_ws(%(before)s, excluded.note, NULLIF(held.note, '')), 500)
WHERE held.reason = 'soft_bounce' OR held.reason = 'manual' AND excluded.reason <> 'manual'
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
def suppress_many(
    workspace: Workspace, *, emails: Iterable[str], note: str = "", in_list: List | None = None, by: User
) -> int:
    """Suppress every address, by hand. in_list: for this list alone. Returns: how many were not suppressed before."""
    if in_list:
        added = _insert_for_list(in_list, list(emails), note)
    else:
        added = _insert(workspace, list(emails), reason=SuppressionReason.MANUAL, note=note)
    if added:
        subject = f"{_addresses(added)}{f' for “{in_list}”' if in_list else ''}"
        record(by, "suppression.added", subject, workspace=workspace)
    return added


FOR_LIST: Final = """
INSERT INTO contacts_listsuppression (workspace_id, list_id, email, reason, note, created_at)
SELECT DISTINCT %(workspace)s::bigint, %(list)s::bigint, lower(email), 'manual', %(note)s, now()
FROM unnest(%(emails)s::text[]) AS typed(email) ORDER BY 3
ON CONFLICT (list_id, email) DO NOTHING
"""


def _insert_for_list(in_list: List, emails: list[str], note: str) -> int:
    values: dict[str, Any] = {
        "workspace": in_list.workspace_id,
        "list": in_list.pk,
        "emails": emails,
        "note": note[:500],
    }
    with connection.cursor() as cursor:
        cursor.execute(FOR_LIST, values)
        return cursor.rowcount


# Whoever is a contact is suppressed by address at once, so that every page shows it.
HASHES: Final = """
INSERT INTO contacts_suppressedhash (workspace_id, digest, note, created_at)
SELECT DISTINCT %(workspace)s::bigint, digest, %(note)s, now() FROM unnest(%(digests)s::bytea[]) AS d(digest) ORDER BY 2
ON CONFLICT (workspace_id, digest) DO NOTHING
"""
KNOWN_BY_HASH: Final = """
SELECT lower(email) FROM contacts_contact
 WHERE workspace_id = %s AND sha256(convert_to(lower(email), 'UTF8')) = ANY(%s)
"""


@transaction.atomic(durable=True)
def suppress_hashes(
    workspace: Workspace, *, digests: list[bytes], note: str = "", by: User
) -> tuple[int, int]:
    """Suppress the addresses of these SHA-256 hashes. Returns: hashes that are new, contacts that are now suppressed.

    Cost: a hash of every contact, about a second a million.
    """
    values: dict[str, Any] = {"workspace": workspace.pk, "digests": digests, "note": note[:500]}
    with connection.cursor() as cursor:
        cursor.execute(HASHES, values)
        new = cursor.rowcount
        cursor.execute(KNOWN_BY_HASH, [workspace.pk, digests])
        known = [email for (email,) in cursor.fetchall()]
    found = _insert(workspace, known, reason=SuppressionReason.MANUAL, note=note)
    if new or found:
        record(by, "suppression.added", f"{new:,} hash{'' if new == 1 else 'es'}", workspace=workspace)
    return new, found


RETURNED: Final = """
INSERT INTO contacts_suppression AS held (workspace_id, email, reason, note, created_at, mailing_id, expires_at)
SELECT DISTINCT ON (lower(email)) %(workspace)s::bigint, lower(email), %(reason)s, left(note, 500), now(), mailing_id,
       %(expires_at)s::timestamptz
FROM unnest(%(emails)s::text[], %(notes)s::text[], %(mailings)s::bigint[]) AS returned(email, note, mailing_id)
ORDER BY lower(email), mailing_id
ON CONFLICT (workspace_id, email) DO UPDATE SET reason = excluded.reason, created_at = excluded.created_at,
    mailing_id = excluded.mailing_id, expires_at = excluded.expires_at,
    note = left(concat_ws(%(before)s, excluded.note,
                          CASE WHEN held.reason <> 'soft_bounce' THEN NULLIF(held.note, '') END), 500)
WHERE held.reason = ANY(%(outweighed)s)
"""
# Which earlier reasons each outweighs; a complaint is for ever, and says more than any other.
OUTWEIGHED: Final[dict[SuppressionReason, tuple[str, ...]]] = {
    SuppressionReason.SOFT_BOUNCE: (),
    SuppressionReason.MANUAL: ("soft_bounce",),
    SuppressionReason.UNSUBSCRIBED: ("manual", "soft_bounce"),
    SuppressionReason.HARD_BOUNCE: ("manual", "soft_bounce"),
    SuppressionReason.COMPLAINT: ("manual", "unsubscribed", "hard_bounce", "soft_bounce"),
}


def suppress_returned(
    workspace_id: int,
    rows: Iterable[tuple[str, str, int | None]],
    *,
    reason: SuppressionReason,
    expires_at: datetime | None = None,
) -> int:
    """Suppress what servers and providers say of addresses, within the caller's transaction.

    rows: (address, note, mailing id).
    Returns: how many are new, or have a weightier reason now.
    """
    emails, notes, mailings = zip(*rows, strict=True)
    values: dict[str, Any] = {
        "workspace": workspace_id,
        "emails": list(emails),
        "notes": list(notes),
        "mailings": list(mailings),
        "reason": reason.value,
        "expires_at": expires_at,
        "before": BEFORE,
        "outweighed": list(OUTWEIGHED[reason]),
    }
    with connection.cursor() as cursor:
        cursor.execute(RETURNED, values)
        return cursor.rowcount


class NeedsConsent(Refusal):
    code = "needs_consent"


WISHES: Final = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)


@transaction.atomic(durable=True)
def unsuppress(suppression: Suppression | ListSuppression, *, consent: str = "", by: User) -> None:
    """Let the address get mail again, where it is subscribed.

    consent: how the person asked for it. Raises: NeedsConsent: without it, where they had asked for the contrary.
    """
    if suppression.reason in WISHES and not consent.strip():
        raise NeedsConsent(
            "Say how this person asked to get mail again; without that it is against their will."
        )
    subject = f"{suppression}{f': {consent.strip()}' if consent.strip() else ''}"
    record(by, "suppression.removed", subject[:200], workspace=suppression.workspace)
    if isinstance(suppression, Suppression):
        _forget_hashes(suppression.workspace_id, [suppression.email])
    suppression.delete()


@transaction.atomic(durable=True)
def unsuppress_many(workspace: Workspace, rows: QuerySet[Any], *, what: str, by: User) -> int:
    """Take off all of these but those whom the person's own wish put there. what: which, in words. Returns how many."""
    liftable = rows.exclude(reason__in=WISHES)
    if rows.model is Suppression:
        _forget_hashes(workspace.pk, list(liftable.values_list("email", flat=True)))
    count, _ = liftable.delete()
    if count:
        record(by, "suppression.removed", f"{_addresses(count)}: {what}"[:200], workspace=workspace)
    return count


@transaction.atomic(durable=True)
def drop_hashes(workspace: Workspace, *, by: User) -> int:
    """Forget all hashes; whom they found among the contacts stays suppressed. Returns how many."""
    count, _ = SuppressedHash.objects.of(workspace).delete()
    if count:
        record(by, "suppression.removed", f"{count:,} hash{'' if count == 1 else 'es'}", workspace=workspace)
    return count


def _forget_hashes(workspace_id: int, emails: list[str]) -> None:
    """Else the next campaign would know the address by its hash again."""
    digests = [sha256(email.lower().encode()).digest() for email in emails]
    SuppressedHash.objects.filter(workspace=workspace_id, digest__in=digests).delete()


def forget_expired() -> int:
    """Take off whose time is over; for the clock, by suppression_expiry_idx. Returns how many."""
    count, _ = Suppression.objects.filter(expires_at__lt=timezone.now()).delete()
    return count


def _addresses(count: int) -> str:
    return f"{count:,} address{'' if count == 1 else 'es'}"


def _insert(workspace: Workspace, emails: list[str], *, reason: str, note: str) -> int:
    named: dict[str, Any] = {
        "workspace": workspace.pk,
        "emails": emails,
        "reason": reason,
        "note": note[:500],
        "at": timezone.now(),
        "before": BEFORE,
    }
    with connection.cursor() as cursor:
        cursor.execute(SUPPRESS, named)
        return cursor.rowcount
