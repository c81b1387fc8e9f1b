"""The addresses that nothing is sent to."""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Upper
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.lists import List
from contacts.models.scoped import ScopedQuerySet


class SuppressionReason(models.TextChoices):
    MANUAL = "manual", "Added by hand"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed from everything"
    HARD_BOUNCE = "hard_bounce", "Hard bounce"
    SOFT_BOUNCE = "soft_bounce", "Soft bounces in a row"
    COMPLAINT = "complaint", "Complaint"


class Suppression(models.Model):
    """An address that nothing is sent to. Outlives the contact; checked when sending, not only when planning."""

    # Found by one_suppression_per_address, which begins with it.
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="suppressions", db_index=False
    )
    email = models.EmailField(max_length=254)  # lower case
    reason = models.CharField(max_length=12, choices=SuppressionReason.choices)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    # Of which message it came: a mailing's id, whose row is of a higher room; null where somebody put it in.
    mailing_id = models.BigIntegerField(null=True, blank=True)
    # The clock takes it off then; null: it stays. So nobody else needs to look at it.
    expires_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["workspace", "email"], name="one_suppression_per_address"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="suppression_lower_case"),
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="suppression_newest_idx"),
            GinIndex(OpClass(Upper("email"), name="gin_trgm_ops"), name="suppression_search_idx"),
            # The clock: which have expired?
            models.Index(
                fields=["expires_at"], condition=Q(expires_at__isnull=False), name="suppression_expiry_idx"
            ),
            # Those that came of a campaign's bounces, when its bounces are undone.
            models.Index(
                fields=["mailing_id", "email"],
                condition=Q(mailing_id__isnull=False),
                name="suppression_mailing_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.email


class ListSuppression(models.Model):
    """An address that one list is not sent to, as if the person had left it; other lists still reach them.

    Apart from `Suppression`, since that one is asked everywhere and this one only for a mailing's own lists.
    """

    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="list_suppressions", db_index=False
    )
    list = models.ForeignKey(
        List, on_delete=models.CASCADE, related_name="suppressions", db_index=False
    )  # found by one_suppression_per_list
    email = models.EmailField(max_length=254)  # lower case
    reason = models.CharField(max_length=12, choices=SuppressionReason.choices)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["list", "email"], name="one_suppression_per_list"),
            models.CheckConstraint(condition=Q(email=Lower("email")), name="list_suppression_lower_case"),
        ]
        indexes = [
            # The page's newest first, and one address's.
            models.Index(fields=["workspace", "-id"], name="list_suppression_newest_idx"),
            models.Index(fields=["workspace", "email"], name="list_suppression_email_idx"),
        ]

    def __str__(self) -> str:
        return self.email


class SuppressedHash(models.Model):
    """The SHA-256 of a lower-case address that nothing is sent to: all that another system's list tells of it.

    Whoever has it among the contacts is suppressed by address at the import; the rest is asked when sending.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    digest = models.BinaryField(max_length=32)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "digest"], name="one_suppressed_hash")]

    def __str__(self) -> str:
        return bytes(self.digest).hex()
