"""Entries of the stream "hit" read into facts: whose workspace, and whether it was a person."""

import json
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection

from delivery.feedback.facts import Fact, Kind, key_of
from delivery.feedback.stream import Entry
from delivery.models import EventKind
from delivery.tracking.crowds import SOON_SECONDS, WHY_CROWD, crowded
from delivery.tracking.hits import Hit
from delivery.tracking.machines import why_machine

WHY_TRAP: Final = "Followed a hidden link"
# Since when a message may have been read: what is on its way has been accepted this moment at most.
SENT: Final = """
SELECT w.mailing_id, w.number, m.workspace_id, d.settled_at, d.state IN ('pending', 'deferred')
  FROM unnest(%s::bigint[], %s::int[]) AS w(mailing_id, number)
  JOIN delivery_mailing m ON m.id = w.mailing_id
  LEFT JOIN delivery_delivery d ON d.mailing_id = w.mailing_id AND d.number = w.number
"""
# A link that is another one for each recipient is counted by what it was made from.
LABEL: Final = """
SELECT m.id, l.label, m.content -> 'links' ->> (l.label - 1)
  FROM unnest(%s::bigint[], %s::int[]) AS l(mailing_id, label) JOIN delivery_mailing m ON m.id = l.mailing_id
"""


def read(entries: Sequence[Entry]) -> list[list[Fact]]:
    """The facts of each entry: one, or none where its mailing is deleted. Two short queries, and one to Redis."""
    hits = [Hit(*json.loads(entry.data)) for entry in entries]
    sent = _by_pair(SENT, {(hit.mailing_id, hit.number) for hit in hits})
    labels = _by_pair(LABEL, {(hit.mailing_id, hit.label) for hit in hits if hit.label})
    crowd = crowded([hit for hit in hits if _is_soon(hit, sent)])
    return [list(_facts(hit, sent, labels, crowd)) for hit in hits]


def _by_pair(query: str, pairs: set[tuple[int, int]]) -> dict[tuple[int, int], Any]:
    if not pairs:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(query, [[first for first, _ in pairs], [second for _, second in pairs]])
        return {(row[0], row[1]): row[2:] for row in cursor.fetchall()}


def _seconds(hit: Hit, sent: dict[Any, Any]) -> float | None:
    """Since the message was accepted, 0 while it is on its way; None where that is not known."""
    _, accepted_at, is_on_its_way = sent.get((hit.mailing_id, hit.number), (None, None, False))
    if is_on_its_way:
        return 0.0
    return hit.at - accepted_at.timestamp() if accepted_at else None


def _is_soon(hit: Hit, sent: dict[Any, Any]) -> bool:
    seconds = _seconds(hit, sent)
    return hit.kind == EventKind.CLICKED and seconds is not None and seconds < SOON_SECONDS


def _facts(hit: Hit, sent: dict[Any, Any], labels: dict[Any, Any], crowd: Container[str]) -> Iterable[Fact]:
    found = sent.get((hit.mailing_id, hit.number))
    if found is None:
        return
    workspace_id, at, seconds = found[0], datetime.fromtimestamp(hit.at, UTC), _seconds(hit, sent)
    why = why_machine(hit.kind, agent=hit.agent, ip=hit.ip, seconds=seconds, is_prefetch=hit.is_prefetch)
    if hit.kind == EventKind.CLICKED and not hit.url:
        why = WHY_TRAP
    if not why and hit.once in crowd:
        why = WHY_CROWD
    (label,) = labels.get((hit.mailing_id, hit.label), (None,))
    yield Fact(
        workspace_id=workspace_id,
        kind=Kind(hit.kind),
        at=at,
        key=key_of(at, hit.once),
        mailing_id=hit.mailing_id,
        number=hit.number or None,
        is_machine=bool(why),
        why_machine=why,
        url=label or hit.url,
        is_nameless=not hit.number,
    )
