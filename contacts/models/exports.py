"""Exports."""

from typing import Any

from django.db import models
from django.utils.text import slugify

from accounts.models import Workspace
from contacts.models.runs import LongRun


class ExportState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Ready"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"
    EXPIRED = "expired", "Deleted"


class ExportFormat(models.TextChoices):
    CSV = "csv", "CSV"
    XLSX = "xlsx", "Excel (XLSX)"


class Export(LongRun):
    """Contacts on their way to a file."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="exports")
    name = models.CharField(max_length=200)  # what it is of, in words
    chosen: Any = models.JSONField(default=dict)  # the same for `contacts.exporting.chosen`
    format = models.CharField(max_length=4, choices=ExportFormat.choices, default=ExportFormat.CSV)
    state = models.CharField(max_length=10, choices=ExportState.choices, default=ExportState.QUEUED)
    file = models.FileField(max_length=255, blank=True)
    size = models.PositiveBigIntegerField(default=0)  # bytes

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="export_newest_idx")]

    def __str__(self) -> str:
        return self.name

    @property
    def file_name(self) -> str:
        """For the browser: what it is of, in letters that every system takes."""
        word = slugify(self.name) or "contacts"
        return f"{word[:60]}-{self.created_at:%Y-%m-%d}.{self.format}"
