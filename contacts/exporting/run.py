"""Runs an export: claims it, writes its file, and can be killed at any moment: the file is whole or not there."""

import contextlib
import logging
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from django.core.files import File
from django.db import DatabaseError, OperationalError, connection
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from accounts.errors import Refusal
from accounts.queue import comes_on
from contacts import chosen, runs
from contacts.exporting import files, rows
from contacts.models import Export, ExportFormat, ExportState
from contacts.queries.fields import fields

log = logging.getLogger(__name__)
SIGN_SECONDS: Final = 1.0
STILL_SECONDS: Final = 20  # between two signs while nothing comes; a run silent for longer is taken for dead
CANCEL_SECONDS: Final = 5  # for the server to take the request
STUCK: Final = (
    "For a long time no more rows came, so it was ended. Export again; if it happens again, export fewer."
)
WRITERS: Final = {ExportFormat.CSV: files.write_csv, ExportFormat.XLSX: files.write_xlsx}


def work(export_id: int) -> dict[str, int | str]:
    """Take up the export and carry it to its end. Does nothing when another run has it, or it has ended."""
    run = _claim(export_id)
    if run is None:
        return {"export": export_id, "outcome": "not mine"}
    try:
        with _seen_alive(run) as at_work:
            _write(run, at_work)
        outcome = "done"
    except runs.Stopped:
        outcome = "stopped"
    except Refusal as refusal:
        outcome = runs.fail(run, refusal.message)
    except OSError:
        log.exception("export.unwritable export=%s", run.pk)
        outcome = runs.fail(run, "The file could not be written. Is the disk full? Tell your administrator.")
    except JobTimeoutException:
        log.exception("export.stuck export=%s rows=%s", run.pk, run.done_count)
        connection.close()  # it may be amid a statement
        outcome = runs.fail(run, STUCK)
    except OperationalError:
        raise  # the database went away: the clock queues the run again
    except Exception:
        runs.fail(run, "Something unexpected stopped the export. Tell your administrator.")
        raise
    log.info("export.%s export=%s rows=%s", outcome, run.pk, run.done_count)
    return {"export": run.pk, "outcome": outcome, "rows": run.done_count}


@contextmanager
def _seen_alive(run: Export) -> Iterator[list[Any]]:
    """Until it ends: PostgreSQL may look for the first rows, or the storage take the file, for minutes.

    Gives: a list for psycopg's connections; what they are at ends when the run is canceled or taken over.
    What never comes on is ended by RQ's alarm, see `accounts.queue.comes_on`.
    Raises: Stopped: it was.
    """
    ended, stopped = threading.Event(), threading.Event()
    at_work: list[Any] = []

    def sign() -> None:
        with contextlib.closing(connection):
            while not ended.wait(STILL_SECONDS):
                try:
                    runs.alive(run)
                except runs.Stopped:
                    stopped.set()
                    _cancel(at_work)  # and again, had it been between two statements
                except DatabaseError:  # the writing notices, too
                    return

    signing = threading.Thread(target=sign, daemon=True)
    signing.start()
    try:
        yield at_work
    except OperationalError:
        if stopped.is_set():
            raise runs.Stopped from None
        raise
    finally:
        ended.set()
        signing.join()


def _cancel(connections: list[Any]) -> None:
    """End their statements at the server, which else notices only by the next row that nobody is there any more."""
    for each in connections:
        with contextlib.suppress(psycopg.Error):
            each.cancel_safe(timeout=CANCEL_SECONDS)


def _claim(export_id: int) -> Export | None:
    """The run, with a claim that no other worker's has."""
    before = Export.objects.filter(pk=export_id).first()
    started_at = Coalesce(F("started_at"), timezone.now())
    if not runs.claim(Export, export_id, done_count=0, started_at=started_at):
        return None
    if before and before.claim:  # of one that was killed, perhaps between storing its file and saying so
        before.file.storage.delete(_name(before))
    return Export.objects.select_related("workspace").get(pk=export_id)


def _name(run: Export) -> str:
    """Where the file of this claim is stored."""
    assert run.claim
    return f"exports/{run.claim.hex}.{run.format}"


def _write(run: Export, at_work: list[Any]) -> None:
    people, in_list = chosen.people(run.chosen, run.workspace)
    statement = rows.statement(run.workspace, people, list(fields(run.workspace)), in_list)
    comes_on()
    with tempfile.TemporaryFile() as written:  # has no name, so that nothing of it is left by a killed worker
        with _apart(at_work) as cursor:
            cursor.execute(statement.count_sql, statement.count_values)
            runs.alive(run, total_count=cursor.fetchone()[0])
            count = WRITERS[ExportFormat(run.format)](cursor, statement, written, _Signs(run))
        size = written.tell()
        written.seek(0)
        storage = Export._meta.get_field("file").storage
        name = storage.save(_name(run), File(written))
    ended = {"state": ExportState.DONE, "finished_at": timezone.now()}
    try:
        runs.alive(run, **ended, file=name, size=size, done_count=count, total_count=count)
    except BaseException:
        storage.delete(name)
        raise
    run.done_count = count


@contextmanager
def _apart(at_work: list[Any]) -> Iterator[Any]:
    """A cursor of a connection of its own, put among those at work: the usual one says meanwhile how far it is."""
    with (
        contextlib.closing(connection.copy()) as another,
        another.wrap_database_errors,
        another.cursor() as cursor,
    ):
        at_work.append(another.connection)
        try:
            yield cursor
        except BaseException:
            _cancel([another.connection])
            raise


class _Signs:
    """Say now and then how many rows are written, and have the time for the next ones. Raises: Stopped."""

    def __init__(self, run: Export) -> None:
        self._run, self._given_at = run, time.monotonic()

    def __call__(self, count: int) -> None:
        if time.monotonic() >= self._given_at + SIGN_SECONDS:
            self._given_at = time.monotonic()
            comes_on()
            runs.alive(self._run, done_count=count)
            self._run.done_count = count
