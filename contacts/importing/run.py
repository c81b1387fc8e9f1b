"""Runs an import: claims it, streams its file in chunks, and can be killed at any moment.

Each chunk is one transaction that also advances `done_count`, under a lock on the import's row: a
run that was killed is taken up after its last committed row, and of two runs at once only one commits.
"""

import logging
from collections.abc import Iterator
from itertools import islice
from typing import Final

from django.db import OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.errors import Refusal
from contacts import runs, yielding
from contacts.importing import merge, people, reader
from contacts.models import CustomField, Import, ImportState

log = logging.getLogger(__name__)
CHUNK_ROWS: Final = 5000  # a fraction of a second each: progress is fine-grained, cancel is quick
ANALYZE_ROWS: Final = 10_000  # a merge of so many makes the planner's statistics stale
COUNT_ROWS: Final = 100_000  # rows counted between two signs of life


def work(import_id: int) -> dict[str, int | str]:
    """Take up the import and carry it to its end. Does nothing when another run has it, or it has ended."""
    run = _claim(import_id)
    if run is None:
        return {"import": import_id, "outcome": "not mine"}
    try:
        _read_all(run)
        outcome = "done"
    except runs.Stopped:
        outcome = "stopped"
    except Refusal as refusal:
        outcome = fail(run, refusal.message)
    except OSError:
        log.exception("import.file_lost import=%s", run.pk)
        outcome = fail(run, "The uploaded file can no longer be read. Upload it again.")
    except OperationalError:
        raise  # the database went away or chose a victim: the clock queues the run again
    except Exception:
        fail(
            run,
            "Something unexpected stopped the import. The rows before were taken; tell your administrator.",
        )
        raise
    log.info("import.%s import=%s rows=%s refused=%s", outcome, run.pk, run.done_count, run.refused_count)
    return {"import": run.pk, "outcome": outcome, "rows": run.done_count}


def fail(run: Import, message: str) -> str:
    """End a run that has not ended, with the reason in words for its page."""
    open_run = Import.objects.filter(pk=run.pk, state__in=(ImportState.QUEUED, ImportState.RUNNING))
    open_run.update(state=ImportState.FAILED, error=message, finished_at=timezone.now())
    return "failed"


def _claim(import_id: int) -> Import | None:
    now = timezone.now()
    claimed = Import.objects.filter(runs.is_free(now), pk=import_id).update(
        state=ImportState.RUNNING, progress_at=now, started_at=Coalesce(F("started_at"), now)
    )
    return Import.objects.select_related("workspace", "created_by").get(pk=import_id) if claimed else None


def _read_all(run: Import) -> None:
    reading = reader.Reading(run.encoding, run.delimiter, run.has_header, run.notation, run.sheet)
    with reader.opened(run.file) as raw:
        if not run.total_count:
            _count(run, reader.rows(raw, reading))
        rows = islice(reader.rows(raw, reading), run.done_count, None)
        shift = yielding.Shift()
        while chunk := reader.chunk(rows, CHUNK_ROWS):
            _take(run, chunk, reading)
            shift.rest()
    if run.done_count >= ANALYZE_ROWS:
        merge.analyze()
    done = Import.objects.filter(pk=run.pk, state=ImportState.RUNNING, done_count=run.done_count)
    if not done.update(state=ImportState.DONE, finished_at=timezone.now()):
        raise runs.Stopped
    run.file.storage.delete(
        run.file.name or ""
    )  # what was in it is in the contacts now, or among the refused rows


def _count(run: Import, rows: Iterator[reader.Record]) -> None:
    counted = 0
    while block := sum(1 for _ in islice(rows, COUNT_ROWS)):
        counted += block
        _alive(run, total_count=counted)


def _alive(run: Import, **values: int) -> None:
    mine = Import.objects.filter(pk=run.pk, state=ImportState.RUNNING, done_count=run.done_count)
    if not mine.update(progress_at=timezone.now(), **values):
        raise runs.Stopped


def _take(run: Import, rows: list[reader.Record], reading: reader.Reading) -> None:
    chunk = people.understand(rows, run.mapping, _types(run), reading)
    with transaction.atomic():
        mine = Import.objects.select_for_update(no_key=True).filter(state=ImportState.RUNNING)
        if not mine.filter(pk=run.pk, done_count=run.done_count).exists():
            raise runs.Stopped
        merged = merge.merge(
            chunk,
            workspace_id=run.workspace_id,
            list_ids=_list_ids(run),
            consent_source=run.consent_source,
            mark=run.started_at or timezone.now(),
        )
        merge.keep_refusals(chunk, import_id=run.pk)
        _advance(run, chunk, merged)


def _advance(run: Import, chunk: people.Chunk, merged: merge.Merged) -> None:
    run.done_count += chunk.row_count
    run.refused_count += len(chunk.refused)
    run.extra_count += chunk.extra_count
    run.repeated_count += chunk.repeated_count + merged.repeated
    run.created_count += merged.created
    run.updated_count += merged.updated
    run.held_count += merged.held
    run.progress_at = timezone.now()
    counts = ("done", "refused", "extra", "repeated", "created", "updated", "held")
    run.save(update_fields=["progress_at", *(f"{name}_count" for name in counts)])


def _types(run: Import) -> dict[str, str]:
    """{field key: type} of the fields that the columns go to; one may be deleted while the import runs."""
    wanted = {role.removeprefix("attribute:") for role in run.mapping if role.startswith("attribute:")}
    types = dict(
        CustomField.objects.filter(workspace=run.workspace_id, key__in=wanted).values_list("key", "type")
    )
    if missing := wanted - types.keys():
        raise Refusal(
            f"The field “{min(missing)}” was deleted, so the rest of the file was not taken. "
            "Import the file again without it."
        )
    return types


def _list_ids(run: Import) -> list[int]:
    found = sorted(run.lists.values_list("pk", flat=True))
    if len(found) != run.list_count:
        raise Refusal(
            "A list that this import was to fill was deleted, so the rest of the file was not taken. "
            "Import the file again and choose another list."
        )
    return found
