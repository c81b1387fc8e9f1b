"""Asking for an export, cancelling and deleting it, and bringing back what fell silent."""

import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.errors import WrongState
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from contacts import chosen, runs
from contacts.models import Export, ExportFormat, ExportState, Segment
from contacts.queries.contacts import Finder

JOB: Final = "contacts.jobs.run_export"
KEEP_DAYS: Final = 7  # a file with people's data
# For RQ to keep the job by: it cannot go on where it was ended, so it may take as long as rows come (`_Signs`).
LONGEST_SECONDS: Final = 86_400
OPEN: Final = (ExportState.QUEUED, ExportState.RUNNING)


def of_found(finder: Finder, *, workspace: Workspace, file_format: ExportFormat, by: User) -> Export:
    """Queue an export of the contacts that the search, the list and the status find."""
    return _ask(workspace, in_words(finder), chosen.of_finder(finder), file_format, by)


def of_segment(segment: Segment, *, file_format: ExportFormat, by: User) -> Export:
    """Queue an export of whoever is in the segment when the job runs."""
    return _ask(segment.workspace, f"Segment “{segment}”", chosen.of_segment(segment), file_format, by)


@transaction.atomic(durable=True)
def cancel(run: Export, *, by: User) -> None:
    """Stop it. Raises: WrongState: it has ended."""
    stopping = Export.objects.filter(pk=run.pk, state__in=OPEN)
    if not stopping.update(state=ExportState.CANCELED, finished_at=timezone.now()):
        raise WrongState("This export has ended already.")
    record(by, "export.canceled", run)


@transaction.atomic(durable=True)
def delete_file(run: Export, *, by: User) -> None:
    """Delete the file before its time. Raises: WrongState: there is none."""
    if not _expire(run):
        raise WrongState("This export has no file.")
    record(by, "export.deleted", run)


def requeue_silent() -> int:
    """Take up again what gave no sign of life for a minute. Returns how many."""
    return runs.requeue_silent(Export, _queue)


def _queue(pk: int) -> None:
    enqueue(JOB, queue="bulk", timeout=LONGEST_SECONDS, export_id=pk)


def forget_old() -> int:
    """Delete the files of KEEP_DAYS ago. Returns how many."""
    before = timezone.now() - datetime.timedelta(days=KEEP_DAYS)
    old = Export.objects.filter(state=ExportState.DONE, finished_at__lt=before)
    return sum(_expire(run) for run in old[:100])


def _ask(
    workspace: Workspace, name: str, what: dict[str, Any], file_format: ExportFormat, by: User
) -> Export:
    with transaction.atomic(durable=True):
        run = Export.objects.create(
            workspace=workspace, name=name[:200], chosen=what, format=file_format, created_by=by
        )
        record(by, "export.asked", run)
        _queue(run.pk)
    return run


def _expire(run: Export) -> bool:
    name, storage = run.file.name or "", run.file.storage
    done = Export.objects.filter(pk=run.pk, state=ExportState.DONE)  # each has a file
    if not done.update(state=ExportState.EXPIRED, file=""):
        return False
    transaction.on_commit(lambda: storage.delete(name), robust=True)
    return True


def in_words(finder: Finder) -> str:
    """What is looked for: Contacts on “News”, subscribed, with “anna”."""
    words = (
        f"List “{finder.in_list}”" if finder.in_list else "All contacts" if not finder.is_on else "Contacts"
    )
    if finder.tag:
        words += f", tagged “{finder.tag}”"
    if finder.imported:
        words += f", {finder.imported.words}"
    if finder.status:
        words += f", {finder.status}"
    return f"{words}, with “{finder.search}”" if finder.search else words
