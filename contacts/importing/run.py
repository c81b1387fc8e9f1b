"""Carries an import through what it is about, and can be killed at any moment: checks, imports, takes back.

Each slice is one transaction that also advances the counts, and only while the import is this worker's own: a run that
was killed is taken up after its last committed slice, and of two workers at once only one commits.
"""

import logging
from collections.abc import Callable
from typing import Final

from django.db import OperationalError, transaction
from django.db.models import F
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from accounts.errors import Refusal
from accounts.queue import enqueue
from contacts import runs
from contacts.importing import erased, lanes, merge, read, stage, undo, wishes
from contacts.models import Import, ImportState, ImportTask

log = logging.getLogger(__name__)
JOB: Final = "contacts.jobs.run_import"
ANALYZE_PEOPLE: Final = 10_000  # a merge of so many makes the planner's statistics stale


def work(import_id: int) -> dict[str, int | str]:
    """Take up the import and carry its task to the end. Does nothing when another worker has it, or it has ended."""
    run = _claim(import_id)
    if run is None:
        return {"import": import_id, "outcome": "not mine"}
    try:
        TASKS[ImportTask(run.task)](run)
        outcome = "done"
    except runs.Stopped:
        outcome = "stopped"
    except Refusal as refusal:
        outcome = _fail(run, refusal.message)
    except OSError:
        log.exception("import.file_lost import=%s", run.pk)
        outcome = _fail(run, "The uploaded file can no longer be read. Upload it again.")
    except runs.Leaving:
        outcome = _leave(run)
    except (OperationalError, JobTimeoutException):
        raise  # the database went away, or RQ's hour is over: the clock queues the run again
    except Exception:
        _fail(run, f"Something unexpected stopped it: {WHERE[ImportTask(run.task)]} Tell your administrator.")
        raise
    log.info("import.%s import=%s task=%s people=%s", outcome, run.pk, run.task, run.people_count)
    return {"import": run.pk, "outcome": outcome, "rows": run.row_count}


def _claim(import_id: int) -> Import | None:
    claimed = runs.claim(Import, import_id)
    return Import.objects.select_related("workspace", "created_by").get(pk=import_id) if claimed else None


def _leave(run: Import) -> str:
    """Let the next worker go on where this one, told to stop, has ended."""
    with transaction.atomic():
        if runs.mine(run).update(state=ImportState.QUEUED):
            enqueue(JOB, queue="bulk", import_id=run.pk)
    return "left"


def _fail(run: Import, message: str) -> str:
    """End what cannot go on, with the reason in words; a failed check goes back to the columns."""
    if run.task != ImportTask.CHECK:
        return runs.fail(run, message)
    runs.mine(run).update(state=ImportState.MAPPING, error=message, total_count=0, done_count=0)
    return runs.FAILED


def _check(run: Import) -> None:
    read.read(run)
    told: list[merge.Counts] = []
    wanted, run.findings["new_tags"] = wishes.of_check(run)
    runs.alive(run, total_count=run.people_count, done_count=0)

    def count(number: int) -> None:
        counted = merge.count(wanted, number)
        runs.alive(run, done_count=F("done_count") + counted.created + counted.updated + counted.unchanged)
        told.append(counted)

    lanes.each(range(stage.last_position(run.pk) // stage.SLICE_ROWS + 1), count)
    counts = {f"{name}_count": count for name, count in sum(told, merge.Counts())._asdict().items()}
    runs.alive(run, state=ImportState.CHECKED, findings=run.findings, error="", **counts)


def _import(run: Import) -> None:
    if stage.size(run.pk) != run.people_count:  # a crash of the server emptied it
        read.read(run)
        done_count = F("created_count") + F("updated_count") + F("unchanged_count")
        runs.alive(run, total_count=run.people_count, done_count=done_count)
    tag_ids = wishes.made_tags(run)
    run.findings["tag_ids"] = sorted(tag_ids.values())
    runs.alive(run, findings=run.findings)
    done = set(run.slices.values_list("number", flat=True))
    every = range(stage.last_position(run.pk) // stage.SLICE_ROWS + 1)
    lanes.each([number for number in every if number not in done], lambda number: _take(run, number, tag_ids))
    if run.people_count >= ANALYZE_PEOPLE:
        merge.analyze()
    now = timezone.now()
    runs.alive(run, state=ImportState.DONE, finished_at=now, done_count=F("total_count"))
    stage.drop(run.pk)
    run.file.storage.delete(
        run.file.name or ""
    )  # what was in it is in the contacts, or among the refused rows


def _take(run: Import, number: int, tag_ids: dict[str, int]) -> None:
    """Merge one slice, and count it. Raises: Stopped, with nothing of it done."""
    if not runs.mine(run).exists():  # asked without a lock: the two lanes write side by side
        raise runs.Stopped
    wanted = wishes.of_import(run, tag_ids)
    refused = erased.refuse(run, number)
    counts = merge.merge(wanted, number, {"mark": run.started_at, "source": run.consent_source})
    done = counts.created + counts.updated + counts.unchanged
    runs.alive(
        run,
        done_count=F("done_count") + done,
        people_count=F("people_count") - refused,
        refused_count=F("refused_count") + refused,
        **{f"{name}_count": F(f"{name}_count") + count for name, count in counts._asdict().items()},
    )


TASKS: Final[dict[ImportTask, Callable[[Import], None]]] = {
    ImportTask.CHECK: _check,
    ImportTask.IMPORT: _import,
    ImportTask.UNDO: undo.take_back,
    ImportTask.CANCEL: undo.take_back,
}
WHERE: Final = {
    ImportTask.CHECK: "nothing was imported.",
    ImportTask.IMPORT: "the people before were taken.",
    ImportTask.UNDO: "some of it was undone. Undo it again.",
    ImportTask.CANCEL: "some of it was taken back. Undo the rest.",
}
