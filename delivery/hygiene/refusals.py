"""What a refusal at the hand-over says of the person: the same as a bounce that comes back later.

Most say nothing of them: a template that fails, a call that the ESP does not like, an account that may not send.
"""

from collections.abc import Mapping
from typing import Final

from contacts.actions.suppression import suppress_returned
from contacts.models import SuppressionReason
from delivery import unsubscribe
from delivery.feedback.apply import REASONS, note_of
from delivery.feedback.classes import class_of
from delivery.feedback.facts import Kind, key_of
from delivery.hygiene import soft
from delivery.models import Delivery, DeliveryState, Event, Mailing
from delivery.transports.base import IN_ITS_WORDS, Verdict

# A block counts, too: the message before it may have been the last that arrived.
TIRES: Final = {Kind.SOFT_BOUNCED, Kind.BLOCKED}


def note(mailing: Mailing, verdicts: Mapping[int, Verdict]) -> None:
    """Write what they say as events, and suppress whoever is gone, complained or left; safe to call again.

    verdicts: {number: as its Outcome has it}. Within the settlement's transaction, last of what it locks. Those of a
    test send are of an address alone: whether it is gone, or complained.
    """
    told = {number: verdict for number, verdict in verdicts.items() if verdict}
    if not told:
        return
    refused = Delivery.objects.filter(
        mailing=mailing, number__in=told, exception=DeliveryState.REJECTED, settled_at__isnull=False
    ).exclude(email="")
    events, tired, left = [], [], []
    returned: dict[SuppressionReason, list[tuple[str, str, int]]] = {}
    for row in refused.order_by("number"):
        verdict = told[row.number]
        kind = class_of(row.code, row.server_said) if verdict == IN_ITS_WORDS else Kind(verdict)
        if mailing.is_test and kind not in REASONS:
            continue
        event = _event(mailing, row, kind)
        events.append(event)
        if kind in REASONS:
            said = note_of(mailing.name, event.at, row.code, row.server_said)
            returned.setdefault(REASONS[kind], []).append((row.email, said, mailing.pk))
        elif kind is Kind.UNSUBSCRIBED:
            left.append(row.number)
        elif kind in TIRES and row.contact_id:
            tired.append(row.contact_id)
    Event.objects.bulk_create(events, ignore_conflicts=True)
    for reason, rows in returned.items():
        suppress_returned(mailing.workspace_id, rows, reason=reason)
    for number in left:  # as where the ESP tells it later
        if link := unsubscribe.of((mailing.pk, number)):
            unsubscribe.leave(link, ip=None)
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
