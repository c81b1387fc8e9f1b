"""How imports are read: the list, one run's progress, its refused rows."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Workspace
from contacts.importing import reader
from contacts.importing.columns import Column, guess_columns
from contacts.models import CustomField, Import, ImportRefusal, ImportState, LongRun


@dataclass(frozen=True)
class Pace:
    """How fast a run goes. seconds_left: None while there is nothing to reckon from."""

    per_second: float
    seconds_left: int | None


def recent(workspace: Workspace, search: str = "") -> QuerySet[Import]:
    """The workspace's imports, by part of the file's name; ordered by the page (`import_newest_idx`)."""
    return Import.objects.of(workspace).filter(file_name__icontains=search).select_related("created_by")


def pace(run: LongRun) -> Pace:
    """Rows, or people, a second since the start, and what is left at that pace."""
    if not run.started_at or not run.done_count:
        return Pace(0, None)
    seconds = ((run.finished_at or timezone.now()) - run.started_at) / datetime.timedelta(seconds=1)
    per_second = run.done_count / max(seconds, 0.1)
    return Pace(per_second, round(max(0, run.total_count - run.done_count) / per_second))


def refusals(run: Import) -> QuerySet[ImportRefusal]:
    """The refused rows, by `import_refusal_idx` in the order of the file."""
    return ImportRefusal.objects.filter(run=run)


def refused_rows(run: Import) -> Iterator[tuple[int, str, str]]:
    """(row number, reason, text) of every refused row, streamed in the order of the file."""
    rows = refusals(run).order_by("row_number", "pk").values_list("row_number", "reason", "text")
    return rows.iterator(chunk_size=5000)


def columns(run: Import, reading: reader.Reading) -> list[Column]:
    """The file's columns read this way, with examples and guesses. Cost: the file's first rows."""
    with reader.opened(run.file) as raw:
        header, sample = reader.header_and_sample(raw, reading)
    fields = CustomField.objects.of(run.workspace)
    return guess_columns(header, sample, fields, reading.notation)[: reader.COLUMN_LIMIT]


def sheets(run: Import) -> list[str]:
    """The sheets to choose from, where the file is a workbook whose columns are not chosen yet."""
    if not run.sheet or run.state != ImportState.MAPPING:
        return [run.sheet] if run.sheet else []
    with reader.opened(run.file) as raw:
        return reader.sheets(raw)
