"""Imports, and the rows they refused."""

import datetime
from typing import Any, Final

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.lists import List, SubscriptionStatus
from contacts.models.runs import LongRun

# For so long an import can be undone; then what people were before, and the texts of refused rows, are deleted.
UNDO_TIME: Final = datetime.timedelta(days=7)


class ImportState(models.TextChoices):
    MAPPING = "mapping", "Waiting for the columns"
    CHECKED = "checked", "Checked"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    UNDONE = "undone", "Undone"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"


class ImportTask(models.TextChoices):
    """What an import that is queued or running is about."""

    CHECK = "check", "Checking"
    IMPORT = "import", "Importing"
    UNDO = "undo", "Undoing"
    CANCEL = "cancel", "Taking back"


class ImportMode(models.TextChoices):
    """What becomes of the fields of people who are here already."""

    FILL = "fill", "Update with filled cells"
    ADD = "add", "Only add new people"
    OVERWRITE = "overwrite", "Overwrite"


class Import(LongRun):
    """One uploaded file on its way to contacts, and back while it can be undone.

    done_count, total_count: while it is open, of what its task counts; afterwards total_count is the file's rows.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="imports")
    file = models.FileField(upload_to="imports/%Y/%m/", max_length=255)
    file_name = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.MAPPING)
    task = models.CharField(
        max_length=6, choices=ImportTask.choices, default=ImportTask.CHECK, db_default=ImportTask.CHECK
    )
    # As guessed from the file, and corrected by the person.
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=1)
    has_header = models.BooleanField(default=True)
    sheet = models.CharField(max_length=100, blank=True, db_default="")  # of a workbook
    notation = models.CharField(max_length=2, default="us")  # a key of `contacts.importing.values.NOTATIONS`
    # One entry a column: "" (left out), "email", "first_name", "last_name", "name", "tags", "consent_at",
    # "attribute:KEY", or, until the import starts, the field it will make: {"key", "label", "type"}
    mapping: Any = models.JSONField(default=list)
    # By which a file with the same columns is known; "" without a header.
    header_mark = models.CharField(max_length=64, blank=True, db_default="")
    mode = models.CharField(
        max_length=9, choices=ImportMode.choices, default=ImportMode.FILL, db_default=ImportMode.FILL
    )
    adds_options = models.BooleanField(default=False, db_default=False)  # to choices that are here already
    lists = models.ManyToManyField(List, blank=True, related_name="+")
    list_count = models.PositiveSmallIntegerField(default=0)  # as chosen; fewer left: one was deleted
    new_list = models.CharField(max_length=120, blank=True, default="", db_default="")  # made when it starts
    # What new subscriptions begin as.
    status = models.CharField(
        max_length=12,
        choices=SubscriptionStatus.choices,
        default=SubscriptionStatus.SUBSCRIBED,
        db_default=SubscriptionStatus.SUBSCRIBED,
    )
    consent_note = models.CharField(max_length=200, blank=True)
    tags: Any = models.JSONField(default=list, db_default=[])  # names, of everybody in the file
    # What reading it found: {"options": {key: [text]}, "more_options": the same of choices that were here,
    # "tags": [name of each tag in cells], "new_tags": [name], "became_text": [label]}
    findings: Any = models.JSONField(default=dict, db_default={})
    # Counts of rows.
    row_count = models.PositiveIntegerField(default=0, db_default=0)
    refused_count = models.PositiveIntegerField(default=0)
    repeated_count = models.PositiveIntegerField(default=0)  # rows whose address stood further up in the file
    extra_count = models.PositiveIntegerField(default=0)  # rows with more cells than there are columns
    # Counts of people; of what would be after the check, of what was done after the run.
    people_count = models.PositiveIntegerField(default=0, db_default=0)
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0, db_default=0)
    held_count = models.PositiveIntegerField(default=0)  # people not subscribed again
    subscribed_count = models.PositiveIntegerField(
        default=0, db_default=0
    )  # subscriptions made, of any status
    suppressed_count = models.PositiveIntegerField(default=0, db_default=0)  # people who get no mail at all
    # After undoing or cancelling: people deleted, restored and kept, {reason: count}
    taken_back: Any = models.JSONField(default=dict, db_default={})
    forgotten_at = models.DateTimeField(null=True, blank=True)  # what undoing needs was deleted

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="import_newest_idx")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def in_words(self) -> str:
        """Its state, or what it is about while it runs."""
        state, task = ImportState(self.state), ImportTask(self.task)
        return task.label if state == ImportState.RUNNING else state.label

    @property
    def consent_source(self) -> str:
        """What each new subscription's record of consent says."""
        by = f" by {self.created_by}" if self.created_by else ""
        note = f": {self.consent_note}" if self.consent_note else ""
        return f"Import of {self.file_name}{by}{note}"[:200]

    @property
    def undo_until(self) -> datetime.datetime | None:
        """None when there is nothing that could be undone."""
        ended = self.state in (ImportState.DONE, ImportState.FAILED) and self.started_at and self.row_count
        return self.finished_at + UNDO_TIME if ended and self.finished_at else None

    @property
    def was_taken_back(self) -> bool:
        """What it counted is no more, or never came to be."""
        return self.state in (ImportState.UNDONE, ImportState.CANCELED)

    @property
    def can_be_undone(self) -> bool:
        return bool(self.undo_until and not self.forgotten_at and timezone.now() < self.undo_until)


class ImportSlice(models.Model):
    """People of one slice of the file who are in the contacts: the slice is done, and can be taken back."""

    pk = models.CompositePrimaryKey("run_id", "number")
    run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="slices", db_index=False)
    number = models.PositiveIntegerField()
    created_ids = ArrayField(models.BigIntegerField())  # contacts it made
    found_ids = ArrayField(models.BigIntegerField())  # contacts that were here before it

    def __str__(self) -> str:
        return f"slice {self.number} of {self.run_id}"


class ImportBefore(models.Model):
    """A contact as it was before an import changed it. No foreign keys: they cost more than the row itself."""

    pk = models.CompositePrimaryKey("run_id", "contact_id")
    run = models.ForeignKey(
        Import, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    contact_id = models.BigIntegerField()
    first_name = models.CharField(max_length=120)
    last_name = models.CharField(max_length=120)
    attributes: Any = models.JSONField()
    added_tag_ids = ArrayField(models.IntegerField())
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"contact {self.contact_id} before {self.run_id}"


class ImportRefusal(models.Model):
    """A row that was not taken, with its number in the file, its text and the reason."""

    run = models.ForeignKey(Import, on_delete=models.CASCADE, related_name="refusals")
    row_number = models.PositiveIntegerField()
    text = models.TextField()
    reason = models.CharField(max_length=300)

    class Meta:
        indexes = [models.Index(fields=["run", "row_number"], name="import_refusal_idx")]

    def __str__(self) -> str:
        return f"row {self.row_number}: {self.reason}"
