"""Creating, changing and deleting contacts by hand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.actions.subscriptions import check_consent, subscribe
from contacts.models import Contact, List
from contacts.queries.contacts import contact_at


@dataclass(frozen=True)
class Details:
    """What is typed of a contact. attributes: by field key, each of its field's type; None: no value."""

    email: str
    first_name: str = ""
    last_name: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


class AddressTaken(Refusal):
    """existing: whose address it is."""

    code = "address_taken"
    status = 409

    def __init__(self, email: str, existing: Contact | None) -> None:
        super().__init__(f"{email} is already a contact.")
        self.existing = existing


def create(
    workspace: Workspace, *, details: Details, lists: Iterable[List] = (), agreed: bool = False, by: User
) -> Contact:
    """Add a contact, and subscribe them where they agreed to it.

    Raises: AddressTaken: whatever its case. NoConsent: lists were chosen, and it was not declared.
    """
    chosen = list(lists)
    with _unique_address(workspace, details.email), transaction.atomic(durable=True):
        if chosen:
            check_consent(agreed=agreed)
        contact = Contact.objects.create(
            workspace=workspace,
            email=details.email,
            first_name=details.first_name,
            last_name=details.last_name,
            attributes=_merged({}, details.attributes),
        )
        record(by, "contact.created", contact)
        subscribe(contact, lists=chosen, source=f"Added by hand by {by}", by=by)
    return contact


def change(contact: Contact, *, details: Details, by: User) -> None:
    """Save what was typed; attributes that are not named stay.

    Raises: AddressTaken: by another contact, whatever its case.
    """
    with _unique_address(contact.workspace, details.email), transaction.atomic(durable=True):
        held = Contact.objects.select_for_update().get(pk=contact.pk).attributes
        Contact.objects.filter(pk=contact.pk).update(
            email=details.email,
            first_name=details.first_name,
            last_name=details.last_name,
            attributes=_merged(held, details.attributes),
            updated_at=timezone.now(),
        )
        record(by, "contact.changed", contact)


@transaction.atomic(durable=True)
def delete(contact: Contact, *, by: User) -> None:
    """Delete the contact for good, with subscriptions and consent; a suppression of the address stays."""
    record(by, "contact.deleted", contact)
    contact.delete()


def _merged(held: dict[str, Any], typed: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in (held | typed).items() if value is not None}


@contextmanager
def _unique_address(workspace: Workspace, email: str) -> Iterator[None]:
    """Turn the database's word that an address is taken into ours; the form asked before, but may be late."""
    try:
        yield
    except IntegrityError as error:
        if "one_contact_per_address" not in str(error):
            raise
        raise AddressTaken(email, contact_at(workspace, email)) from None
