"""Making, naming and archiving lists. A list is never deleted: past campaigns and consents speak of it."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.models import User, Workspace, record
from contacts.actions.names import unique_name
from contacts.models import List, OptIn


def create(
    workspace: Workspace,
    *,
    name: str,
    description: str = "",
    opt_in: str = OptIn.SINGLE,
    by: User,
    **public: Any,
) -> List:
    """Make an empty list. public: is_public, public_name, public_description, for the preference centre.

    Raises: NameTaken: another list has the name, whatever its case.
    """
    with unique_name("list", name), transaction.atomic(durable=True):
        made = List.objects.create(
            workspace=workspace, name=name, description=description, opt_in=opt_in, **public
        )
        record(by, "list.created", made)
    return made


def change(held: List, *, name: str, description: str, opt_in: str, by: User, **public: Any) -> None:
    """Save another name, description or opt-in, and what the preference centre shows (as in `create`).

    A list that becomes double asks whoever is unconfirmed on it.

    Raises: NameTaken: as when it is created.
    """
    with unique_name("list", name), transaction.atomic(durable=True):
        List.objects.filter(pk=held.pk).update(name=name, description=description, opt_in=opt_in, **public)
        record(by, "list.changed", held)


@transaction.atomic(durable=True)
def archive(held: List, *, by: User) -> int:
    """Offer the list no more for campaigns and imports; its people stay. Returns: 0 if it was archived."""
    changed = List.objects.filter(pk=held.pk, archived_at=None).update(archived_at=timezone.now())
    if changed:
        record(by, "list.archived", held)
    return changed


@transaction.atomic(durable=True)
def unarchive(held: List, *, by: User) -> int:
    """Offer the list again. Returns: 0 if it was not archived."""
    changed = List.objects.filter(pk=held.pk, archived_at__isnull=False).update(archived_at=None)
    if changed:
        record(by, "list.unarchived", held)
    return changed
