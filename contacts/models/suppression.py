"""The addresses that nothing is sent to."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet


class SuppressionReason(models.TextChoices):
    MANUAL = "manual", "Added by hand"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed from everything"
    HARD_BOUNCE = "hard_bounce", "Hard bounce"
    COMPLAINT = "complaint", "Complaint"


class Suppression(models.Model):
    """An address that nothing is sent to. Outlives the contact; checked when sending, not only when planning."""

    workspace = models.ForeignKey(  # every index begins with it but the search's
        Workspace, on_delete=models.CASCADE, related_name="suppressions", db_index=False
    )
    email = models.EmailField(max_length=254)  # lower case
    reason = models.CharField(max_length=12, choices=SuppressionReason.choices)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "email"], name="one_suppression_per_address"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="suppression_lower_case"),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="suppression_newest_idx"),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="suppression_search_idx"),
        ]

    def __str__(self) -> str:
        return self.email
