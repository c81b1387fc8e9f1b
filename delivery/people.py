"""What delivery holds on a contact, when they are merged, erased or handed over; hung into `contacts.registry`."""

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from django.db import connection

from contacts import masking
from contacts.models import Contact, FormerContact
from contacts.registry import Person
from delivery.models import Delivery, Event, InboxMessage, Mailing, Stray
from delivery.preferences import reasons

# Rows stay, for the reports' numbers; words that name the person go. Both by an index: one_delivery_per_contact, and
# delivery_no_contact_idx for test messages and for what a deleted contact got.
FORGET: Final = """
UPDATE delivery_delivery o
   SET email = '', contact_id = NULL, provider_id = '',
       server_said = CASE WHEN regexp_replace(server_said, %(found)s, '…', 'gi') ~* %(parts)s THEN ''
                     ELSE regexp_replace(server_said, %(found)s, '…', 'gi') END
 WHERE {whose}
"""
BY_CONTACT: Final = "o.contact_id = ANY(%(ids)s)"
BY_ADDRESS: Final = """
o.contact_id IS NULL AND lower(o.email) = ANY(%(emails)s)
   AND EXISTS (SELECT FROM delivery_mailing m WHERE m.id = o.mailing_id AND m.workspace_id = %(workspace)s)"""
# Where both got a mailing the rows stay apart, and both are the person's: see contacts.models.FormerContact.
MOVE: Final = """
UPDATE delivery_delivery d SET contact_id = %(kept)s
 WHERE d.contact_id = %(gone)s AND NOT EXISTS (
       SELECT FROM delivery_delivery k WHERE k.contact_id = %(kept)s AND k.mailing_id = d.mailing_id)
"""
# Servers' words that a mailing or an account keeps may quote a recipient.
MENTIONS: Final = {
    "delivery_mailing": ["state_reason", "handed_over"],
    "delivery_sendingaccount": ["stopped_reason", "test_said"],
    "delivery_stray": ["said"],
}

FORGET_EVENTS: Final = """
UPDATE delivery_event SET contact_id = NULL, url = '',
       said = CASE WHEN regexp_replace(said, %(found)s, '…', 'gi') ~* %(parts)s THEN ''
              ELSE regexp_replace(said, %(found)s, '…', 'gi') END
 WHERE contact_id = ANY(%(ids)s)
"""
FORGET_STRAYS: Final = """
DELETE FROM delivery_stray WHERE workspace_id = %(workspace)s AND (lower(email) = ANY(%(emails)s) OR said ~* %(found)s)
"""
# Of a contact that was deleted before, what they did is nobody's; a link may still name them. By event_mailing_idx.
FORGET_LINKS: Final = """
UPDATE delivery_event e
   SET url = CASE WHEN e.url ~* %(found)s OR e.url ~* %(parts)s THEN '' ELSE e.url END,
       said = CASE WHEN e.said ~* %(parts)s THEN '' ELSE regexp_replace(e.said, %(found)s, '…', 'gi') END
 WHERE e.contact_id IS NULL
   AND (e.url ~* %(found)s OR e.url ~* %(parts)s OR e.said ~* %(found)s OR e.said ~* %(parts)s)
   AND e.mailing_id IN (SELECT o.mailing_id FROM delivery_delivery o WHERE {whose})
"""
# A link that was another one for each recipient, where the ESP told of the click, has a row of its own.
FORGET_TALLIES: Final = """
UPDATE delivery_linktally t SET url = regexp_replace(t.url, %(quoted)s, '…', 'gi')
 WHERE t.url ~* %(quoted)s
   AND t.mailing_id IN (SELECT o.mailing_id FROM delivery_delivery o WHERE {whose})
"""
MOVE_EVENTS: Final = "UPDATE delivery_event SET contact_id = %(kept)s WHERE contact_id = %(gone)s"


def addresses(contact_ids: list[int]) -> set[str]:
    """Where their messages went to."""
    return set(Delivery.objects.filter(contact__in=contact_ids).values_list("email", flat=True))


