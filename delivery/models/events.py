"""What came back of what was sent."""

from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import Contact
from delivery.models.accounts import SendingAccount
from delivery.models.mailings import Mailing


class EventKind(models.TextChoices):
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    BOUNCED = "bounced", "Hard bounce"
    SOFT_BOUNCED = "soft_bounced", "Soft bounce"
    BLOCKED = "blocked", "Blocked"
    COMPLAINED = "complained", "Complained"
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"


class Event(models.Model):
    """What came back of one message: what its recipient did, or what a server said later than at the hand-over.

    Written by `delivery.feedback`, never changed but for `undone_at` and, by a later sign, the verdict; deliveries that
    went well stand in the ledger alone.

    The key tells the event from every other one of the workspace and begins with its time, so that one that is
    reported twice is written once, new ones stand together, and a table may be cut by workspace or by time.
    """

    pk = models.CompositePrimaryKey("workspace_id", "key")
    # No foreign key checks and none of their indexes: hundreds of rows a second arrive during a send.
    workspace = models.ForeignKey(
        Workspace, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    key = models.UUIDField()  # see delivery.feedback.facts.key_of
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
    number = models.PositiveIntegerField(null=True, blank=True)  # in the ledger; null where nobody is named
    code = models.CharField(max_length=12, db_default="", blank=True)  # of a bounce: "5.1.1"
    said = models.CharField(max_length=500, db_default="", blank=True)  # of a bounce: the server's words
    # Somebody took it back, as when one's own server was listed: it counts for no suppression and no breaker.
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            # The list of bounces, newest first; costs those alone.
            models.Index(
                fields=["workspace", "-key"],
                condition=models.Q(kind__in=["bounced", "soft_bounced", "blocked", "complained"]),
                name="event_came_back_idx",
            ),
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


class Stray(models.Model):
    """Something that came back and names no message of ours, kept so that it is seen; the oldest make room."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+")
    account = models.ForeignKey(SendingAccount, on_delete=models.CASCADE, related_name="strays", null=True)
    kind = models.CharField(max_length=12)
    at = models.DateTimeField()
    key = models.UUIDField()
    email = models.CharField(max_length=254, blank=True)
    code = models.CharField(max_length=12, db_default="", blank=True)
    said = models.CharField(max_length=500, blank=True)
    # The provider's, by which it may be found once the ledger has it: see delivery.hooks.strays.
    message_id = models.CharField(max_length=200, db_default="", blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "key"], name="stray_once")]

    def __str__(self) -> str:
        return f"{self.kind} {self.email}"


class Incoming(models.Model):
    """What waits to be read while Redis cannot take it: see `delivery.feedback.stream`."""

    stream = models.CharField(max_length=20)
    data = models.BinaryField()
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.stream} {self.pk}"
