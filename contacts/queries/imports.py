"""How imports are read: the list, one run's progress, its refused rows."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Workspace
from contacts import registry
from contacts.importing import reader
from contacts.importing.columns import Column, guess_columns
from contacts.models import (
    CustomField,
    FieldType,
    Import,
    ImportRefusal,
    ImportState,
    ImportTask,
    List,
    LongRun,
    OptIn,
    SubscriptionStatus,
)

QUIET_SECONDS: Final = 30  # without a sign of a run that a page calls silent; most steps take less
OPTIONS_SHOWN: Final = 10
REFUSALS_AT_A_GLANCE: Final = 10
LISTS_ASKED: Final = 5  # whose trouble with asking is shown; mostly all have the same


@dataclass(frozen=True)
class Pace:
    """How fast an import goes. seconds_left: None while there is nothing to reckon from. is_silent: nothing moves."""

    per_second: float
    seconds_left: int | None
    is_silent: bool = False


def recent(workspace: Workspace, search: str = "") -> QuerySet[Import]:
    """The workspace's imports, by part of the file's name; ordered by the page (`import_newest_idx`)."""
    return Import.objects.of(workspace).filter(file_name__icontains=search).select_related("created_by")


def pace(run: LongRun) -> Pace:
    """Rows, or people, a second since the start, and what is left at that pace; no guess while nothing moves."""
    now = timezone.now()
    if run.is_open and run.progress_at and (now - run.progress_at).total_seconds() > QUIET_SECONDS:
        return Pace(0, None, is_silent=True)
    is_other = isinstance(run, Import) and run.task != ImportTask.IMPORT  # it has no start of its own
    if not run.started_at or not run.done_count or is_other:
        return Pace(0, None)
    seconds = ((run.finished_at or now) - run.started_at) / datetime.timedelta(seconds=1)
    per_second = run.done_count / max(seconds, 0.1)
    return Pace(per_second, round(max(0, run.total_count - run.done_count) / per_second))


@dataclass(frozen=True)
class Outcome:
    """What a check or a run says in words. kept: (how many, why) of people that taking back left alone."""

    people: int
    new_fields: list[tuple[str, str]]
    new_tags: list[str]
    became_text: list[str]
    more_options: list[tuple[str, str]]
    changes_nothing: bool
    kept: list[tuple[int, str]]
    reasons: list[
        tuple[str, int]
    ]  # why rows are refused, the most frequent first; empty where a glance tells


KEPT: Final = {
    "kept_changed": "changed or tagged since",
    "kept_mailed": "written to since",
    "kept_on_lists": "on lists by another way, or left one since",
}


def outcome(run: Import) -> Outcome:
    """Of its row alone, and the names of fields that get more options."""
    new = [role for role in run.mapping if isinstance(role, dict)]
    options = run.findings.get("options", {})
    return Outcome(
        people=run.created_count + run.updated_count + run.unchanged_count,
        new_fields=[(role["label"], _kind(role["type"], options.get(role["key"], []))) for role in new],
        new_tags=run.findings.get("new_tags", []),
        became_text=run.findings.get("became_text", []),
        more_options=_more_options(run),
        changes_nothing=not (run.created_count or run.updated_count or run.subscribed_count),
        kept=[(count, why) for key, why in KEPT.items() if (count := run.taken_back.get(key))],
        reasons=run.findings.get("reasons", []) if run.refused_count > REFUSALS_AT_A_GLANCE else [],
    )


def filling(held: List) -> list[str]:
    """The names of the files whose imports are to put people on the list and have not ended."""
    runs = Import.objects.of(held.workspace).filter(
        lists=held, task=ImportTask.IMPORT, state__in=(ImportState.QUEUED, ImportState.RUNNING)
    )
    return list(runs.values_list("file_name", flat=True))


def unasked(run: Import) -> list[tuple[List, registry.ListNote]]:
    """What keeps the people from getting the mail that asks them to confirm. Cost: a list's notes, for few lists."""
    if run.status != SubscriptionStatus.PENDING or run.state not in (ImportState.CHECKED, ImportState.DONE):
        return []
    lists = list(run.lists.order_by("pk")[:LISTS_ASKED])
    if run.new_list and run.state == ImportState.CHECKED:
        lists.append(
            List(workspace=run.workspace, name=run.new_list, opt_in=OptIn.DOUBLE)
        )  # as it will be made
    notes = [(each, note) for each in lists for ask in registry.list_notes for note in ask(each)]
    return [(each, note) for each, note in notes if note.tone == "warning"]


def _more_options(run: Import) -> list[tuple[str, str]]:
    """(field, its new options in words)"""
    more = run.findings.get("more_options", {})
    fields = CustomField.objects.of(run.workspace).filter(key__in=more) if more else ()
    return [(field.label, _some(more[field.key])) for field in fields]


def _kind(kind: str, options: list[str]) -> str:
    """The type in words: Choice of Gold, Silver."""
    label = FieldType(kind).label
    if kind != FieldType.CHOICE:
        return label
    return f"{label} of {_some(options)}"


def _some(options: list[str]) -> str:
    more = f" and {len(options) - OPTIONS_SHOWN} more" if len(options) > OPTIONS_SHOWN else ""
    return ", ".join(options[:OPTIONS_SHOWN]) + more


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


def like(run: Import, header_mark: str) -> Import | None:
    """The workspace's last import of a file with these columns, if one went through; by `import_newest_idx`."""
    done = Import.objects.of(run.workspace).filter(state=ImportState.DONE, header_mark=header_mark)
    found: Import | None = done.order_by("-pk").first()
    return found


def sheets(run: Import) -> list[str]:
    """The sheets to choose from, where the file is a workbook whose columns are not chosen yet."""
    if not run.sheet or run.state not in (ImportState.MAPPING, ImportState.CHECKED):
        return [run.sheet] if run.sheet else []
    with reader.opened(run.file) as raw:
        return reader.sheets(raw)
