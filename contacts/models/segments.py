"""Saved segments."""

from typing import Any

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet


class Segment(models.Model):
    """Contacts that match rules, worked out when asked. rules: see `contacts.segments`."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="segments")
    name = models.CharField(max_length=120)
    rules: Any = models.JSONField(default=dict)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_segment_per_name")]

    def __str__(self) -> str:
        return self.name
