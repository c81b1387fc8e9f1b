"""What is sent to whom by which account, as it was frozen at the launch, and how far it is."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import Contact, List, ScopedQuerySet
from delivery.models.accounts import SendingAccount

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
    # The accounts it was sent by before that one:
    # [{"account": name, "accepted": how many by then, "why": words, "at": when the next one took over}]
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
    # When that was: what came back of earlier messages does not count. Null: from the first one on.
    breaker_at = models.DateTimeField(null=True, blank=True)
    # Where the breaker's last minutes began, and what was done and had unsubscribed by then: see delivery.hygiene.breaker.
    window_at = models.DateTimeField(null=True, blank=True)
    window_done = models.PositiveIntegerField(default=0, db_default=0)
    window_unsubscribed = models.PositiveIntegerField(default=0, db_default=0)
    breaker_unsubscribed = models.PositiveIntegerField(default=0, db_default=0)
    # No batch is handed out before: its account cannot be reached, or its pace leaves nothing to do until then.
    due_at = models.DateTimeField(null=True, blank=True)
    # When the workspace's rule decides about those in doubt, set as it ends; and whether it tried them again already.
    doubt_due_at = models.DateTimeField(null=True, blank=True)
    doubt_retried = models.BooleanField(default=False, db_default=False)
    # A gradual start, while the rest is held back: how many it goes to first, and when the rest follows, which is known
    # once they are all out; see delivery.hygiene.gradual. 0: nobody is held back.
    first_count = models.PositiveIntegerField(default=0, db_default=0)
    rest_at = models.DateTimeField(null=True, blank=True)
    # Counters kept by settlement; total = accepted + rejected + skipped + in_doubt + canceled at the end.
    total_count = models.PositiveIntegerField(default=0)
    accepted_count = models.PositiveIntegerField(default=0)
    rejected_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    in_doubt_count = models.PositiveIntegerField(default=0)
    canceled_count = models.PositiveIntegerField(default=0)
    unsubscribed_count = models.PositiveIntegerField(default=0)
    # Kept by delivery.feedback: recipients by what came back of their message, each counted for the weightiest.
    delivered_count = models.PositiveIntegerField(default=0)
    blocked_count = models.PositiveIntegerField(default=0)
    soft_bounced_count = models.PositiveIntegerField(default=0)
    bounced_count = models.PositiveIntegerField(default=0)
    complained_count = models.PositiveIntegerField(default=0)
    # People, and how often they did; what machines did is counted apart and is nobody's.
    opened_count = models.PositiveIntegerField(default=0)
    clicked_count = models.PositiveIntegerField(default=0)
    open_total = models.PositiveIntegerField(default=0)
    click_total = models.PositiveIntegerField(default=0)
    machine_open_total = models.PositiveIntegerField(default=0)
    machine_click_total = models.PositiveIntegerField(default=0)
    # Recipients whose message was opened or clicked by anybody, person or machine.
    any_opened_count = models.PositiveIntegerField(default=0, db_default=0)
    any_clicked_count = models.PositiveIntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(default=timezone.now)
    progress_at = models.DateTimeField(default=timezone.now)  # or when it was told to go on
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScopedQuerySet.as_manager()

    class Meta:
        indexes = [
            # The sweeper's question: what is in the air?
            models.Index(fields=["id"], condition=models.Q(state="sending"), name="mailing_sending_idx"),
            models.Index(fields=["workspace", "-id"], name="mailing_newest_idx"),
            # The clock: whose messages in doubt are to be decided?
            models.Index(
                fields=["doubt_due_at"],
                condition=models.Q(doubt_due_at__isnull=False),
                name="mailing_doubt_due_idx",
            ),
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
    def sender(self) -> str:
        """Its From address."""
        return str(self.content.get("from_email", ""))

    @property
    def is_urgent(self) -> bool:
        """Whether all its turns come before those of bulk: somebody sits and waits for it."""
        return self.is_test or (self.confirms_id is not None and self.total_count <= URGENT_MOST)

    @property
    def delivered(self) -> int:
        """Accepted by the next server, and not sent back since: what rates are of."""
        returned = self.bounced_count + self.soft_bounced_count + self.blocked_count
        return max(self.accepted_count - returned, 0)

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
