"""Asking for a fetch, stopping it, and how the last one stands."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils import timezone

from accounts.errors import WrongState
from accounts.models import User, record
from contacts import runs
from delivery.fetching.run import queue, record_new
from delivery.fetching.sources import SOURCES, NoLists
from delivery.models import FetchState, SendingAccount, SuppressionFetch
from delivery.providers import PROVIDERS

OPEN: Final = (FetchState.QUEUED, FetchState.RUNNING)


@transaction.atomic(durable=True)
def ask(account: SendingAccount, *, by: User) -> SuppressionFetch:
    """Queue a fetch of the provider's suppression lists.

    Raises: NoLists: it has none that can be read. WrongState: one is on its way.
    """
    source = SOURCES.get(account.provider)
    if source is None:
        raise NoLists(f"{PROVIDERS[account.provider].label} has no suppression list that Volley can read.")
    SendingAccount.objects.select_for_update(no_key=True).get(pk=account.pk)
    if account.fetches.filter(state__in=OPEN).exists():
        raise WrongState("These suppressions are being fetched already.")
    run: SuppressionFetch = account.fetches.create(
        workspace=account.workspace, lists_left=source.lists(account), created_by=by
    )
    record(by, "account.fetch_asked", account)
    queue(run.pk)
    return run


@transaction.atomic(durable=True)
def cancel(account: SendingAccount, *, by: User) -> None:
    """Stop it; what came so far stays. Raises: WrongState: it has ended."""
    run = account.fetches.select_for_update(no_key=True).filter(state__in=OPEN).first()
    if run is None:
        raise WrongState("This has ended already.")
    account.fetches.filter(pk=run.pk).update(state=FetchState.CANCELED, finished_at=timezone.now())
    record(by, "account.fetch_canceled", account)
    record_new(run, by=by)


def offered(accounts: Iterable[SendingAccount]) -> set[int]:
    """Ids of those whose provider has lists that nobody asked for yet, and whose last test was good. One query."""
    able = {
        each.pk for each in accounts if each.provider in SOURCES and each.tested_at and not each.test_said
    }
    known = SuppressionFetch.objects.filter(account__in=able).values_list("account", flat=True)
    return able - set(known.distinct()) if able else able


@dataclass(frozen=True)
class Standing:
    """For the account's page. run: the last one. goes_on_at: when the provider is asked again that has put it off."""

    key: str
    run: SuppressionFetch | None
    goes_on_at: datetime | None = None


def standing(account: SendingAccount) -> Standing | None:
    """None: the provider has no lists that can be read. By fetch_newest_idx."""
    source = SOURCES.get(account.provider)
    if source is None:
        return None
    run = account.fetches.select_related("created_by").order_by("-pk").first()
    if run and run.state == FetchState.QUEUED and run.try_count and run.progress_at:
        return Standing(source.key, run, run.progress_at + timedelta(seconds=runs.SILENT_SECONDS))
    return Standing(source.key, run)
