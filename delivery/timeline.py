"""A contact's messages and what they did with them, for the contact's timeline; hung into `contacts.registry`."""

from typing import Final

from contacts.models import Contact
from contacts.registry import TimelineEntry
from delivery.models import Delivery, DeliveryState, Event, EventKind

MESSAGES_SHOWN: Final = 50
EVENTS_SHOWN: Final = 50
DID: Final = {EventKind.OPENED: ("eye", "Opened"), EventKind.CLICKED: ("click", "Clicked in")}  # icon, words
# (icon, tone) of Tabler by how it ended
LOOKS: Final[dict[str, tuple[str, str]]] = {
    DeliveryState.PENDING: ("clock", "azure"),
    DeliveryState.DEFERRED: ("clock-pause", "yellow"),
    DeliveryState.ACCEPTED: ("mail-check", "green"),
    DeliveryState.REJECTED: ("mail-x", "red"),
    DeliveryState.SKIPPED: ("mail-off", "secondary"),
    DeliveryState.IN_DOUBT: ("mail-question", "yellow"),
    DeliveryState.CANCELED: ("mail-cancel", "secondary"),
}


def of_contact(contact: Contact) -> list[TimelineEntry]:
    """The newest messages to the contact, by one_delivery_per_contact; one query."""
    rows = Delivery.objects.filter(contact=contact).select_related("mailing").order_by("-mailing_id")
    return [_entry(row) for row in rows[:MESSAGES_SHOWN]]


def events_of_contact(contact: Contact) -> list[TimelineEntry]:
    """The newest of what they did, and of what was done by machines; one query, by event_contact_idx."""
    rows = Event.objects.filter(contact=contact).select_related("mailing").order_by("-at")
    return [_event(row) for row in rows[:EVENTS_SHOWN]]


def _event(event: Event) -> TimelineEntry:
    icon, words = DID[EventKind(event.kind)]
    why = f"by a machine: {event.why_machine or 'no person'}" if event.is_machine else ""
    return TimelineEntry(
        at=event.at,
        icon=icon,
        title=f"{words} “{event.mailing}”",
        detail=event.url,
        tone="secondary" if event.is_machine else "blue",
        label=why,
    )


def _entry(delivery: Delivery) -> TimelineEntry:
    icon, tone = LOOKS[delivery.state]
    kind = "Test message" if delivery.mailing.is_test else "Message"
    said = delivery.server_said  # it may begin with the code
    if not said.startswith(delivery.code):
        said = f"{delivery.code} {said}".strip()
    return TimelineEntry(
        at=delivery.settled_at or delivery.mailing.created_at,
        icon=icon,
        title=f"{kind} “{delivery.mailing}”",
        detail=said,
        tone=tone,
        label=delivery.get_state_display(),
    )
