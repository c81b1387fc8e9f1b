"""The ledger: one row a recipient, before anything is sent, and the batches in which workers go through it."""

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from contacts.models import Contact
from delivery.models.mailings import Mailing


class BatchState(models.TextChoices):
    HELD = (
        "held",
        "Held back",
    )  # of a gradual start: not before the first ones are out and some minutes have passed
    READY = "ready", "Ready"
    LEASED = "leased", "Leased"
    DONE = "done", "Done"


class Batch(models.Model):
    """A range of recipients' numbers: what one job works on, under a lease."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="batches")
    # Names its journal: ids come again where a database is restored, and an old journal must not be read for new.
    key = models.UUIDField(default=uuid.uuid4)
    first_number = models.PositiveIntegerField()
    last_number = models.PositiveIntegerField()
    state = models.CharField(max_length=6, choices=BatchState.choices, default=BatchState.READY)
    due_at = models.DateTimeField(default=timezone.now)  # later while its deferred recipients wait
    lease = models.UUIDField(
        null=True, blank=True
    )  # new at each claim; a stale holder's settlement finds no row
    leased_until = models.DateTimeField(null=True, blank=True)
    worker = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["mailing", "first_number"], name="batches_do_not_overlap")
        ]
        indexes = [
            # Claiming the oldest ready batch of a mailing.
            models.Index(
                fields=["mailing", "due_at", "id"], condition=models.Q(state="ready"), name="batch_ready_idx"
            ),
            # The sweeper: whose lease ran out?
            models.Index(
                fields=["leased_until"], condition=models.Q(state="leased"), name="batch_leased_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mailing_id}: {self.first_number}-{self.last_number}"


class Call(models.Model):
    """A call to an ESP on its way: noted before it is made, deleted with the settlement of its recipients."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="calls")
    account_id = models.BigIntegerField()  # by which it is made; a later one may be the mailing's by then
    numbers = ArrayField(models.PositiveIntegerField())  # of the ledger, in the call's order
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.batch}: {len(self.numbers)}"


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    DEFERRED = "deferred", "Will be retried"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    SKIPPED = "skipped", "Skipped"
    IN_DOUBT = "in_doubt", "In doubt"
    CANCELED = "canceled", "Canceled"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.DEFERRED)


class Feedback(models.TextChoices):
    """What was said of a message after it was handed over; a later one in this order outweighs those before it."""

    NONE = "", "Nothing yet"
    DELIVERED = "delivered", "Delivered"
    BLOCKED = "blocked", "Blocked"
    SOFT_BOUNCED = "soft_bounced", "Soft bounce"
    BOUNCED = "bounced", "Hard bounce"
    COMPLAINED = "complained", "Complained"


# Of whoever was rejected at the hand-over they say the same again: such a one is counted as rejected alone.
SENT_BACK = (Feedback.BLOCKED, Feedback.SOFT_BOUNCED, Feedback.BOUNCED)


class Delivery(models.Model):
    """One recipient of one mailing: the ledger. The number is its place in the sending order, from 1."""

    pk = models.CompositePrimaryKey("mailing_id", "number")
    # No foreign key checks: at planning they would cost as much again as the rows (a million at once).
    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="deliveries", db_index=False, db_constraint=False
    )
    number = models.PositiveIntegerField()
    # Null once the contact is erased, and in a test send to somebody who is no contact.
    contact = models.ForeignKey(
        Contact,
        on_delete=models.SET_NULL,
        null=True,
        related_name="deliveries",
        db_index=False,
        db_constraint=False,
    )
    email = models.EmailField(max_length=254)  # "" once the person is erased
    state = models.CharField(max_length=8, choices=DeliveryState.choices, default=DeliveryState.PENDING)
    # The state of those who were not reached, else null. Indexed in place of the state, since a row of which no
    # indexed column changes is written anew beside the old one and no index with it (PostgreSQL's HOT): nearly all.
    exception = models.GeneratedField(
        expression=models.Case(
            models.When(state__in=[DeliveryState.PENDING, DeliveryState.ACCEPTED], then=None),
            default=models.F("state"),
        ),
        output_field=models.CharField(max_length=8, null=True),
        db_persist=True,
    )
    attempt_count = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True)  # of a deferred one
    deferred_since = models.DateTimeField(null=True, blank=True)  # its first deferral
    settled_at = models.DateTimeField(null=True, blank=True)
    code = models.CharField(max_length=12, default="", blank=True)  # "550 5.1.1", or the reason of a skip
    server_said = models.CharField(max_length=500, default="", blank=True)
    provider_id = models.CharField(max_length=200, default="", blank=True)  # the ESP's own id of the message
    # What came back since: the weightiest, and when that was; opened and clicked first by a person, not a machine.
    feedback = models.CharField(max_length=12, choices=Feedback.choices, db_default=Feedback.NONE, blank=True)
    feedback_at = models.DateTimeField(null=True, blank=True)
    # When the recipient's own server had it, where an ESP tells so; kept when weightier things come back later.
    delivered_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True)
    clicked_at = models.DateTimeField(null=True, blank=True)
    # Set while the person stays away by this message's link; `left` is what the link took, so that it can give it back.
    unsubscribed_at = models.DateTimeField(null=True, blank=True)
    left: Any = models.JSONField(
        null=True, blank=True
    )  # {"lists": [ids], "everything": bool, "by_hand": bool}

    class Meta:
        constraints = [
            # Nobody gets a mailing twice, whatever lists they are on. Null contacts (test sends) do not collide.
            models.UniqueConstraint(fields=["contact", "mailing"], name="one_delivery_per_contact")
        ]
        indexes = [
            # The report's list of those who were not reached; accepted ones are found by number.
            models.Index(
                fields=["mailing", "exception", "number"],
                condition=models.Q(exception__isnull=False),
                name="delivery_exception_idx",
            ),
            # The report's lists of those who opened or clicked, who are among them.
            models.Index(
                fields=["mailing", "number"],
                condition=models.Q(opened_at__isnull=False),
                name="delivery_opened_idx",
            ),
            # Erasing an address: rows without a contact, few, are found by it. Costs planning nothing.
            models.Index(
                Lower("email"), condition=models.Q(contact__isnull=True), name="delivery_no_contact_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mailing_id}/{self.number}"
