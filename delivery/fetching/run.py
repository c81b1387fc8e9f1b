"""Runs a fetch: claims it, reads page by page, and can be killed at any moment: a page that was applied stays so.

Each page is one transaction that also notes where to go on. When the provider puts it off, is away or breaks off, the
run goes back to the queue and the clock brings it when the time has come; no worker waits for it.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from django.db import OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from accounts.errors import Refusal
from accounts.models import User, record
from accounts.queue import comes_on, enqueue, leaving
from contacts import runs, yielding
from contacts.actions.suppression import suppress_returned
from contacts.importing import addresses
from contacts.models import SuppressionReason
from contacts.queries.erasure import refused_addresses
from delivery.fetching.sources import SOURCES, Entry, Page, Place
from delivery.models import FetchState, SuppressionFetch
from delivery.transports.base import CannotConnect
from delivery.transports.esp_asking import Asking, NotAnswered

JOB: Final = "delivery.jobs.fetch_suppressions"
AGAIN_SECONDS: Final = 30.0  # where the provider does not say when
LONGEST_SECONDS: Final = 3600.0  # that it may ask to wait; beyond, a person decides
TRIES: Final = 5  # in a row without a page
PATIENCE_SECONDS: Final = 25.0  # with an answer; less than until a silent run is taken for dead
# What a provider answers that is not at all as documented.
UNREADABLE: Final = (LookupError, TypeError, ValueError, AttributeError)
log = logging.getLogger(__name__)


def queue(pk: int) -> None:
    enqueue(JOB, queue="bulk", fetch_id=pk)


def requeue_silent() -> int:
    """Take up those whose time has come, or whose worker died; for the clock. Returns how many."""
    return runs.requeue_silent(SuppressionFetch, queue)


def work(fetch_id: int) -> dict[str, int | str]:
    """Take up the fetch and carry it as far as it goes. Does nothing when another worker has it, or it has ended."""
    started_at = Coalesce(F("started_at"), timezone.now())
    if not runs.claim(SuppressionFetch, fetch_id, started_at=started_at):
        return {"fetch": fetch_id, "outcome": "not mine"}
    run = SuppressionFetch.objects.select_related("account", "workspace", "created_by").get(pk=fetch_id)
    try:
        outcome = _carry_out(run)
    except runs.Stopped:
        outcome = "stopped"
    except NotAnswered as trouble:
        outcome = _put_off(run, trouble)
    except CannotConnect as error:
        outcome = _fail(run, error.outcome.server_said)
    except Refusal as refusal:
        outcome = _fail(run, refusal.message)
    except (OperationalError, JobTimeoutException):
        raise  # the database went away, or RQ's hour is over: the clock queues the run again
    except Exception:
        _fail(run, "Something unexpected stopped this. Tell your administrator.")
        raise
    log.info("fetch.%s fetch=%s account=%s entries=%s", outcome, run.pk, run.account_id, run.done_count)
    return {"fetch": run.pk, "outcome": outcome, "entries": run.done_count}


def _carry_out(run: SuppressionFetch) -> str:
    source, asking = SOURCES[run.account.provider], Asking(run.account, seconds=PATIENCE_SECONDS)
    shift = yielding.Shift()
    try:
        while not leaving.is_set():
            comes_on()
            page = _read(asking, Place(run.lists_left[0], run.next_page, run.created_at))
            if not _apply(run, page):
                return "done"
            shift.rest()
            leaving.wait(source.pause_seconds)
    finally:
        asking.close()
    with transaction.atomic():  # this worker was told to stop; the next one goes on
        if runs.mine(run).update(state=FetchState.QUEUED):
            queue(run.pk)
    return "left"


def _read(asking: Asking, place: Place) -> Page:
    """Raises: NotAnswered."""
    try:
        page = SOURCES[asking.provider.name].read(asking, place)
        if not page.next.isprintable():
            raise ValueError(page.next)
    except UNREADABLE as error:
        log.warning("fetch.unreadable provider=%s", asking.provider.name, exc_info=error)
        words = f"{asking.provider.label} answered something else than it documents."
        raise NotAnswered(words, passes=False) from error
    if page.next and page.next == place.page:
        raise NotAnswered(f"{asking.provider.label} gives the same page again and again.", passes=False)
    return page


@transaction.atomic
def _apply(run: SuppressionFetch, page: Page) -> bool:
    """Suppress whom the page names, and note where to go on. Returns: whether there is more. Raises: Stopped."""
    runs.alive(run)  # from here on nobody else has it
    by_reason, left_out = _sorted(run, page.entries)
    run.new_count += sum(
        suppress_returned(run.workspace_id, rows, reason=reason) for reason, rows in by_reason.items()
    )
    run.done_count += len(page.entries)
    run.left_out_count += left_out
    run.next_page, run.try_count, run.error = page.next, 0, ""
    if not page.next:
        run.lists_left = run.lists_left[1:]
    if not run.lists_left:
        run.state, run.finished_at = FetchState.DONE, timezone.now()
        record_new(run, by=run.created_by)
    fields = (
        "new_count",
        "done_count",
        "left_out_count",
        "next_page",
        "try_count",
        "error",
        "lists_left",
        "state",
        "finished_at",
    )
    runs.alive(run, **{name: getattr(run, name) for name in fields})
    return bool(run.lists_left)


Rows = list[tuple[str, str, int | None]]


def _sorted(run: SuppressionFetch, entries: Iterable[Entry]) -> tuple[dict[SuppressionReason, Rows], int]:
    """What is to be suppressed, as `suppress_returned` takes it, by reason; and how many entries are left out.

    Of who was erased nothing is taken in again.
    """
    came = [(_address(str(entry.email)), entry) for entry in entries]
    erased = refused_addresses(run.workspace, [email for email, _ in came if email])
    by_reason: dict[SuppressionReason, Rows] = defaultdict(list)
    for email, entry in came:
        if email and entry.reason and email not in erased:
            note = f"Fetched from “{run.account}”, {run.lists_left[0]}"
            words = " ".join(str(entry.said).replace("\0", "").encode(errors="replace").decode().split())
            by_reason[entry.reason].append((email, f"{note}: {words}" if words else f"{note}.", None))
    return by_reason, len(came) - sum(map(len, by_reason.values()))


def _address(text: str) -> str:
    """As contacts have it; "" where it is none."""
    try:
        return addresses.clean(text)
    except addresses.NotAnAddress:
        return ""


def record_new(run: SuppressionFetch, *, by: User | None) -> None:
    """In the trail, once it has ended: how many addresses it suppressed."""
    if run.new_count:
        subject = (
            f"{run.new_count:,} address{'' if run.new_count == 1 else 'es'} fetched from “{run.account}”"
        )
        record(by, "suppression.added", subject[:200], workspace=run.workspace)


def _put_off(run: SuppressionFetch, trouble: NotAnswered) -> str:
    """Back to the queue until the provider may be asked again; ended in its words where that comes to nothing."""
    if not trouble.passes:
        return _fail(run, trouble.words)
    seconds = trouble.seconds if trouble.seconds is not None else AGAIN_SECONDS * (run.try_count + 1)
    if run.try_count + 1 >= TRIES or seconds > LONGEST_SECONDS:
        return _fail(run, f"{trouble.words} Fetch again later.")
    # The clock takes up a run that was silent for so long: that is when its time has come.
    due_at = timezone.now() + timedelta(seconds=seconds)
    runs.mine(run).update(
        state=FetchState.QUEUED,
        progress_at=due_at - timedelta(seconds=runs.SILENT_SECONDS),
        try_count=run.try_count + 1,
        error=trouble.words,
    )
    return "put off"


@transaction.atomic
def _fail(run: SuppressionFetch, words: str) -> str:
    held = runs.mine(run).select_related("account", "workspace").first()
    if held:
        record_new(held, by=run.created_by)
    return runs.fail(run, words)
