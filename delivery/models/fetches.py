"""Fetches: a provider's own suppression lists on their way into the workspace's."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models import Workspace
from contacts.models import LongRun
from delivery.models.accounts import SendingAccount


class FetchState(models.TextChoices):
    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    CANCELED = "canceled", "Canceled"
    FAILED = "failed", "Failed"


class SuppressionFetch(LongRun):
    """Whom a sending account's provider sends nothing to, read page by page; done_count: entries that came so far.

    While it is queued again after trouble, `error` has the words and progress_at is when it may go on, see
    `delivery.fetching.run`.
    """

    # Found by its account.
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="+", db_index=False)
    account = models.ForeignKey(
        SendingAccount, on_delete=models.CASCADE, related_name="fetches", db_index=False
    )
    state = models.CharField(max_length=10, choices=FetchState.choices, default=FetchState.QUEUED)
    lists_left = ArrayField(models.CharField(max_length=300))  # the one that is being read first
    next_page = models.TextField(blank=True)  # of that one, as its source names it; "": its first
    try_count = models.PositiveSmallIntegerField(default=0)  # in a row that brought nothing
    new_count = models.PositiveIntegerField(default=0)  # or have a weightier reason now
    left_out_count = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="fetch_newest_idx")]
        constraints = [
            models.UniqueConstraint(
                fields=["account"], condition=Q(state__in=["queued", "running"]), name="one_fetch_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return str(self.account)
