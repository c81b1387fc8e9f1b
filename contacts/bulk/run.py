"""Runs a bulk action: claims it, freezes whom it is for, does it chunk by chunk, and can be killed at any moment.

Each chunk is one transaction that also advances the counts, under a lock on the run's row: a run that was killed is
taken up with the first chunk that is not done, and of two workers at once only one goes on.
"""

import logging
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connection, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from accounts.errors import Refusal
from accounts.queue import enqueue, leaving
from contacts import chosen, runs, yielding
from contacts.bulk.deeds import DEEDS
from contacts.collisions import is_deadlock
from contacts.importing.merge import analyze
from contacts.models import BulkChunk, BulkRun, BulkState
from contacts.queries.limits import TakesTooLong, at_most

log = logging.getLogger(__name__)
JOB: Final = "contacts.jobs.run_bulk"
CHUNK_PEOPLE: Final = 5000  # some tenths of a second each: progress is fine-grained, cancel is quick
ANALYZE_PEOPLE: Final = 10_000  # so many changed make the planner's statistics stale
FREEZE_SECONDS: Final = 50  # less than until a silent run is taken for dead
VICTIM_TIMES: Final = 5  # in a row that PostgreSQL may end a chunk, so that somebody else's deed goes on
# Whom it is for, in the order of their ids. Cost: that of finding them, and 8 bytes a person.
FREEZE: Final = """
INSERT INTO contacts_bulkchunk (run_id, number, contact_ids, is_done, earlier, kept_count)
SELECT %s, n / %s, array_agg(id ORDER BY id), false, '{{}}', 0
  FROM (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n FROM ({}) AS chosen(id)) AS numbered GROUP BY n / %s
"""
SIZE: Final = "SELECT COALESCE(sum(cardinality(contact_ids)), 0) FROM contacts_bulkchunk WHERE run_id = %s"


def queue(pk: int, *, people: int | None = None) -> None:
    """Ask for a worker. people: how many at most, if known: what one chunk holds waits for no import."""
    enqueue(JOB, queue="bulk" if people is None or people > CHUNK_PEOPLE else "system", bulk_id=pk)


def work(run_id: int) -> dict[str, int | str]:
    """Take up the run and carry it to its end. Does nothing when another worker has it, or it has ended."""
    run = _claim(run_id)
    if run is None:
        return {"bulk": run_id, "outcome": "not mine"}
    try:
        outcome = _carry_out(run)
    except runs.Stopped:
        outcome = "stopped"
    except Refusal as refusal:
        outcome = runs.fail(run, refusal.message)
    except (OperationalError, JobTimeoutException):
        raise  # the database went away, or RQ's hour is over: the clock queues the run again
    except Exception:
        runs.fail(
            run, "Something unexpected stopped this. What was done before stays; tell your administrator."
        )
        raise
    log.info("bulk.%s bulk=%s action=%s people=%s", outcome, run.pk, run.action, run.done_count)
    return {"bulk": run.pk, "outcome": outcome, "people": run.done_count}


def _claim(run_id: int) -> BulkRun | None:
    """The run, with a claim that no other worker's has."""
    claimed = runs.claim(BulkRun, run_id, started_at=Coalesce(F("started_at"), timezone.now()))
    held = BulkRun.objects.select_related("workspace", "created_by", "undoes__workspace")
    return held.get(pk=run_id) if claimed else None


def _carry_out(run: BulkRun) -> str:
    step = _undo_chunk if run.undoes else _do_chunk
    if not run.undoes and not run.frozen_at:
        _freeze(run)
    victim_times, shift = 0, yielding.Shift()
    while not leaving.is_set():
        try:
            goes_on = _one_step(run, step)
        except OperationalError as error:
            victim_times += 1
            if not is_deadlock(error) or victim_times > VICTIM_TIMES:
                raise
            run.refresh_from_db(fields=["done_count", "changed_count", "unchanged_count", "held_count"])
            continue
        victim_times = 0
        if not goes_on:
            if run.changed_count >= ANALYZE_PEOPLE:
                analyze()
            return "done"
        if run.done_count < run.total_count:  # the last chunk, or the only one, is waited for
            shift.rest()
    with transaction.atomic():  # this worker was told to stop; the next one goes on
        if runs.mine(run).update(state=BulkState.QUEUED):
            queue(run.pk)
    return "left"


def _freeze(run: BulkRun) -> None:
    """Write down whom it is for. Of all that match, who was added after it was asked for is none."""
    people, _ = chosen.people(run.chosen, run.workspace)
    if "ids" not in run.chosen:
        people = people.filter(created_at__lte=run.created_at)
    try:
        sql, values = people.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # as Django says that rules can match nobody
        sql, values = "SELECT 0 WHERE false", ()
    try:
        with at_most(FREEZE_SECONDS), connection.cursor() as cursor:
            cursor.execute(FREEZE.format(sql), [run.pk, CHUNK_PEOPLE, *values, CHUNK_PEOPLE])
            cursor.execute(SIZE, [run.pk])
            run.total_count = cursor.fetchone()[0]
            run.frozen_at = timezone.now()
            runs.alive(run, frozen_at=run.frozen_at, total_count=run.total_count)
    except TakesTooLong:
        raise Refusal(
            "It took too long to find these people. Choose fewer of them, or other rules."
        ) from None


def _one_step(run: BulkRun, step: Any) -> bool:
    """Do a chunk, or end the run. Whether there may be another."""
    with transaction.atomic():
        if not runs.mine(run).select_for_update(no_key=True).exists():
            raise runs.Stopped
        if step(run):
            counts = {name: getattr(run, name) for name in ("changed_count", "unchanged_count", "held_count")}
            runs.alive(run, done_count=run.done_count, **counts)
            return True
        runs.alive(run, state=BulkState.DONE, finished_at=timezone.now())
        if run.undoes:
            BulkRun.objects.filter(pk=run.undoes.pk).update(state=BulkState.UNDONE)
    return False


def _do_chunk(run: BulkRun) -> bool:
    chunk = run.chunks.filter(is_done=False).order_by("number").first()
    if chunk is None:
        return False
    deed, size = DEEDS[run.action], len(chunk.contact_ids)
    changed, held = deed.do(run, chunk)
    BulkChunk.objects.filter(pk=chunk.pk).update(is_done=True, kept_count=changed if deed.undo else 0)
    _count(run, size, changed=changed, held=held)
    return True


def _undo_chunk(run: BulkRun) -> bool:
    undone = run.undoes
    assert undone
    chunk = undone.chunks.filter(kept_count__gt=0).defer("earlier").order_by("number").first()
    if chunk is None:
        return False
    undo = DEEDS[undone.action].undo
    assert undo
    changed = undo(undone, chunk)
    BulkChunk.objects.filter(pk=chunk.pk).update(kept_count=0, earlier={})
    _count(run, chunk.kept_count, changed=changed, held=chunk.kept_count - changed)
    return True


def _count(run: BulkRun, size: int, *, changed: int, held: int) -> None:
    run.done_count += size
    run.changed_count += changed
    run.held_count += held
    run.unchanged_count += size - changed - held
