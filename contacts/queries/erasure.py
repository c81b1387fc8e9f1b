"""Who was erased: asked by every door that makes a contact or changes an address."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import QuerySet

from accounts.models import Workspace
from contacts import fingerprints, registry
from contacts.models import (
    Contact,
    ErasedAddress,
    Export,
    ExportState,
    Import,
    ImportState,
    Subscription,
)
from contacts.queries.contacts import suppression_of

LOCK: Final = 0x65726173  # an arbitrary number that only this locks, with the workspace's id
# An import's file is there until its rows are read.
HAVE_FILES: Final = (
    ImportState.MAPPING,
    ImportState.CHECKED,
    ImportState.QUEUED,
    ImportState.RUNNING,
    ImportState.FAILED,
)
AT_ONCE: Final = 10_000  # marks looked for in one statement


def refused_addresses(workspace: Workspace, emails: Iterable[str]) -> set[str]:
    """Those of the addresses, as given, that were erased here and so may be no contact's.

    Ask in the transaction that writes the contacts: until its end nobody is erased, so the answer holds.
    Cost: a lock and one look where nobody was erased; else some 3 µs for each address and key.
    """
    hold(workspace)
    if not has_any(workspace):
        return set()
    marks = {mark: email for email in emails for mark in fingerprints.every(workspace.pk, email)}
    wanted, found = list(marks), set()
    for start in range(0, len(wanted), AT_ONCE):
        erased = ErasedAddress.objects.of(workspace).filter(fingerprint__in=wanted[start : start + AT_ONCE])
        found |= {marks[mark] for mark in erased.values_list("fingerprint", flat=True)}
    return found


def has_any(workspace: Workspace) -> bool:
    """Whether anybody was ever erased in it."""
    return bool(ErasedAddress.objects.of(workspace).exists())


def marks_of(workspace: Workspace, email: str) -> QuerySet[ErasedAddress]:
    """The marks of one address, whichever keys they were made with."""
    rows: QuerySet[ErasedAddress] = ErasedAddress.objects.of(workspace)
    return rows.filter(fingerprint__in=fingerprints.every(workspace.pk, email))


def erased(workspace: Workspace) -> QuerySet[ErasedAddress]:
    rows: QuerySet[ErasedAddress] = ErasedAddress.objects.of(workspace)
    return rows


def erased_count(workspace: Workspace) -> int:
    """How many; few people ask for it, so they are counted."""
    return int(erased(workspace).count())


def unreadable_count(workspace: Workspace) -> int:
    """How many marks were made with a key that is known no more: those addresses could come back unseen."""
    return int(erased(workspace).exclude(key_name__in=fingerprints.known_keys()).count())


@dataclass(frozen=True)
class Held:
    """What an erasure takes away. files, uploads: what may name the person until its age deletes it."""

    lists: int
    values: int
    messages: int
    is_suppressed: bool
    files: int
    uploads: int


def held_on(contact: Contact) -> Held:
    """In numbers, for the page that asks."""
    uploads = Import.objects.of(contact.workspace).exclude(file="")
    return Held(
        lists=Subscription.objects.filter(contact=contact).count(),
        values=len(contact.attributes),
        messages=sum(ask(contact) for ask in registry.message_counts),
        is_suppressed=suppression_of(contact) is not None,
        files=Export.objects.of(contact.workspace).filter(state=ExportState.DONE).count(),
        uploads=uploads.filter(state__in=HAVE_FILES).count(),
    )


def hold(workspace: Workspace, *, alone: bool = False) -> None:
    """Until the transaction's end let nobody be erased here; alone: for the erasure itself."""
    lock = "pg_advisory_xact_lock" if alone else "pg_advisory_xact_lock_shared"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}(%s, %s)", [LOCK, workspace.pk % 2**31])
