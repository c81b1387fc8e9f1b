"""Whom the workspace must not know again: erased people's addresses, as keyed hashes alone."""

from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet


class ErasedAddress(models.Model):
    """The mark of an address that was erased. It stays until the person asks to come back."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    fingerprint = models.CharField(max_length=64)  # contacts.fingerprints
    key_name = models.CharField(max_length=8)  # of the key it was made with
    erased_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "fingerprint"], name="one_mark_per_erased_address")
        ]
        indexes = [models.Index(fields=["workspace", "-id"], name="erased_newest_idx")]

    def __str__(self) -> str:
        return f"erased on {self.erased_at:%Y-%m-%d}"
