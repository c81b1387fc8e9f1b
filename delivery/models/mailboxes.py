"""The mailboxes that bounces arrive in."""

from typing import Any

from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import ScopedQuerySet


class Protocol(models.TextChoices):
    IMAP = "imap", "IMAP"
    POP3 = "pop3", "POP3"


class Mailbox(models.Model):
    """A mailbox that Volley reads: bounces, complaints, and mails of those who want to leave. The password is encrypted."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="mailboxes")
    name = models.CharField(max_length=120)
    protocol = models.CharField(max_length=4, choices=Protocol.choices, default=Protocol.IMAP)
    host = models.CharField(max_length=253)
    port = models.PositiveIntegerField()
    security = models.CharField(max_length=8)  # "tls", "starttls" or "none"
    user = models.CharField(max_length=300)
    secrets = models.BinaryField(default=bytes)  # delivery.secrets
    # Of Microsoft 365: the directory, and its application as which it is read; the password is that one's secret.
    tenant = models.CharField(max_length=100, blank=True, default="", db_default="")
    client_id = models.CharField(max_length=100, blank=True, default="", db_default="")
    folder = models.CharField(max_length=200, default="INBOX")
    # Its own, where it takes plus addresses: mails to leave may go there.
    address = models.CharField(max_length=254, blank=True)
    deletes = models.BooleanField(default=True)  # what was understood; what was not stays where it is
    place: Any = models.JSONField(
        default=dict
    )  # how far it was read; the protocol's own, see bounces.protocols
    due_at = models.DateTimeField(default=timezone.now, null=True)  # null: not by itself, see trouble
    leased_until = models.DateTimeField(null=True, blank=True)  # while a worker reads it
    read_at = models.DateTimeField(null=True, blank=True)
    trouble = models.TextField(blank=True)  # why it could not be read the last time; "" where it could
    tested_at = models.DateTimeField(null=True, blank=True)
    test_said = models.TextField(blank=True)  # "" after a good test
    # Messages read so far, by what they were.
    bounce_count = models.PositiveIntegerField(default=0)
    complaint_count = models.PositiveIntegerField(default=0)
    leave_count = models.PositiveIntegerField(default=0)
    notice_count = models.PositiveIntegerField(
        default=0
    )  # auto-replies, delays and receipts for messages of ours
    other_count = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "protocol", "host", "user", "folder"], name="mailbox_once"
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="mailbox_due_idx")]  # the clock: whose turn is it?

    def __str__(self) -> str:
        return self.name
