"""Calls on their way: whom a call to an ESP holds is noted before it is made, so that no crash makes it twice.

The note is committed first, and deleted by the settlement that writes what became of its recipients. Whoever takes
a batch over finds the notes of dead holders here.
"""

import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import connection
from django.utils import timezone

from delivery.models import Call, Mailing
from delivery.pipeline.lease import Lease
from delivery.pipeline.load import Loaded
from delivery.pipeline.mold import Recipient
from delivery.providers import PROVIDERS
from delivery.transports.base import Fate, Outcome

UNKNOWN: Final = Outcome(
    Fate.IN_DOUBT,
    "in doubt",
    "The worker ended while its call was on the way. Whatever comes back of this message will tell.",
)
# Only by who holds the lease.
ANNOUNCE: Final = """
INSERT INTO delivery_call (id, batch_id, account_id, numbers, at)
SELECT said.id, batch.id, %(account)s, said.numbers::int[], now()
  FROM unnest(%(ids)s::uuid[], %(batches)s::bigint[], %(leases)s::uuid[], %(numbers)s::text[])
    AS said(id, batch_id, lease, numbers)
  JOIN delivery_batch batch ON batch.id = said.batch_id AND batch.lease = said.lease AND batch.state = 'leased'
RETURNING id
"""


class Announced(NamedTuple):
    """A call that is to be made."""

    id: uuid.UUID
    lease: Lease
    numbers: list[int]


class Chunk(NamedTuple):
    """Recipients of one batch for one call. replaces: a dead holder's call that this one repeats exactly."""

    recipients: list[Recipient]
    lease: Lease
    replaces: uuid.UUID | None = None

    @property
    def key(self) -> uuid.UUID:
        """The same for the same recipients of the same batch, whoever calls."""
        return key_of(self.lease, [each.number for each in self.recipients])


class Left(NamedTuple):
    """What dead holders' calls leave to do: chunks to repeat, numbers in doubt, and the notes that are then done."""

    repeats: list[Chunk]
    doubtful: set[int]
    ids: list[uuid.UUID]


def key_of(lease: Lease, numbers: Sequence[int]) -> uuid.UUID:
    return uuid.uuid5(lease.batch_key, ",".join(map(str, numbers)))


def announce(calls: Sequence[Announced], *, account_id: int) -> set[uuid.UUID]:
    """Note them, in one statement. Returns those that may be made: of leases that are still held."""
    values: dict[str, Any] = {
        "account": account_id,
        "ids": [call.id for call in calls],
        "batches": [call.lease.batch_id for call in calls],
        "leases": [call.lease.key for call in calls],
        "numbers": ["{" + ",".join(map(str, call.numbers)) + "}" for call in calls],
    }
    with connection.cursor() as cursor:
        cursor.execute(ANNOUNCE, values)
        return {row[0] for row in cursor.fetchall()}


def forget(ids: Sequence[uuid.UUID]) -> None:
    """Of calls that ended and changed nothing."""
    Call.objects.filter(pk__in=ids).delete()


def left_of(mailing: Mailing, lease: Lease, loaded: Loaded, known: Iterable[int]) -> Left:
    """What earlier holders of the batch left on its way. known: numbers whose fate is known otherwise."""
    calls = list(Call.objects.filter(batch=lease.batch_id))
    if not calls:
        return Left([], set(), [])
    known, waiting = set(known), {each.number: each for each in loaded.recipients}
    is_open = (waiting.keys() | loaded.skipped.keys()) - known
    repeats, doubtful, ids = [], set[int](), []
    for call in calls:
        if (
            _may_repeat(call, mailing, timezone.now())
            and set(call.numbers) <= waiting.keys() - known - doubtful
        ):
            repeats.append(Chunk([waiting[number] for number in call.numbers], lease, call.pk))
        else:
            ids.append(call.pk)
            doubtful |= is_open & set(call.numbers)
    return Left(repeats, doubtful, ids)


def _may_repeat(call: Call, mailing: Mailing, now: datetime) -> bool:
    """Whether the ESP would still know it for the same call."""
    seconds = PROVIDERS[mailing.account.provider].repeat_seconds
    return call.account_id == mailing.account_id and now - call.at < timedelta(seconds=seconds)


def doubtful_of(batch_key: uuid.UUID) -> tuple[set[int], list[uuid.UUID]]:
    """Numbers that calls left in doubt, and the calls, of a batch that nobody works on any more."""
    calls = list(Call.objects.filter(batch__key=batch_key))
    return {number for call in calls for number in call.numbers}, [call.pk for call in calls]
