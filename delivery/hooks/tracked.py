"""Opens and clicks that a provider tells of though Volley counts them, or nobody may: left out, and noted on the account.

They come because the provider's own tracking was left on: links are wrapped twice, and people are watched unasked.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Q
from django.utils import timezone

from delivery.feedback.facts import Fact, Kind
from delivery.models import Mailing, SendingAccount

# {kind: what a mailing calls it, where it is told to measure that by our own links}
KINDS: Final = {Kind.OPENED: "opens", Kind.CLICKED: "clicks"}
LATELY: Final = timedelta(days=3)  # what left earlier may have left before the tracking was switched off
SHOWN: Final = timedelta(days=14)  # after the last one
NOTED_EVERY: Final = timedelta(hours=1)  # an account's row is not written for each event
RULES: Final = ("frame__tracking", "workspace__tracking__needs_consent", "workspace__tracking__is_nameless")


def without_ours(facts: Sequence[Sequence[Fact]]) -> list[list[Fact]]:
    """The same without the opens and clicks that are not the provider's to count. A query, and few where there are some.

    Where our own links count a kind, the provider's would count the same ones again; where the workspace watches
    nobody without consent, or nobody by name, the provider knows of neither.
    """
    ours, accounts = _ours({fact.mailing_id for each in facts for fact in each if fact.kind in KINDS}), set()
    kept, since = list[list[Fact]](), timezone.now() - LATELY
    for each in facts:
        kept.append([])
        for fact in each:
            left_at = ours.get((fact.workspace_id, fact.mailing_id, fact.kind))
            if left_at is None:
                kept[-1].append(fact)
            elif left_at > since:
                accounts.add(fact.account_id)
    _note(accounts)
    return kept


def _ours(mailing_ids: Iterable[int | None]) -> dict[tuple[int, int | None, str], datetime]:
    """{(workspace, mailing, kind): when its last message left} of what the provider does not count."""
    rows = Mailing.objects.filter(pk__in=list(filter(None, mailing_ids))).values_list(
        "pk", "workspace_id", "progress_at", *RULES
    )
    return {
        (workspace_id, pk, kind): left_at
        for pk, workspace_id, left_at, tracking, *forbid in rows
        for kind, name in KINDS.items()
        if any(forbid) or (tracking and tracking.get(name))
    }


def _note(account_ids: Iterable[Any]) -> None:
    """One row at a time, so that nothing waits for it in a circle."""
    now = timezone.now()
    is_due = Q(tracking_seen_at=None) | Q(tracking_seen_at__lt=now - NOTED_EVERY)
    for pk in account_ids:
        SendingAccount.objects.filter(is_due, pk=pk).update(tracking_seen_at=now)


def seen_at(account: SendingAccount) -> datetime | None:
    """When the provider was last seen to track by itself; None where that is long ago."""
    seen = account.tracking_seen_at
    return seen if seen and seen > timezone.now() - SHOWN else None
