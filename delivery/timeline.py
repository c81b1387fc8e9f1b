"""A contact's messages, for the timeline on the contact's page; hung into `contacts.registry`."""

from typing import Final

from contacts.models import Contact
from contacts.registry import TimelineEntry
from delivery.models import Delivery, DeliveryState, Mailing

MESSAGES_SHOWN: Final = 50
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


def with_messages(contact_ids: list[int]) -> set[int]:
    """Those of them who have had a message, or will have one; or by whose data a test send was filled in."""
    recipients = Delivery.objects.filter(contact__in=contact_ids).values_list("contact_id", flat=True)
    samples = Mailing.objects.filter(sample_contact__in=contact_ids).values_list(
        "sample_contact_id", flat=True
    )
    return {*recipients, *samples}
