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
    # Whether people may choose it in the preference centre, and what it is called and about there ("": the name).
    is_public = models.BooleanField(default=False, db_default=False)
    public_name = models.CharField(max_length=120, blank=True, default="", db_default="")
    public_description = models.CharField(max_length=300, blank=True, default="", db_default="")
    created_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)
    # People by status when the clock last folded `ListChange` into them; contacts.queries.lists.counts adds the rest.
    subscribed_count = models.PositiveIntegerField(default=0, db_default=0)
    pending_count = models.PositiveIntegerField(default=0, db_default=0)
    unsubscribed_count = models.PositiveIntegerField(default=0, db_default=0)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint("workspace", Lower("name"), name="one_list_per_name")]

    def __str__(self) -> str:
        return self.name

    @property
    def shown_name(self) -> str:
        """As its people know it."""
        return self.public_name or self.name


class SubscriptionStatus(models.TextChoices):
    PENDING = "pending", "Unconfirmed"
    SUBSCRIBED = "subscribed", "Subscribed"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"


TAKEN_OFF = "Taken off by hand by"  # how the source of an unsubscription begins that was not the person's own


class Subscription(models.Model):
    """A contact on a list, with the record of consent: when, where from, in what words."""

    # Those two are found by subscription_list_idx and one_subscription_per_list, which begin with them. That the list
    # is there, and of the workspace, is checked by triggers, once a statement (migration 0020).
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    contact = models.ForeignKey(
        "contacts.Contact", on_delete=models.CASCADE, related_name="subscriptions", db_index=False
    )
    list = models.ForeignKey(
        List, on_delete=models.CASCADE, related_name="subscriptions", db_constraint=False
    )
    status = models.CharField(max_length=12, choices=SubscriptionStatus.choices)
    consent_source = models.CharField(max_length=200, blank=True)  # "Import of customers.csv by Alice"
    consent_at = models.DateTimeField(null=True, blank=True)
    consent_ip = models.GenericIPAddressField(null=True, blank=True)
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    unsubscribe_source = models.CharField(max_length=200, blank=True)
    # Of somebody unconfirmed: the last mail that asked them, and how many did. Null: the next tick asks.
    confirmation_asked_at = models.DateTimeField(null=True, blank=True)
    confirmation_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["contact", "list"], name="one_subscription_per_list")]
        indexes = [
            # Audience and counts of a list by status.
            models.Index(fields=["workspace", "list", "status", "contact"], name="subscription_list_idx"),
            # The clock's question every few seconds: who has not been asked to confirm?
            models.Index(
                fields=["list", "id"],
                condition=models.Q(status="pending", confirmation_asked_at__isnull=True),
                name="subscription_unasked_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.contact} on {self.list}: {self.status}"

    @property
    def left_by_themselves(self) -> bool:
        """Whether it was the person who ended it; nobody puts them back without their asking."""
        is_over = self.status == SubscriptionStatus.UNSUBSCRIBED
        return is_over and not self.unsubscribe_source.startswith(TAKEN_OFF)
