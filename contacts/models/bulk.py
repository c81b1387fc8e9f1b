"""Bulk actions contacts at once, and what is kept to undo them."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Workspace
from contacts.models.runs import LongRun


class BulkAction(models.TextChoices):
    ADD_TO_LIST = "add_to_list", "Add to a list"
    REMOVE_FROM_LIST = "remove_from_list", "Take off a list"
    ADD_TAGS = "add_tags", "Add tags"
    REMOVE_TAGS = "remove_tags", "Remove tags"
    SET_FIELD = "set_field", "Set a field"
    UNSUBSCRIBE = "unsubscribe", "Unsubscribe from everything"
    SUPPRESS = "suppress", "Suppress"
    DELETE = "delete", "Delete"
    UNDO = "undo", "Undo"


class BulkState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"
    UNDONE = "undone", "Undone"


class BulkRun(LongRun):
    """One bulk action, or the undoing of one: then `undoes` says of which.

    Whom it is for is worked out when it starts, and stays: see BulkChunk. Each of total_count is done once, and
    counted as changed, as unchanged (was so before, or is gone) or as held (may not be changed).
    """

    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="bulk_runs", db_index=False
    )
    action = models.CharField(max_length=20, choices=BulkAction.choices)
    name = models.CharField(max_length=200)  # the deed in words: Add to “News”
    whom = models.CharField(max_length=200)  # those chosen in words
    chosen: Any = models.JSONField(default=dict)  # the same for `contacts.chosen`
    parameters: Any = models.JSONField(default=dict)  # ids of lists, tags and fields, a value, a note
    state = models.CharField(max_length=10, choices=BulkState.choices, default=BulkState.QUEUED)
    frozen_at = models.DateTimeField(null=True, blank=True)  # when whom it is for was worked out
    undoes = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="undoings")
    # Of people, as total and done are.
    changed_count = models.PositiveIntegerField(default=0)
    unchanged_count = models.PositiveIntegerField(default=0)
    held_count = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["workspace", "-id"], name="bulk_newest_idx")]
        constraints = [
            # Two would share its chunks, and neither count right.
            models.UniqueConstraint(
                fields=["undoes"], condition=Q(state__in=["queued", "running"]), name="one_undo_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.whom}"

    @property
    def by(self) -> str:
        """Who it was, as the records of consent say."""
        return str(self.created_by or "a former member")


class BulkChunk(models.Model):
    """Some thousand of those whom a run is for: done in one transaction, undone in one."""

    run = models.ForeignKey(BulkRun, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    number = models.PositiveIntegerField()
    contact_ids = ArrayField(models.BigIntegerField())  # ascending
    is_done = models.BooleanField(default=False)
    # What it changed, as the deed's undoing reads it, and how many people; gone once undone, or after some days.
    earlier: Any = models.JSONField(default=dict)
    kept_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_chunk_per_number")]

    def __str__(self) -> str:
        return f"{self.run} #{self.number}"
