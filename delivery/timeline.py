"""A contact's messages and what they did with them, for the contact's timeline; hung into `contacts.registry`."""

from datetime import datetime
from typing import Final

from django.db.models.functions import Coalesce

from contacts.models import Contact
from contacts.registry import TimelineEntry
from delivery.models import Delivery, DeliveryState, Event, EventKind, Mailing
from delivery.people import events_of, messages_of

DID: Final = {
    EventKind.OPENED: ("eye", "Opened"),
    EventKind.CLICKED: ("click", "Clicked in"),
    EventKind.BOUNCED: ("mail-x", "Hard bounce of"),
    EventKind.SOFT_BOUNCED: ("mail-question", "Soft bounce of"),
    EventKind.BLOCKED: ("shield-x", "Blocked:"),
    EventKind.COMPLAINED: ("flag", "Complained about"),
    EventKind.UNSUBSCRIBED: ("mail-off", "Unsubscribed by their mail provider from"),
}  # icon, words
TONES: Final = {EventKind.OPENED: "blue", EventKind.CLICKED: "blue", EventKind.SOFT_BOUNCED: "yellow"}
DOUBT: Final = "in doubt"  # the code where no clear answer came; it stays when something settles it later
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


def of_contact(contact: Contact, before: datetime | None, count: int) -> list[TimelineEntry]:
    """The contact's messages before a moment, newest first, so many at most; by one_delivery_per_contact."""
    rows = messages_of(contact).annotate(at=Coalesce("settled_at", "mailing__created_at"))
    if before:
        rows = rows.filter(at__lt=before)
    return [_entry(row, contact) for row in rows.order_by("-at", "-mailing_id")[:count]]


def events_of_contact(contact: Contact, before: datetime | None, count: int) -> list[TimelineEntry]:
    """What they did before a moment, and what was done by machines, newest first; by event_contact_idx."""
    rows = events_of(contact).order_by("-at")
    if before:
        rows = rows.filter(at__lt=before)
    return [_event(row) for row in rows[:count]]


def _event(event: Event) -> TimelineEntry:
    icon, words = DID[EventKind(event.kind)]
    why = f"by a machine: {event.why_machine or 'no person'}" if event.is_machine else ""
    if event.undone_at:
        why = "taken back"
    return TimelineEntry(
        at=event.at,
        icon=icon,
        title=f"{words} “{event.mailing}”",
        detail=event.url or event.said,
        tone="secondary" if event.is_machine or event.undone_at else TONES.get(EventKind(event.kind), "red"),
        label=why,
    )


def _entry(delivery: Delivery, contact: Contact) -> TimelineEntry:
    icon, tone = LOOKS[delivery.state]
    title = f"{'Test message' if delivery.mailing.is_test else 'Message'} “{delivery.mailing}”"
    if delivery.mailing.confirms_id:
        title = f"Asked to confirm “{delivery.mailing.frame['list_name']}”"
    said = delivery.server_said  # it may begin with the code
    if delivery.code == DOUBT and delivery.state == DeliveryState.ACCEPTED:
        said = f"It was in doubt: {said}"
    elif not said.startswith(delivery.code):
        said = f"{delivery.code} {said}".strip()
    if (
        delivery.email.lower() != contact.email.lower()
    ):  # an earlier address, or that of a contact merged since
        said = f"To {delivery.email}. {said}".strip()
    return TimelineEntry(
        at=delivery.settled_at or delivery.mailing.created_at,
        icon=icon,
        title=title,
        detail=said,
        tone=tone,
        label=delivery.get_state_display(),
    )


def with_messages(contact_ids: list[int]) -> set[int]:
    """Those of them who have had a message, or will have one; or by whose data a test send was filled in."""
    recipients = Delivery.objects.filter(contact__in=contact_ids).values_list("contact_id", flat=True)
    samples = Mailing.objects.filter(sample_contact__in=contact_ids).values_list(
        "sample_contact_id", flat=True
    )
    return {*recipients, *samples}
