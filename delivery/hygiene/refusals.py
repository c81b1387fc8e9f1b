"""What a server's refusal at the hand-over says of the person: the same as a bounce that comes back later."""

from typing import Final

from contacts.actions.suppression import suppress_returned
from contacts.models import SuppressionReason
from delivery.feedback.apply import note_of
from delivery.feedback.classes import explained
from delivery.feedback.facts import Kind, key_of
from delivery.hygiene import soft
from delivery.models import Delivery, DeliveryState, Event, Mailing

UNEXPLAINED: Final = Kind.SOFT_BOUNCED  # said again and again it ends as soft bounces do


def note(mailing: Mailing, numbers: list[int]) -> None:
    """Write the refusals of these recipients as events, and suppress whoever is gone; safe to call again.

    Within the settlement's transaction, last of what it locks. Those of a test send say nothing of anybody.
    """
    if mailing.is_test or not numbers:
        return
    refused = Delivery.objects.filter(
        mailing=mailing, number__in=numbers, exception=DeliveryState.REJECTED
    ).exclude(email="")
    events, gone, tired = [], [], []
    for row in refused.order_by("number"):
        kind = explained(row.code, row.server_said) or (UNEXPLAINED if row.code else None)
        if kind is None or row.settled_at is None:
            continue
        events.append(_event(mailing, row, kind))
        if kind is Kind.BOUNCED:
            said = note_of(mailing.name, row.settled_at, row.code, row.server_said)
            gone.append((row.email, said, mailing.pk))
        elif row.contact_id:  # a block counts, too: the message before it may have been the last that arrived
            tired.append(row.contact_id)
    Event.objects.bulk_create(events, ignore_conflicts=True)
    if gone:
        suppress_returned(mailing.workspace_id, gone, reason=SuppressionReason.HARD_BOUNCE)
    if tired:
        soft.judge(tired)


def _event(mailing: Mailing, row: Delivery, kind: Kind) -> Event:
    assert row.settled_at is not None
    return Event(
        workspace_id=mailing.workspace_id,
        key=key_of(row.settled_at, mailing.pk, row.number, "refused"),
        kind=kind.value,
        at=row.settled_at,
        mailing=mailing,
        contact_id=row.contact_id,
        number=row.number,
        code=row.code,
        said=row.server_said,
    )
