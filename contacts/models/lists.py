"""Lists, and who is on them by which consent."""

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Workspace
from contacts.models.scoped import ScopedQuerySet


class OptIn(models.TextChoices):
    SINGLE = "single", "Single: subscribed at once"
    DOUBLE = "double", "Double: subscribed once they confirm by a link in a mail"


class List(models.Model):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="lists")
    name = models.CharField(max_length=120)
    description = models.TextField(blank=True)
    # What a subscription by a form or an import of unconfirmed people takes.
    opt_in = models.CharField(max_length=6, choices=OptIn.choices, default=OptIn.SINGLE)
    created_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_list_per_name")]

    def __str__(self) -> str:
        return self.name


class SubscriptionStatus(models.TextChoices):
    PENDING = "pending", "Unconfirmed"
    SUBSCRIBED = "subscribed", "Subscribed"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"


TAKEN_OFF = "Taken off by hand by"  # how the source of an unsubscription begins that was not the person's own


class Subscription(models.Model):
    """A contact on a list, with the record of consent: when, where from, in what words."""

    # Two indexes less: subscription_list_idx begins with the workspace, one_subscription_per_list with the contact.
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.CASCADE, related_name="subscriptions", db_index=False
    )
    list = models.ForeignKey(List, on_delete=models.CASCADE, related_name="subscriptions")
    status = models.CharField(max_length=12, choices=SubscriptionStatus.choices)
    consent_source = models.CharField(max_length=200, blank=True)  # "Import of customers.csv by Alice"
    consent_at = models.DateTimeField(null=True, blank=True)
    consent_ip = models.GenericIPAddressField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    unsubscribe_source = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="one_subscription_per_list")]
        indexes = [
            # Audience and counts of a list by status.
            models.Index(fields=["workspace", "list", "status", "contact"], name="subscription_list_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.contact} on {self.list}: {self.status}"

    @property
    def left_by_themselves(self) -> bool:
        """Whether it was the person who ended it; nobody puts them back without their asking."""
        is_over = self.status == SubscriptionStatus.UNSUBSCRIBED
        return is_over and not self.unsubscribe_source.startswith(TAKEN_OFF)
