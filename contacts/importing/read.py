"""Reads an import's file into its staging table: cells understood, rows refused, each person once."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import takewhile
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.errors import Refusal
from contacts import runs, yielding
from contacts.importing import cells, people, reader, stage
from contacts.importing.signs import stay
from contacts.models import CustomField, FieldType, Import, ImportMode, ImportRefusal
from contacts.queries import erasure

CHUNK_ROWS: Final = 5000  # read at a time: memory stays flat
REASONS_LIMIT: Final = 100  # different ones that are told apart
REASONS_KEPT: Final = 5
_PARTICULAR: Final = re.compile(r"“[^”]*”|(?<=[Ll]ine )[\d,]+")  # in a reason, what is of its row alone


def read(run: Import) -> None:
    """Fill the staging table from the file, whatever an earlier try left there, and count what was found.

    Raises: Refusal: a field is gone, or a column cannot be tags. Stopped.
    """
    became_text: list[str] = []
    while True:
        fragments = _fragments(run, became_text)
        reasons: Counter[str] = Counter()
        try:
            _fill(run, fragments, reasons)
            break
        except cells.TooMany as found:
            if found.name == "tags":
                raise Refusal(
                    f"The column of tags holds more than {cells.TAG_LIMIT} different ones, so it seems to hold "
                    "something else. Take it as a field instead."
                ) from None
            became_text.append(found.name)
    with transaction.atomic():
        runs.alive(run)
        run.people_count = stage.fold(run.pk, to_last=run.mode == ImportMode.OVERWRITE)
        run.repeated_count = run.row_count - run.refused_count - run.people_count
        run.findings = _findings(run, fragments, became_text) | {"reasons": reasons.most_common(REASONS_KEPT)}
        counts = ("row", "extra", "refused", "repeated", "people")
        fields = {f"{name}_count": getattr(run, f"{name}_count") for name in counts}
        runs.alive(run, mapping=run.mapping, findings=run.findings, **fields)


def _fragments(run: Import, became_text: list[str]) -> dict[int, cells.Fragments]:
    """What each column with attributes, tags or times becomes, by its place."""
    own = {field.key: field for field in CustomField.objects.filter(workspace=run.workspace_id)}
    fragments: dict[int, cells.Fragments] = {}
    for index, role in enumerate(run.mapping):
        if isinstance(role, dict):
            if role["key"] in became_text:
                role["type"] = FieldType.TEXT.value
            made = CustomField(key=role["key"], label=role["label"], type=role["type"])
            fragments[index] = _attribute(made, run.notation, is_new=True)
        elif role.startswith("attribute:"):
            field = own.get(role.removeprefix("attribute:"))
            if field is None:
                raise field_is_gone(role)
            fragments[index] = _attribute(field, run.notation, grows=run.adds_options)
        elif role == "tags":
            fragments[index] = cells.Tags()
        elif role == "consent_at":
            now = run.started_at or timezone.now()  # read again, it gives the same
            fragments[index] = cells.Moments(notation=run.notation, zone=run.workspace.zone, now=now)
    return fragments


def field_is_gone(role: str) -> Refusal:
    return Refusal(
        f"The field “{role.removeprefix('attribute:')}” was deleted meanwhile. Import the file again without it."
    )


def _attribute(
    field: CustomField, notation: str, *, is_new: bool = False, grows: bool = False
) -> cells.Attribute:
    if field.type == FieldType.CHOICE and is_new:
        return cells.NewChoice(field.key, label=field.label)
    if field.type == FieldType.CHOICE:
        return cells.Choice(field.key, label=field.label, options=field.options, grows=grows)
    within = field if field.limits else None
    return cells.Attribute(field.key, label=field.label, kind=field.type, notation=notation, within=within)


def _as_they_are(run: Import) -> dict[str, Any]:
    """{key: [id, type, options]} of the fields that columns go to; see `wishes.refuse_changed`."""
    keys = [role.removeprefix("attribute:") for role in run.mapping if isinstance(role, str)]
    fields = CustomField.objects.filter(workspace=run.workspace_id, key__in=keys)
    return {field.key: [field.pk, field.type, field.options] for field in fields}


def _fill(run: Import, fragments: dict[int, cells.Fragments], reasons: Counter[str]) -> None:
    with transaction.atomic():
        runs.alive(run, done_count=0, total_count=0)
        ImportRefusal.objects.filter(run=run).delete()
        stage.create(run.pk)
    run.row_count = run.extra_count = run.refused_count = 0
    roles = ["new" if isinstance(role, dict) else role for role in run.mapping]
    columns = people.Columns(roles, fragments, run.delimiter)
    reading = reader.Reading(run.encoding, run.delimiter, run.has_header, run.notation, run.sheet)
    erased = _erased(run)
    shift = yielding.Shift()
    with reader.opened(run.file) as raw:
        rows = reader.rows(raw, reading)
        for chunk in _ahead(lambda: people.understand(reader.chunk(rows, CHUNK_ROWS), columns, erased)):
            stay()
            _add(run, chunk)
            _count_reasons(reasons, chunk.refused)
            shift.rest()


def _ahead(understood: Callable[[], people.Chunk]) -> Iterator[people.Chunk]:
    """Chunks until one has no rows, the next one understood while the database takes the last."""
    if connection.in_atomic_block:  # which another thread does not see into
        yield from takewhile(lambda chunk: chunk.row_count, iter(understood, None))
        return
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(understood)
        try:
            while (chunk := coming.result()).row_count:
                coming = thread.submit(understood)
                yield chunk
        finally:
            thread.submit(connection.close)  # that thread's own, by which it asks who was erased


def _erased(run: Import) -> Callable[[list[str]], set[str]] | None:
    """Who may not come back, of some addresses; None when nobody was ever erased."""
    if not erasure.has_any(run.workspace):
        return None
    return partial(erasure.refused_addresses, run.workspace)


def _add(run: Import, chunk: people.Chunk) -> None:
    run.row_count += chunk.row_count
    run.extra_count += chunk.extra_count
    run.refused_count += len(chunk.refused)
    with transaction.atomic():
        runs.alive(run, done_count=run.row_count)
        stage.add(run.pk, chunk.lines)
        keep_refusals(run.pk, chunk.refused)


def _count_reasons(reasons: Counter[str], refused: list[tuple[int, str, str]]) -> None:
    """Count rows by the kind of reason; of those beyond the limit nothing is said."""
    for _number, _text, reason in refused:
        kind = _PARTICULAR.sub("…", reason)
        if kind in reasons or len(reasons) < REASONS_LIMIT:
            reasons[kind] += 1


def keep_refusals(import_id: int, refused: list[tuple[int, str, str]]) -> None:
    """Write the refused rows: (number, text, reason)."""
    if not refused:
        return
    columns = "COPY contacts_importrefusal (run_id, row_number, text, reason) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(columns) as copy:
        for number, text, reason in refused:
            copy.write_row((import_id, number, text, reason))


def _findings(run: Import, fragments: dict[int, cells.Fragments], became_text: list[str]) -> dict[str, Any]:
    labels = {role["key"]: role["label"] for role in run.mapping if isinstance(role, dict)}
    tags = next((each.names for each in fragments.values() if isinstance(each, cells.Tags)), [])
    return {
        "fields": _as_they_are(run),
        "options": cells.options_of(fragments),
        "more_options": cells.more_options_of(fragments),
        "tags": tags,
        "became_text": [labels[key] for key in became_text],
    }
