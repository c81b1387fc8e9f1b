"""Sending accounts, mailings and the ledger: one row a recipient, before anything is sent."""

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import Contact, List, ScopedQuerySet


class SendingAccount(models.Model):
    """A way out: an SMTP server or an ESP, with its limits. Secrets are encrypted at rest."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="sending_accounts")
    name = models.CharField(max_length=120)
    # "inbox", "smtp", or the name of an anymail backend: "mailgun", "amazon_ses", …
    provider = models.CharField(max_length=30)
    settings: Any = models.JSONField(default=dict)  # host, port, security, user name, region: nothing secret
    secrets = models.BinaryField(default=bytes)  # delivery.secrets: MultiFernet over JSON
    # Messages; None: as fast as it takes them. Shared by all workers; see delivery.pipeline.pace.
    rate_per_second = models.FloatField(null=True, blank=True)
    rate_per_minute = models.PositiveIntegerField(null=True, blank=True)
    rate_per_day = models.PositiveIntegerField(null=True, blank=True)
    # The daily limits of the first days, after which rate_per_day holds; empty: no warm-up.
    warm_up = ArrayField(models.PositiveIntegerField(), default=list, blank=True)
    warm_up_from = models.DateField(null=True, blank=True)  # its first day, in the workspace's zone
    # Towards one receiving domain, in messages and connections over all workers; None: no limit.
    domain_per_second = models.FloatField(null=True, blank=True)
    domain_lanes = models.PositiveSmallIntegerField(null=True, blank=True)
    lanes = models.PositiveSmallIntegerField(default=4)  # connections at once in each worker
    is_default = models.BooleanField(default=False)
    # Whether it takes over what an account that was set aside was sending, the lowest position first.
    stands_in = models.BooleanField(default=False)
    position = models.PositiveSmallIntegerField(default=0)
    # Set aside after an error that concerns the account (authentication, blocked); "" is in use.
    stopped_reason = models.TextField(blank=True)
    stopped_at = models.DateTimeField(null=True, blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    test_said = models.TextField(blank=True)  # "" after a good test
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)  # lanes kept open notice a change by it

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace"], condition=models.Q(is_default=True), name="one_default_account"
            )
        ]

    def __str__(self) -> str:
        return self.name


URGENT_MOST = 50  # recipients; a batch at least, which a worker sends in one turn


class MailingState(models.TextChoices):
    SENDING = "sending", "Sending"
    PAUSED = "paused", "Paused"
    FINISHED = "finished", "Finished"
    CANCELED = "canceled", "Canceled"


MAILING_ALLOWED: dict[MailingState, frozenset[MailingState]] = {
    MailingState.SENDING: frozenset({MailingState.PAUSED, MailingState.FINISHED, MailingState.CANCELED}),
    MailingState.PAUSED: frozenset({MailingState.SENDING, MailingState.FINISHED, MailingState.CANCELED}),
    MailingState.FINISHED: frozenset({MailingState.SENDING}),  # those not reached are tried again
    MailingState.CANCELED: frozenset(),
}


class Mailing(models.Model):
    """The unit of delivery: frozen content, a frozen audience in the ledger, an account, counters."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="mailings")
    name = models.CharField(max_length=150)
    state = models.CharField(max_length=10, choices=MailingState.choices, default=MailingState.SENDING)
    state_reason = models.TextField(blank=True)  # why it is paused or makes no progress, for a person
    trouble_since = models.DateTimeField(null=True, blank=True)  # the account cannot be reached since then
    account = models.ForeignKey(SendingAccount, on_delete=models.PROTECT, related_name="mailings")
    # The accounts it was sent by before that one: [{"account": name, "accepted": how many by then, "why": words}]
    handed_over: Any = models.JSONField(default=list, blank=True)
    # What the molds are compiled from: delivery.pipeline.mold.Content as a dict
    content: Any = models.JSONField()
    # What its messages say of the workspace, as it was at the launch: fields of delivery.pipeline.mold.Frame.
    # Empty in mailings older than this field; those say what the workspace is now.
    frame: Any = models.JSONField(default=dict, blank=True)
    # The lists it is sent to: whoever leaves them before their batch is skipped.
    list_ids = ArrayField(models.BigIntegerField(), default=list)
    is_test = models.BooleanField(
        default=False
    )  # a test send: no consent needed, not in anybody's statistics
    # The list that its recipients are asked to confirm: they are unconfirmed there, and need be on no other.
    confirms = models.ForeignKey(
        List, on_delete=models.CASCADE, null=True, blank=True, related_name="+", db_index=False
    )
    # Whose data a test send is filled in with.
    sample_contact = models.ForeignKey(
        Contact, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    batch_size = models.PositiveIntegerField(default=500)
    rate_per_second = models.FloatField(null=True, blank=True)  # its own pace, below its account's
    # What was done and rejected when somebody resumed it: the circuit breaker counts from there.
    breaker_done = models.PositiveIntegerField(default=0)
    breaker_rejected = models.PositiveIntegerField(default=0)
    # No batch is handed out before: its account cannot be reached, or its pace leaves nothing to do until then.
    due_at = models.DateTimeField(null=True, blank=True)
    # Counters kept by settlement; total = accepted + rejected + skipped + in_doubt + canceled at the end.
    total_count = models.PositiveIntegerField(default=0)
    accepted_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    in_doubt_count = models.PositiveIntegerField(default=0)
    canceled_count = models.PositiveIntegerField(default=0)
    unsubscribed_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    progress_at = models.DateTimeField(default=timezone.now)  # or when it was told to go on
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            # The sweeper's question: what is in the air?
            models.Index(fields=["id"], condition=models.Q(state="sending"), name="mailing_sending_idx"),
            models.Index(fields=["workspace", "-id"], name="mailing_newest_idx"),
            # What of a list's confirmations stands still, for its page.
            models.Index(
                fields=["confirms"],
                condition=models.Q(confirms__isnull=False, state__in=["sending", "paused"]),
                name="mailing_confirms_idx",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_urgent(self) -> bool:
        """Whether all its turns come before those of bulk: somebody sits and waits for it."""
        return self.is_test or (self.confirms_id is not None and self.total_count <= URGENT_MOST)

    @property
    def ways(self) -> list[dict[str, Any]]:
        """The accounts it was sent by in their order, each with what it had accepted and why the next took over.

        What was on its way at a change counts for the next one: what a quarter of a second sends at most.
        """
        before, ways = 0, []
        now = {"account": str(self.account), "accepted": self.accepted_count, "why": ""}
        for each in [*self.handed_over, now]:
            ways.append({**each, "accepted": each["accepted"] - before})
            before = each["accepted"]
        return ways


class BatchState(models.TextChoices):
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


class DeliveryState(models.TextChoices):
    PENDING = "pending", "Waiting"
    DEFERRED = "deferred", "Will be retried"
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Rejected"
    SKIPPED = "skipped", "Skipped"
    IN_DOUBT = "in_doubt", "In doubt"
    CANCELED = "canceled", "Canceled"


OPEN_STATES = (DeliveryState.PENDING, DeliveryState.DEFERRED)


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
            # Erasing an address: rows without a contact, few, are found by it. Costs planning nothing.
            models.Index(
                Lower("email"), condition=models.Q(contact__isnull=True), name="delivery_no_contact_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mailing_id}/{self.number}"


class Confirmation(models.Model):
    """How a list asks unconfirmed people; a list without a row asks in Volley's own words.

    subject and body are Liquid; an empty sender is the workspace's usual one.
    """

    list = models.OneToOneField(List, on_delete=models.CASCADE, related_name="+", primary_key=True)
    subject = models.CharField(max_length=250)
    body = models.TextField()
    from_name = models.CharField(max_length=120, blank=True)
    from_email = models.EmailField(max_length=254, blank=True)
    reply_to = models.EmailField(max_length=254, blank=True)
    account = models.ForeignKey(
        SendingAccount, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )

    def __str__(self) -> str:
        return self.subject


class EventKind(models.TextChoices):
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"


class Event(models.Model):
    """What a recipient did with a message, as it was noticed; written by `delivery.events`, never changed.

    The key tells the event from every other one of the workspace and begins with its time, so that one that is
    reported twice is written once, new ones stand together, and a table may be cut by workspace or by time.
    """

    pk = models.CompositePrimaryKey("workspace_id", "key")
    # No foreign key checks and none of their indexes: hundreds of rows a second arrive during a send.
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    key = models.UUIDField()  # see delivery.events.key_of
    kind = models.CharField(max_length=12, choices=EventKind.choices)
    at = models.DateTimeField()
    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    # Null once the contact is erased.
    contact = models.ForeignKey(
        Contact, on_delete=models.SET_NULL, null=True, related_name="+", db_index=False, db_constraint=False
    )
    # A scanner's or a mail program's own doing, and by which sign; kept, shown apart, in nobody's segment.
    is_machine = models.BooleanField(default=False)
    why_machine = models.CharField(max_length=40, default="", blank=True)
    url = models.CharField(max_length=2000, default="", blank=True)  # of a click: where it led to

    class Meta:
        indexes = [
            # "In the last 30 days", over everybody; index alone.
            models.Index(
                fields=["workspace", "kind", "at", "contact"],
                condition=models.Q(is_machine=False),
                name="event_lately_idx",
            ),
            # One person's newest first, and whether somebody ever did: index alone for the latter.
            models.Index(
                fields=["contact", "-at"], include=["kind", "is_machine", "mailing"], name="event_contact_idx"
            ),
            # Who did what with one mailing; index alone.
            models.Index(
                fields=["mailing", "kind", "contact"], include=["at", "is_machine"], name="event_mailing_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.mailing_id} by {self.contact_id}"


class InboxMessage(models.Model):
    """A message that the local SMTP inbox took; for a first run and for tests of one's own, never for strangers' mail."""

    envelope_from = models.CharField(max_length=320)
    envelope_to = models.CharField(max_length=320)
    subject = models.CharField(max_length=1000)
    source = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.subject
