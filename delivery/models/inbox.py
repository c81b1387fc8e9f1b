"""The local inbox."""

from django.db import models
from django.utils import timezone


class InboxMessage(models.Model):
    """A message that the local SMTP inbox took; for a first run and for tests of one's own, never for strangers' mail."""

    envelope_from = models.CharField(max_length=320)
    envelope_to = models.CharField(max_length=320)
    header_from = models.CharField(
        max_length=1000, blank=True, default="", db_default=""
    )  # as people see it; the envelope's takes the bounces
    subject = models.CharField(max_length=1000)
    source = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.subject
