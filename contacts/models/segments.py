"""Saved segments: by rules, or as a snapshot of who matched once."""

import datetime
from typing import Any, Final

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet

NEVER: Final = datetime.datetime(
    2000, 1, 1, tzinfo=datetime.UTC
)  # a time that index and comparison take as any other


class SegmentKind(models.TextChoices):
    RULES = "rules", "By rules"
    SNAPSHOT = "snapshot", "Snapshot"


class Segment(models.Model):
    """Contacts that match rules, worked out when asked (rules: see `contacts.segments`); or a snapshot.

    A snapshot's members are rows, written once by a job; until `taken_at` is set it has none yet and matches nobody.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    kind = models.CharField(
        max_length=8, choices=SegmentKind.choices, default=SegmentKind.RULES, db_default=SegmentKind.RULES
    )
    # Of a snapshot: the rules that it is, or was, taken from. Nothing else of them counts any more.
    rules: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    # Who matched when it was last counted to the end: lists of segments count nothing, a job does after each change and
    # every few hours. None: never, or changed since.
    people_count = models.PositiveIntegerField(null=True, blank=True)
    counted_at = models.DateTimeField(null=True, blank=True)
    count_asked_at = models.DateTimeField(default=NEVER)  # when a job was last asked to count it
    taken_at = models.DateTimeField(null=True, blank=True)
    taken_from = models.TextField(
        default="", db_default="", blank=True
    )  # the rules in words, as they were then

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_segment_per_name")]
        # Whose turn it is to be counted, asked by the clock at each tick.
        indexes = [models.Index(fields=["count_asked_at"], name="segment_to_count_idx")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_snapshot(self) -> bool:
        return self.kind == SegmentKind.SNAPSHOT


class SegmentMember(models.Model):
    """A contact that a snapshot holds; goes with the contact."""

    pk = models.CompositePrimaryKey("segment_id", "contact_id")
    # No foreign key checks: they would cost more than the million rows that a snapshot may be.
    segment = models.ForeignKey(
        Segment, on_delete=models.CASCADE, related_name="members", db_index=False, db_constraint=False
    )
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.CASCADE, related_name="+", db_constraint=False
    )

    def __str__(self) -> str:
        return f"{self.contact_id} in {self.segment_id}"
