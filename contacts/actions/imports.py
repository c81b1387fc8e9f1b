"""Uploading a file; checking, starting, cancelling and undoing its import; bringing back and forgetting what is old."""

import datetime
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.core.files import File
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from contacts import runs
from contacts.importing import reader, stage, wishes
from contacts.importing.columns import key_of
from contacts.importing.merge import Counts
from contacts.importing.run import JOB
from contacts.models import (
    CustomField,
    Import,
    ImportBefore,
    ImportMode,
    ImportRefusal,
    ImportSlice,
    ImportState,
    ImportTask,
    List,
    OptIn,
    SubscriptionStatus,
)
from contacts.models.imports import UNDO_TIME

log = logging.getLogger(__name__)
KEEP_DAYS = 7  # a file that nobody went on with
FORGET_SLICES = 20  # at a tick of the clock


class NotStored(Refusal):
    code = "not_stored"
    status = 507


@dataclass(frozen=True)
class NewField:
    """A custom field that a column makes."""

    label: str
    type: str


@dataclass(frozen=True)
class Plan:
    """What the person chose. columns: for each one a role as in `Import.mapping`, or the field it makes.

    header_mark: as `Import.header_mark`. adds_options: to choices that are here. status: what new subscriptions
    begin as; tags: names, for everybody in the file.
    """

    reading: reader.Reading
    columns: Sequence[str | NewField]
    mode: str = ImportMode.FILL
    adds_options: bool = False
    lists: Sequence[List] = ()
    new_list: str = ""
    status: str = SubscriptionStatus.SUBSCRIBED
    consent_note: str = ""
    tags: Sequence[str] = ()
    header_mark: str = ""


def upload(file: File, *, workspace: Workspace, by: User) -> Import:
    """Keep the file, a workbook as CSV for each sheet, with guesses at how it reads.

    Raises: NotAFile: empty, no text nor workbook nor ZIP of one, or without rows. NotStored.
    """
    name = (file.name or "contacts.csv").replace("\0", "")[-255:]
    with reader.unpacked(file) as plain:
        assert plain.file is not None
        reading = reader.guess(plain.file)  # type: ignore[arg-type]
        plain.seek(0)
        run = Import(workspace=workspace, file_name=name, created_by=by, **_reading(reading))
        _store(run, plain, f"{uuid.uuid4().hex}.{'zip' if reading.sheet else 'csv'}")
    try:
        _keep(run, by)
    except BaseException:
        run.file.storage.delete(run.file.name or "")
        raise
    return run


def _store(run: Import, plain: File, name: str) -> None:
    """Raises: NotStored, with nothing of the file left."""
    try:
        run.file.save(name, plain, save=False)
    except OSError as error:
        log.exception("import.not_stored name=%s", name)
        run.file.storage.delete(run.file.field.generate_filename(run, name))
        raise NotStored(
            "The file could not be stored: there may be no room left. Tell your administrator."
        ) from error


@transaction.atomic(durable=True)
def _keep(run: Import, by: User) -> None:
    run.save()
    record(by, "import.uploaded", run)


@transaction.atomic(durable=True)
def check(run: Import, plan: Plan, *, by: User) -> None:
    """Queue the check of the file with the columns, lists and consent that the person chose; it changes no contact.

    Raises: WrongState: it was started, or is being checked.
    """
    waiting = Import.objects.filter(pk=run.pk, state__in=(ImportState.MAPPING, ImportState.CHECKED))
    queued = waiting.update(
        state=ImportState.QUEUED,
        task=ImportTask.CHECK,
        progress_at=timezone.now(),
        mapping=_mapping(run.workspace, plan.columns),
        header_mark=plan.header_mark,
        mode=plan.mode,
        adds_options=plan.adds_options,
        new_list=plan.new_list,
        list_count=len(plan.lists),
        status=plan.status,
        consent_note=plan.consent_note,
        tags=list(plan.tags),
        error="",
        total_count=0,
        done_count=0,
        **_reading(plan.reading),
    )
    if not queued:
        raise WrongState("This import was started before. Upload the file again to import it once more.")
    run.lists.set(plan.lists)
    record(by, "import.checked", run)
    _queue(run.pk)


