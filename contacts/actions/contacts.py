"""Creating, changing and deleting contacts by hand."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.actions.erasure import refuse_erased
from contacts.actions.subscriptions import check_consent, subscribe
from contacts.bulk.forgetting import forget as forget_bulk
from contacts.collisions import again_when_ended
from contacts.models import NAMES, Contact, CustomField, FormerContact, ImportBefore, List
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
    workspace: Workspace,
    *,
    details: Details,
    lists: Iterable[List] = (),
    agreed: bool = False,
    asked_back: bool = False,
    by: User,
) -> Contact:
    """Add a contact, and subscribe them where they agreed to it.

    asked_back: somebody who was erased asked to come back.
    Raises: AddressTaken: whatever its case. NoConsent: lists were chosen, and it was not declared. WasErased.
    """
    chosen = list(lists)
    with _unique_address(workspace, details.email), transaction.atomic(durable=True):
        refuse_erased(workspace, details.email, asked_back=asked_back, by=by)
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


def change(contact: Contact, *, details: Details, asked_back: bool = False, by: User) -> None:
    """Save what was typed; attributes that are not named stay. What stands there already is no change.

    Raises: AddressTaken: by another contact, whatever its case. WasErased: the address is another person's.
    """
    with _unique_address(contact.workspace, details.email), transaction.atomic(durable=True):
        held = _moved_to(contact, details.email, asked_back=asked_back, by=by)
        saved = {name: getattr(details, name) for name in NAMES}
        saved["attributes"] = _merged(held.attributes, details.attributes)
        _save(held, saved, workspace=contact.workspace, by=by)


def set_value(contact: Contact, *, name: str, value: Any, asked_back: bool = False, by: User) -> None:
    """Save one value and leave all else as it stands, whoever changes it meanwhile; the same again is no change.

    name: "email", "first_name", "last_name" or a field's key behind "attribute_". value: as in Details.
    Raises: as `change`.
    """
    email = value if name == "email" else contact.email
    with _unique_address(contact.workspace, email), transaction.atomic(durable=True):
        if name == "email":
            held = _moved_to(contact, email, asked_back=asked_back, by=by)
        else:
            held = Contact.objects.select_for_update().get(pk=contact.pk)
        key = name.removeprefix("attribute_")
        saved = {name: value} if key == name else {"attributes": _merged(held.attributes, {key: value})}
        _save(held, saved, workspace=contact.workspace, by=by)


def move(contact: Contact, email: str) -> None:
    """Give the contact the address that the person themselves has confirmed.

    Raises: AddressTaken: by another contact.
    """
    with _unique_address(contact.workspace, email), transaction.atomic(durable=True):
        _moved_to(contact, email, asked_back=True, by=None)
        Contact.objects.filter(pk=contact.pk).update(email=email, updated_at=timezone.now())
        record(None, "contact.moved", email, workspace=contact.workspace)


def _save(held: Contact, saved: dict[str, Any], *, workspace: Workspace, by: User) -> None:
    """Write the columns that differ; the trail says which values they are."""
    changed = {column: value for column, value in saved.items() if getattr(held, column) != value}
    if not changed:
        return
    Contact.objects.filter(pk=held.pk).update(**changed, updated_at=timezone.now())
    names = [label for column, label in NAMES.items() if column in changed]
    after = changed.get("attributes", held.attributes)
    keys = [key for key in held.attributes | after if held.attributes.get(key) != after.get(key)]
    if keys:
        names += CustomField.objects.of(workspace).filter(key__in=keys).values_list("label", flat=True)
    email = changed.get("email", held.email)
    record(by, "contact.changed", email, detail=", ".join(names), workspace=workspace)


def _moved_to(contact: Contact, email: str, *, asked_back: bool, by: User | None) -> Contact:
    """The contact, locked, about to get the address; the one before is remembered, as mail went to it."""
    is_new = email.lower() != contact.email.lower()
    if is_new:
        refuse_erased(contact.workspace, email, asked_back=asked_back, by=by)
    held = Contact.objects.select_for_update().get(pk=contact.pk)
    if email.lower() != held.email.lower():
        FormerContact.objects.create(workspace=contact.workspace, contact=held, email=held.email)
    return held


@again_when_ended
@transaction.atomic(durable=True)
def delete(contact: Contact, *, by: User) -> None:
    """Delete the contact for good, with subscriptions and consent; a suppression of the address stays."""
    record(by, "contact.deleted", contact)
    forget_bulk(contact.workspace_id, [contact.pk], [])
    ImportBefore.objects.filter(run__workspace=contact.workspace_id, contact_id=contact.pk).delete()
    Contact.objects.filter(pk=contact.pk).delete()


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