def erase(person: Person) -> None:
    """Leave of their messages what can be counted."""
    values: dict[str, Any] = {
        "ids": person.contact_ids,
        "emails": person.emails,
        "workspace": person.workspace.pk,
        "found": person.pattern,
        "parts": masking.pattern(_parts(person)),
        "quoted": masking.pattern([*person.spellings, *map(quote, person.spellings)]),
    }
    with connection.cursor() as cursor:
        reasons.forget(cursor, values, (BY_CONTACT, BY_ADDRESS))
        cursor.execute(FORGET_LINKS.format(whose=BY_ADDRESS), values)
        for whose in (BY_CONTACT, BY_ADDRESS):
            cursor.execute(FORGET_TALLIES.format(whose=whose), values)
            cursor.execute(FORGET.format(whose=whose), values)
        cursor.execute(FORGET_EVENTS, values)
        cursor.execute(FORGET_STRAYS, values)
    for table, columns in MENTIONS.items():
        masking.mask(table, columns, person.pattern, workspace_id=person.workspace.pk)
    InboxMessage.objects.extra(where=["lower(envelope_to) = ANY(%s)"], params=[person.emails]).delete()


def _parts(person: Person) -> Iterable[str]:
    """What a server may call them by instead of the whole address."""
    names = (person.first_name.strip(), person.last_name.strip())
    return [*(email.partition("@")[0] for email in person.emails), *filter(None, names)]


def merge(kept: Contact, gone: Contact) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {"kept": kept.pk, "gone": gone.pk})
        cursor.execute(MOVE_EVENTS, {"kept": kept.pk, "gone": gone.pk})
    Mailing.objects.filter(sample_contact=gone).update(sample_contact=kept)


def messages_of(contact: Contact) -> Any:
    """Every message to the person, under whichever id."""
    return Delivery.objects.filter(contact__in=_ids(contact)).select_related("mailing")


def _ids(contact: Contact) -> list[int]:
    formers = FormerContact.objects.filter(contact=contact, former_id__isnull=False)
    return [contact.pk, *filter(None, formers.values_list("former_id", flat=True))]


def events_of(contact: Contact) -> Any:
    """What the person did with their messages; a merge moves it to the contact that stays."""
    return Event.objects.filter(contact=contact).select_related("mailing")


def strays_of(contact: Contact) -> Any:
    """What came back from the person's address and names no message."""
    return Stray.objects.filter(workspace=contact.workspace, email__iexact=contact.email)


def message_count(contact: Contact) -> int:
    return int(messages_of(contact).count())


def person_file(contact: Contact) -> dict[str, Iterable[dict[str, Any]]]:
    return {
        "messages": (_row(each) for each in messages_of(contact).order_by("mailing_id").iterator()),
        "events": (_event(each) for each in events_of(contact).order_by("at").iterator()),
        "strays": (_stray(each) for each in strays_of(contact).order_by("at").iterator()),
        "reasons_for_leaving": reasons.of_person(_ids(contact)),
    }


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": event.at,
        "event": event.get_kind_display(),
        "mailing": event.mailing.name,
        "link": event.url,
        "answer": f"{event.code} {event.said}".strip(),
        "taken_back_at": event.undone_at,
        "by_a_machine": event.why_machine or event.is_machine,
    }


def _stray(stray: Stray) -> dict[str, Any]:
    return {"at": stray.at, "event": stray.kind, "to": stray.email, "answer": stray.said}


def _row(delivery: Delivery) -> dict[str, Any]:
    return {
        "mailing": delivery.mailing.name,
        "subject": delivery.mailing.content.get("subject", ""),
        "test": delivery.mailing.is_test,
        "to": delivery.email,
        "planned_at": delivery.mailing.created_at,
        "outcome": delivery.get_state_display(),
        "outcome_at": delivery.settled_at,
        "attempts": delivery.attempt_count,
        "answer": f"{delivery.code} {delivery.server_said}".strip(),
        "came_back": delivery.get_feedback_display() if delivery.feedback else None,
        "came_back_at": delivery.feedback_at,
        "delivered_at": delivery.delivered_at,
        "opened_at": delivery.opened_at,
        "clicked_at": delivery.clicked_at,
        "unsubscribed_at": delivery.unsubscribed_at,
    }
