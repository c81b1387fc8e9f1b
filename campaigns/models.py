"""Campaigns: what a marketer writes, whom it is for, when it leaves."""

from django.db import models
from django.utils import timezone

from accounts.models import User, Workspace
from contacts.models import List, ScopedQuerySet, Segment
from delivery.hygiene import standing
from delivery.models import Mailing, SendingAccount


class State(models.TextChoices):
    DRAFT = "draft", "Draft"
    SCHEDULED = "scheduled", "Scheduled"
    SENDING = "sending", "Sending"
    PAUSED = "paused", "Paused"
    SENT = "sent", "Sent"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"


ALLOWED: dict[State, frozenset[State]] = {
    State.DRAFT: frozenset({State.SCHEDULED, State.SENDING}),
    State.SCHEDULED: frozenset({State.DRAFT, State.SENDING, State.FAILED}),
    State.SENDING: frozenset({State.PAUSED, State.SENT, State.CANCELED, State.FAILED}),
    State.PAUSED: frozenset({State.SENDING, State.CANCELED, State.SENT}),
    State.SENT: frozenset({State.SENDING}),  # those not reached are tried again
    State.CANCELED: frozenset(),
    State.FAILED: frozenset({State.DRAFT}),
}


class ContentKind(models.TextChoices):
    MJML = "mjml", "MJML"
    HTML = "html", "HTML"


class Campaign(models.Model):
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="campaigns")
    name = models.CharField(max_length=150)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    state_reason = models.TextField(blank=True)  # why it is paused or failed, for a person
    # Audience
    lists = models.ManyToManyField(List, blank=True, related_name="campaigns")
    segments = models.ManyToManyField(Segment, blank=True, related_name="campaigns")
    excluded_lists = models.ManyToManyField(List, blank=True, related_name="+")
    excluded_segments = models.ManyToManyField(Segment, blank=True, related_name="+")
    # Content
    content_kind = models.CharField(max_length=4, choices=ContentKind.choices, default=ContentKind.MJML)
    content = models.TextField(blank=True)  # MJML or HTML with Liquid merge tags
    # Subject and sender
    subject = models.CharField(max_length=250, blank=True)
    preheader = models.CharField(max_length=250, blank=True)
    from_name = models.CharField(max_length=120, blank=True)
    from_email = models.EmailField(max_length=254, blank=True)
    reply_to = models.EmailField(max_length=254, blank=True)
    account = models.ForeignKey(
        SendingAccount, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    # Tracking, as far as the workspace's rules allow it
    track_opens = models.BooleanField(default=True, db_default=True)
    track_clicks = models.BooleanField(default=True, db_default=True)
    # Links tell web analytics where a visitor comes from.
    utm = models.BooleanField(default=True, db_default=True)
    utm_source = models.CharField(max_length=100, blank=True, db_default="")  # "": the workspace's name
    utm_medium = models.CharField(max_length=100, blank=True, db_default="")  # "": email
    utm_campaign = models.CharField(max_length=100, blank=True, db_default="")  # "": the campaign's name
    # Schedule
    scheduled_at = models.DateTimeField(null=True, blank=True)
    # Where it is large enough for that by the workspace's settings
    starts_gradually = models.BooleanField(default=True, db_default=True)
    mailing = models.OneToOneField(
        Mailing, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["workspace", "-id"], name="campaign_newest_idx"),
            # The clock's question every few seconds: what is due?
            models.Index(
                fields=["scheduled_at"], condition=models.Q(state="scheduled"), name="campaign_due_idx"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def trouble(self) -> str:
        """What is wrong with what came back, in words; by the mailing's counters."""
        return standing.trouble(self.mailing, self.workspace)

    @property
    def is_editable(self) -> bool:
        return self.state == State.DRAFT
