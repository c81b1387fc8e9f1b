"""Imports, and the rows they refused."""

from typing import Any

from django.db import models

from accounts.models import Workspace
from contacts.models.lists import List
from contacts.models.runs import LongRun


class ImportState(models.TextChoices):
    MAPPING = "mapping", "Waiting for the columns"
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"


class Import(LongRun):
    """One uploaded file on its way to contacts."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="imports")
    file = models.FileField(upload_to="imports/%Y/%m/", max_length=255)
    file_name = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.MAPPING)
    # As guessed from the file, and corrected by the person.
    encoding = models.CharField(max_length=20)
    delimiter = models.CharField(max_length=1)
    has_header = models.BooleanField(default=True)
    sheet = models.CharField(max_length=100, blank=True, db_default="")  # of a workbook
    notation = models.CharField(max_length=2, default="us")  # a key of `contacts.importing.values.NOTATIONS`
    # One entry a column: "" (left out), "email", "first_name", "last_name", "name", "attribute:KEY"
    mapping: Any = models.JSONField(default=list)
    lists = models.ManyToManyField(List, blank=True, related_name="+")
    list_count = models.PositiveSmallIntegerField(default=0)  # as chosen; fewer left: one was deleted
    consent_note = models.CharField(max_length=200, blank=True)
    # Counts of rows, as total and done are.
    created_count = models.PositiveIntegerField(default=0)
    updated_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0)
    repeated_count = models.PositiveIntegerField(default=0)  # rows whose address stood further up in the file
    held_count = models.PositiveIntegerField(default=0)  # people not subscribed again
    extra_count = models.PositiveIntegerField(default=0)  # rows with more cells than there are columns

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="import_newest_idx")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def consent_source(self) -> str:
        """What each new subscription's record of consent says."""
        by = f" by {self.created_by}" if self.created_by else ""
        note = f": {self.consent_note}" if self.consent_note else ""
        return f"Import of {self.file_name}{by}{note}"[:200]


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
