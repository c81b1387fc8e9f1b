"""What every long job of this room keeps of itself: imports, exports, and whatever is done to many at once."""

from django.db import models
from django.utils import timezone

from accounts.models import User
from contacts.models.scoped import ScopedQuerySet


class LongRun(models.Model):
    """A job that one worker has at a time, that can be canceled, and that is taken up again when it falls silent.

    Each has a `state` of its own choices, with "queued" and "running" among them.
    """

    claim = models.UUIDField(null=True, blank=True)  # of the worker that has it
    total_count = models.PositiveIntegerField(default=0)  # 0 until it was counted
    done_count = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True, blank=True)
    progress_at = models.DateTimeField(null=True, blank=True)  # a run that fell silent is queued again
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        return self.state in ("queued", "running")  # type: ignore[attr-defined]
