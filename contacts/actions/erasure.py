"""Erasing a person for good (GDPR art. 17), and letting them come back when they ask for it."""

from hashlib import sha256
from typing import Final

from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Lower

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts import fingerprints, masking, registry
from contacts.bulk.forgetting import forget as forget_bulk
from contacts.collisions import again_when_ended
from contacts.models import (
    Contact,
    CustomField,
    ErasedAddress,
    FieldType,
    FormerContact,
    Import,
    ImportBefore,
    ImportRefusal,
    ListSuppression,
    SuppressedHash,
    Suppression,
)
from contacts.queries import erasure
from contacts.registry import Person

# What people of the workspace wrote or chose, and that may name somebody.
MENTIONS: Final = {
    "contacts_bulkrun": ["name", "whom", "chosen", "parameters", "error"],
    "contacts_export": ["name", "chosen"],
    "contacts_import": ["file_name", "consent_note", "error", "mapping", "findings", "tags", "new_list"],
    "contacts_segment": ["name", "rules", "taken_from"],
    "contacts_listsuppression": ["note"],
    "contacts_suppressedhash": ["note"],
    "contacts_suppression": ["note"],
}
FORGET_VALUE: Final = """
UPDATE contacts_contact SET attributes = attributes - %s
 WHERE workspace_id = %s AND attributes @> jsonb_build_object(%s::text, %s::text)
"""
# The same of what imports keep to be undone. Cost: a scan of it.
FORGET_BEFORE: Final = """
UPDATE contacts_importbefore b SET attributes = (
       SELECT COALESCE(jsonb_object_agg(key, value), '{}') FROM jsonb_each(b.attributes) AS e
        WHERE lower(value #>> '{}') <> ALL (%(emails)s))
 WHERE b.run_id IN (SELECT id FROM contacts_import WHERE workspace_id = %(workspace)s)
   AND EXISTS (SELECT FROM jsonb_each_text(b.attributes) AS e WHERE lower(e.value) = ANY (%(emails)s))
"""
# A line of the trail that is about the person alone says so; one that names them among others keeps the rest.
TRAIL_OF_ONE: Final = "verb LIKE 'contact.%%' OR verb LIKE 'suppression.%%'"
MASK_TRAIL: Final = f"""
UPDATE accounts_auditentry SET subject = CASE WHEN {TRAIL_OF_ONE} THEN %(whole)s
       ELSE regexp_replace(subject, %(found)s, %(mask)s, 'gi') END
 WHERE workspace_id = %(workspace)s AND subject ~* %(found)s
"""  # noqa: S608


class WasErased(Refusal):
    """The address belongs to somebody who asked to be forgotten."""

    code = "was_erased"
    status = 409


def refuse_erased(workspace: Workspace, email: str, *, asked_back: bool = False, by: User | None) -> None:
    """Keep an erased address from becoming a contact's. Call it in the transaction that writes the contact.

    asked_back: the person asked to come back; their mark is lifted.
    Raises: WasErased.
    """
    if not erasure.refused_addresses(workspace, [email]):
        return
    if not asked_back:
        raise WasErased(
            f"{email} was erased here because that person asked to be forgotten. "
            "Add them only if they asked to come back."
        )
    erasure.marks_of(workspace, email).delete()
    record(by, "erasure.lifted", email, workspace=workspace)


@again_when_ended
@transaction.atomic(durable=True)
def erase(contact: Contact, *, by: User) -> None:
    """Take away all that is held on the person; of the address a keyed hash stays, by which it is known if it returns.

    What counts people keeps its numbers. Files exported before stay until they are deleted by their age.
    """
    workspace = contact.workspace
    erasure.hold(workspace, alone=True)
    person = _person(Contact.objects.select_for_update().get(pk=contact.pk))
    for forget in registry.erase:
        forget(person)
    _forget_refused_rows(person)
    _forget_values(person)
    forget_bulk(workspace.pk, person.contact_ids, person.emails)
    ImportBefore.objects.filter(run__workspace=workspace, contact_id__in=person.contact_ids).delete()
    _forget_suppressions(person)
    for table, columns in MENTIONS.items():
        masking.mask(table, columns, person.pattern, workspace_id=workspace.pk)
    Contact.objects.filter(pk=contact.pk).delete()
    key_name = fingerprints.key_name()
    ErasedAddress.objects.bulk_create(
        (
            ErasedAddress(
                workspace=workspace, fingerprint=fingerprints.today(workspace.pk, email), key_name=key_name
            )
            for email in person.emails
        ),
        ignore_conflicts=True,
    )
    _mask_trail(person)
    record(by, "contact.erased", masking.MASK.capitalize(), workspace=workspace)


def _forget_suppressions(person: Person) -> None:
    """The keyed mark of erasure stays in their place; an unkeyed hash would tell the address to whoever guesses it."""
    Suppression.objects.of(person.workspace).filter(email__in=person.emails).delete()
    ListSuppression.objects.of(person.workspace).filter(email__in=person.emails).delete()
    digests = [sha256(email.encode()).digest() for email in person.emails]
    SuppressedHash.objects.of(person.workspace).filter(digest__in=digests).delete()


def _person(contact: Contact) -> Person:
    """Their ids and addresses, today's and those before; one that is another contact's now is not theirs any more."""
    formers = list(FormerContact.objects.filter(contact=contact))
    ids = [contact.pk, *(each.former_id for each in formers if each.former_id)]
    known = {each.email for each in formers}.union(*(ask(ids) for ask in registry.addresses))
    emails = {email.lower() for email in known if email}
    others = Contact.objects.of(contact.workspace).alias(email_key=Lower("email")).exclude(pk=contact.pk)
    taken = others.filter(email_key__in=emails).values_list("email", flat=True)
    emails = {contact.email.lower()} | (emails - {email.lower() for email in taken})
    spellings = {email for email in (contact.email, *known) if email.lower() in emails} | emails
    return Person(
        contact.workspace, ids, sorted(emails), sorted(spellings), contact.first_name, contact.last_name
    )


def _forget_values(person: Person) -> None:
    """Another contact's field may name them, as whoever recommended us; each look by contact_attributes_idx."""
    for field in CustomField.objects.of(person.workspace).filter(type=FieldType.TEXT):
        for email in person.spellings:
            with connection.cursor() as cursor:
                cursor.execute(FORGET_VALUE, [field.key, person.workspace.pk, field.key, email])
    with connection.cursor() as cursor:
        cursor.execute(FORGET_BEFORE, {"workspace": person.workspace.pk, "emails": person.emails})


def _forget_refused_rows(person: Person) -> None:
    """A refused row holds all that the file said of somebody; it is emptied, its number and reason stay."""
    about = Q(text__iregex=person.pattern) | Q(reason__iregex=person.pattern)
    if person.first_name and person.last_name:  # in columns of their own
        about |= Q(text__icontains=person.first_name) & Q(text__icontains=person.last_name)
    imports = Import.objects.of(person.workspace)
    ImportRefusal.objects.filter(about, run__in=imports).update(
        text="", reason=f"{masking.MASK.capitalize()}: what stood here was deleted."
    )


def _mask_trail(person: Person) -> None:
    values = {"found": person.pattern, "mask": masking.MASK, "whole": masking.MASK.capitalize()}
    with connection.cursor() as cursor:
        cursor.execute(MASK_TRAIL, {**values, "workspace": person.workspace.pk})
