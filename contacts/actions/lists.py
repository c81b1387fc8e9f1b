"""Making, naming and archiving lists. A list is never deleted: past campaigns and consents speak of it."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.models import List, OptIn


class NameTaken(Refusal):
    code = "name_taken"
    status = 409


def create(
    workspace: Workspace, *, name: str, description: str = "", opt_in: str = OptIn.SINGLE, by: User
) -> List:
    """Make an empty list.

    Raises: NameTaken: another list has the name, whatever its case.
    """
    with _unique_name(name), transaction.atomic(durable=True):
        made = List.objects.create(workspace=workspace, name=name, description=description, opt_in=opt_in)
        record(by, "list.created", made)
    return made


def change(held: List, *, name: str, description: str, opt_in: str, by: User) -> None:
    """Save another name, description or opt-in. A list that becomes double asks whoever is unconfirmed on it.

    Raises: NameTaken: as when it is created.
    """
    with _unique_name(name), transaction.atomic(durable=True):
        List.objects.filter(pk=held.pk).update(name=name, description=description, opt_in=opt_in)
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


@contextmanager
def _unique_name(name: str) -> Iterator[None]:
    """Turn the database's word that a name is taken into ours."""
    try:
        yield
    except IntegrityError as error:
        if "one_list_per_name" not in str(error):
            raise
        raise NameTaken(f"There is a list “{name}” already. Choose another name.") from None