@transaction.atomic(durable=True)
def start(run: Import, *, by: User) -> None:
    """Make the new fields, options and list, and queue the import as it was checked.

    Raises: WrongState: it was not checked, or started before. Refusal: a field or list was made or changed meanwhile.
    """
    now = timezone.now()
    run = Import.objects.select_for_update().select_related("workspace").get(pk=run.pk)
    if run.state != ImportState.CHECKED:
        raise WrongState("This import is not waiting to be started.")
    wishes.refuse_changed(run, CustomField.objects.filter(workspace=run.workspace_id))
    made = _new_list(run, by)
    run.lists.add(*made)
    _add_options(run, by)
    Import.objects.filter(pk=run.pk).update(
        state=ImportState.QUEUED,
        task=ImportTask.IMPORT,
        claim=None,
        progress_at=now,
        started_at=now,
        mapping=_with_fields(run, by),
        findings=run.findings,
        list_count=run.list_count + len(made),
        total_count=run.people_count,
        **dict.fromkeys(("done_count", *(f"{name}_count" for name in Counts._fields)), 0),
    )
    record(by, "import.started", run)
    _queue(run.pk)


@transaction.atomic(durable=True)
def cancel(run: Import, *, by: User) -> None:
    """Discard what was not started; stop a check; stop an import, and take back what it had done.

    Raises: WrongState: it has ended, or is being undone.
    """
    run = Import.objects.select_for_update().get(pk=run.pk)
    if run.state in (ImportState.MAPPING, ImportState.CHECKED):
        _discard(run)
    elif run.is_open and run.task == ImportTask.CHECK:
        _turn(run, state=ImportState.MAPPING)
    elif run.is_open and run.task == ImportTask.IMPORT:
        _turn(
            run, state=ImportState.QUEUED, task=ImportTask.CANCEL, total_count=F("done_count"), done_count=0
        )
        _queue(run.pk)
    else:
        raise WrongState("This import has ended already.")
    record(by, "import.canceled", run)


@transaction.atomic(durable=True)
def undo(run: Import, *, by: User) -> None:
    """Queue taking back what the import did, as long as what people were before is kept.

    Raises: WrongState: there is nothing to undo, or it is too late.
    """
    run = Import.objects.select_for_update().get(pk=run.pk)
    if not run.can_be_undone:
        raise WrongState(f"An import can be undone for {UNDO_TIME.days} days after it ended, and once.")
    done = run.created_count + run.updated_count + run.unchanged_count
    left = done - run.taken_back.get("people", 0)
    _turn(
        run,
        state=ImportState.QUEUED,
        task=ImportTask.UNDO,
        total_count=done,
        done_count=done - left,
        error="",
    )
    record(by, "import.undone", run)
    _queue(run.pk)


def _turn(run: Import, **values: Any) -> None:
    """Let it go another way; a worker that has it notices by its claim."""
    Import.objects.filter(pk=run.pk).update(claim=None, progress_at=timezone.now(), **values)


def _discard(run: Import) -> None:
    _turn(run, state=ImportState.CANCELED, finished_at=timezone.now())
    stage.drop(run.pk)
    transaction.on_commit(lambda: run.file.storage.delete(run.file.name or ""), robust=True)


def requeue_silent() -> int:
    """Take up again what gave no sign of life for a minute. Returns how many."""
    return runs.requeue_silent(Import, _queue)


def hold_unasked(why: str) -> None:
    """End what would go on to bring people who are then asked to confirm; called by delivery in its transaction."""
    asking = Import.objects.filter(
        state__in=runs.OPEN, task=ImportTask.IMPORT, status=SubscriptionStatus.PENDING
    )
    asking.update(
        state=ImportState.FAILED,
        claim=None,
        error=f"{why} Undo what was taken, or import the file again.",
        finished_at=timezone.now(),
    )


def _queue(pk: int) -> None:
    enqueue(JOB, queue="bulk", import_id=pk)


def forget_abandoned() -> int:
    """Give up what nobody went on with for KEEP_DAYS, and delete what failed by then: files are people's data."""
    before = timezone.now() - datetime.timedelta(days=KEEP_DAYS)
    waiting = (ImportState.MAPPING, ImportState.CHECKED)
    old = Import.objects.filter(state__in=(*waiting, ImportState.FAILED), created_at__lt=before).exclude(
        file=""
    )
    count = 0
    for run in old[:100]:
        ends_as = ImportState.CANCELED if run.state in waiting else ImportState.FAILED
        if old.filter(pk=run.pk, state=run.state).update(state=ends_as, file=""):
            run.file.storage.delete(run.file.name or "")
            count += 1
    return count


