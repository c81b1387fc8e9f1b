"""Everything held on a person as one file of JSON, written piece by piece (GDPR art. 15 and 20)."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from contacts import registry
from contacts.models import Contact, FormerContact, ListSuppression, Subscription, Suppression
from contacts.queries.contacts import give_tags, memberships, suppression_of
from contacts.queries.fields import fields
from contacts.queries.suppression import of_contact
from contacts.queries.timeline import trail_of


def written(contact: Contact) -> Iterator[str]:
    """The file's text in pieces; messages are read as they are written, however many there are."""
    yield "{"
    for at, (title, held) in enumerate(_sections(contact)):
        yield f"{',' if at else ''}\n  {json.dumps(title)}: "
        yield from _rows(held) if isinstance(held, Iterator) else [_text(held)]
    yield "\n}\n"


def _sections(contact: Contact) -> Iterator[tuple[str, Any]]:
    yield (
        "about",
        {
            "what": f"Everything that {contact.workspace} holds on {contact.email} in Volley",
            "exported_at": timezone.now(),
            "times": "UTC, ISO 8601",
        },
    )
    yield "profile", _profile(contact)
    yield "fields", _fields(contact)
    give_tags([contact])
    yield "tags", [tag.name for tag in contact.tags]  # type: ignore[attr-defined]
    yield "lists", [_membership(each) for each in memberships(contact)]
    suppression = suppression_of(contact)
    yield "suppression", _suppression(suppression) if suppression else None
    yield (
        "suppressed_for_lists",
        [{"list": each.list.name} | _suppression(each) for each in of_contact(contact)],
    )
    for ask in registry.person_file:
        for title, rows in ask(contact).items():
            yield title, iter(rows)
    yield (
        "audit_trail",
        (
            {"at": each.at, "what": each.words, "by": str(each.user) if each.user else "Volley"}
            for each in trail_of(contact).order_by("at").iterator()
        ),
    )


def _profile(contact: Contact) -> dict[str, Any]:
    earlier = FormerContact.objects.filter(contact=contact).order_by("at").values_list("email", flat=True)
    return {
        "email": contact.email,
        "earlier_emails": list(earlier),
        "first_name": contact.first_name,
        "last_name": contact.last_name,
        "language": contact.language,
        "frequency": contact.get_frequency_display(),
        "paused_until": contact.paused_until,
        "added_at": contact.created_at,
        "changed_at": contact.updated_at,
    }


def _fields(contact: Contact) -> dict[str, Any]:
    """The values by what the fields are called; a value whose field is gone by its key."""
    labels = {each.key: each.label for each in fields(contact.workspace)}
    return {labels.get(key, key): value for key, value in contact.attributes.items()}


def _membership(held: Subscription) -> dict[str, Any]:
    return {
        "list": held.list.name,
        "status": held.get_status_display(),
        "consent_at": held.consent_at,
        "consent_source": held.consent_source,
        "consent_ip": held.consent_ip,
        "unsubscribed_at": held.unsubscribed_at,
        "unsubscribe_source": held.unsubscribe_source,
    }


def _suppression(held: Suppression | ListSuppression) -> dict[str, Any]:
    return {"since": held.created_at, "reason": held.get_reason_display(), "note": held.note}


def _rows(rows: Iterable[Any]) -> Iterator[str]:
    yield "["
    for at, row in enumerate(rows):
        yield f"{',' if at else ''}\n    {_text(row)}"
    yield "\n  ]"


def _text(held: Any) -> str:
    return json.dumps(held, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2).replace("\n", "\n  ")
