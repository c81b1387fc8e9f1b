"""Uploading a file, starting its import, cancelling it, and bringing back what fell silent."""

import datetime
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.core.files import File
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from contacts import runs
from contacts.importing import reader
from contacts.importing.columns import key_of
from contacts.models import CustomField, Import, ImportState, List

JOB = "contacts.jobs.run_import"
KEEP_DAYS = 7  # a file that nobody went on with
OPEN = (ImportState.QUEUED, ImportState.RUNNING)


@dataclass(frozen=True)
class NewField:
    """A custom field that a column makes."""

    label: str
    type: str


@dataclass(frozen=True)
class Plan:
    """What the person chose. columns: for each one a role as in `Import.mapping`, or the field it makes."""

    reading: reader.Reading
    columns: Sequence[str | NewField]
    lists: Sequence[List] = ()
    new_list: str = ""
    consent_note: str = ""


def upload(file: File, *, workspace: Workspace, by: User) -> Import:
    """Keep the file, a workbook as CSV for each sheet, with guesses at how it reads.

    Raises: NotAFile: empty, no text nor workbook nor ZIP of one, or without rows.
    """
    name = (file.name or "contacts.csv").replace("\0", "")[-255:]
    with reader.unpacked(file) as plain:
        assert plain.file is not None
        reading = reader.guess(plain.file)  # type: ignore[arg-type]
        plain.seek(0)
        run = Import(workspace=workspace, file_name=name, created_by=by, **_columns(reading))
        run.file.save(f"{uuid.uuid4().hex}.{'zip' if reading.sheet else 'csv'}", plain, save=False)
    try:
        _keep(run, by)
    except BaseException:
        run.file.storage.delete(run.file.name or "")
        raise
    return run


@transaction.atomic(durable=True)
def _keep(run: Import, by: User) -> None:
    run.save()
    record(by, "import.uploaded", run)


@transaction.atomic(durable=True)
def start(run: Import, plan: Plan, *, by: User) -> None:
    """Queue the import with the columns, lists and consent that the person chose.

    Raises: WrongState: it was started before.
    """
    now = timezone.now()
    waiting = Import.objects.filter(pk=run.pk, state=ImportState.MAPPING)
    if not waiting.update(state=ImportState.QUEUED, progress_at=now, consent_note=plan.consent_note):
        raise WrongState("This import was started before. Upload the file again to import it once more.")
    lists = [*plan.lists, *_new_list(run.workspace, plan.new_list, by)]
    run.lists.set(lists)
    mapping = _with_fields(run.workspace, plan.columns, by)
    Import.objects.filter(pk=run.pk).update(mapping=mapping, list_count=len(lists), **_columns(plan.reading))
    record(by, "import.started", run)
    _queue(run.pk)


@transaction.atomic(durable=True)
def cancel(run: Import, *, by: User) -> None:
    """Stop before the next chunk; what was taken stays, and the file is deleted.

    Raises: WrongState: it has ended.
    """
    stopping = Import.objects.filter(pk=run.pk, state__in=(ImportState.MAPPING, *OPEN))
    if not stopping.update(state=ImportState.CANCELED, finished_at=timezone.now()):
        raise WrongState("This import has ended already.")
    record(by, "import.canceled", run)
    transaction.on_commit(lambda: run.file.storage.delete(run.file.name or ""), robust=True)


def requeue_silent() -> int:
    """Take up again what gave no sign of life for a minute. Returns how many."""
    return runs.requeue_silent(Import, _queue)


def _queue(pk: int) -> None:
    enqueue(JOB, queue="bulk", import_id=pk)


def forget_abandoned() -> int:
    """Give up what nobody went on with for KEEP_DAYS, and delete what failed by then: files are people's data."""
    before = timezone.now() - datetime.timedelta(days=KEEP_DAYS)
    old = Import.objects.filter(
        state__in=(ImportState.MAPPING, ImportState.FAILED), created_at__lt=before
    ).exclude(file="")
    count = 0
    for run in old[:100]:
        ends_as = ImportState.CANCELED if run.state == ImportState.MAPPING else ImportState.FAILED
        if old.filter(pk=run.pk, state=run.state).update(state=ends_as, file=""):
            run.file.storage.delete(run.file.name or "")
            count += 1
    return count


def _columns(reading: reader.Reading) -> dict[str, str | bool]:
    return {
        "encoding": reading.encoding,
        "delimiter": reading.delimiter,
        "has_header": reading.has_header,
        "notation": reading.notation,
        "sheet": reading.sheet,
    }


def _new_list(workspace: Workspace, name: str, by: User) -> list[List]:
    if not name:
        return []
    try:
        with transaction.atomic():
            made = List.objects.create(workspace=workspace, name=name)
    except IntegrityError as error:  # somebody made it since the form was checked
        raise Refusal(f"There is a list “{name}” already; choose it among the lists.", status=409) from error
    record(by, "list.created", made)
    return [made]


def _with_fields(workspace: Workspace, columns: Sequence[str | NewField], by: User) -> list[str]:
    """The columns' roles, the fields made that are new."""
    taken = set(CustomField.objects.filter(workspace=workspace).values_list("key", flat=True))
    roles = []
    for column in columns:
        if isinstance(column, NewField):
            key = key_of(column.label, taken)
            taken.add(key)
            made = CustomField.objects.create(
                workspace=workspace, key=key, label=column.label, type=column.type
            )
            record(by, "field.created", made)
            column = f"attribute:{key}"
        roles.append(column)
    return roles