def forget_old() -> int:
    """Delete what people were before imports that can be undone no more, and the texts of the rows they refused.

    A few slices at a time, so that the clock goes on. Returns: how many.
    """
    before = timezone.now() - UNDO_TIME
    ended = (ImportState.DONE, ImportState.FAILED, ImportState.UNDONE, ImportState.CANCELED)
    old = Import.objects.filter(forgotten_at=None, state__in=ended, finished_at__lt=before).order_by("pk")
    slices = ImportSlice.objects.filter(run__in=old[:100])[:FORGET_SLICES]
    for each in slices:
        with transaction.atomic():
            ImportBefore.objects.filter(run=each.run_id, contact_id__in=each.found_ids).delete()
            ImportSlice.objects.filter(run=each.run_id, number=each.number).delete()
    for run in old.filter(slices=None)[:100]:
        with transaction.atomic():
            ImportRefusal.objects.filter(run=run).update(text="")
            Import.objects.filter(pk=run.pk).update(forgotten_at=timezone.now())
    return len(slices)


def drop_leftovers() -> int:
    """Drop the staging tables of imports that ended, or are no more. Returns: how many."""
    waiting = (ImportState.MAPPING, ImportState.CHECKED, ImportState.QUEUED, ImportState.RUNNING)
    there = stage.leftovers()
    needed = Import.objects.filter(pk__in=there, state__in=waiting).values_list("pk", flat=True)
    left = there - set(needed)
    for pk in left:
        stage.drop(pk)
    return len(left)


def _reading(reading: reader.Reading) -> dict[str, str | bool]:
    return {
        "encoding": reading.encoding,
        "delimiter": reading.delimiter,
        "has_header": reading.has_header,
        "notation": reading.notation,
        "sheet": reading.sheet,
    }


def _mapping(workspace: Workspace, columns: Sequence[str | NewField]) -> list[Any]:
    """The columns' roles, with keys for the fields that will be made."""
    taken = set(CustomField.objects.filter(workspace=workspace).values_list("key", flat=True))
    mapping: list[Any] = []
    for column in columns:
        if isinstance(column, NewField):
            key = key_of(column.label, taken)
            taken.add(key)
            mapping.append({"key": key, "label": column.label, "type": column.type})
        else:
            mapping.append(column)
    return mapping


def _new_list(run: Import, by: User) -> list[List]:
    """The list that the plan names, if any; where its people are to be asked, one that asks."""
    name = run.new_list
    if not name:
        return []
    opt_in = OptIn.DOUBLE if run.status == SubscriptionStatus.PENDING else OptIn.SINGLE
    try:
        with transaction.atomic():
            made = List.objects.create(workspace=run.workspace, name=name, opt_in=opt_in)
    except IntegrityError as error:  # somebody made it since the form was checked
        raise Refusal(f"There is a list “{name}” already; choose it among the lists.", status=409) from error
    record(by, "list.created", made)
    return [made]


def _with_fields(run: Import, by: User) -> list[str]:
    """The columns' roles, the fields made that are new."""
    return [role if isinstance(role, str) else _field(run, role, by) for role in run.mapping]


def _field(run: Import, new: dict[str, str], by: User) -> str:
    """The role of a field that it makes; another import of such a file may have made it meanwhile."""
    options = run.findings["options"].get(new["key"], [])
    field, is_made = CustomField.objects.get_or_create(
        workspace=run.workspace,
        key=new["key"],
        defaults={"label": new["label"], "type": new["type"], "options": options},
    )
    if is_made:
        record(by, "field.created", field)
    elif field.type != new["type"] or field.label.casefold() != new["label"].casefold():
        raise Refusal(
            f"A field with the key “{field.key}” was made meanwhile. Go back to the columns and check again.",
            status=409,
        )
    elif missing := _missing(options, field.options):
        CustomField.objects.filter(pk=field.pk).update(options=[*field.options, *missing])
    return f"attribute:{field.key}"


def _add_options(run: Import, by: User) -> None:
    """Give the choices that were here the options that the file has more; part of what must not go meanwhile."""
    more = run.findings.get("more_options", {})
    for field in CustomField.objects.of(run.workspace).filter(key__in=more).select_for_update():
        field.options = [*field.options, *_missing(more[field.key], field.options)]
        field.save(update_fields=["options"])
        run.findings["fields"][field.key][2] = field.options
        record(by, "field.changed", field)


def _missing(options: list[str], held: list[str]) -> list[str]:
    known = {option.casefold() for option in held}
    return [option for option in options if option.casefold() not in known]
