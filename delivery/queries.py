"""How deliveries are read: progress for the monitor, the ledger for the report."""

from dataclasses import dataclass, field
from datetime import timedelta

from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Upper
from django.utils import timezone

from accounts.models import Workspace
from accounts.queue import workers_alive
from delivery import days
from delivery.hygiene import gradual
from delivery.mailings import open_count
from delivery.models import Batch, BatchState, Delivery, DeliveryState, Mailing, MailingState
from delivery.pipeline import lease, meter, pace
from delivery.pipeline.again import RETRYABLE

ERROR_GROUPS = 10
ERRORS_READ = 20_000  # rows; beyond, the groups are of the first ones
LATE = timedelta(minutes=1)  # after which a mailing with something to do, of which nothing moves, is late

DID = {"opened": "Opened", "clicked": "Clicked"}  # what people did, beside the states

STANDS_STILL = (
    "Nothing of it has moved for more than a minute, although it is its turn. "
    "Are there enough sending workers? An admin sees what is at work under Operations."
)

# Equal complaints meet: the recipient's address and what servers number their answers with (a token of eight
# letters or more with a digit in it) are left out of the comparison; one answer is shown for all. What it said of one of
# them it said of all: by event_mailing_idx, once a group.
ERRORS = """
SELECT exception, code, said, count, exception = 'rejected' AND EXISTS (
       SELECT FROM delivery_event e
        WHERE e.mailing_id = %(mailing)s AND e.kind IN ('bounced', 'complained', 'unsubscribed')
          AND e.contact_id = one AND e.undone_at IS NULL)
  FROM (SELECT exception, code, min(said) AS said, count(*) AS count, min(contact_id) AS one
          FROM (SELECT exception, code, replace(server_said, email, '…') AS said, contact_id FROM delivery_delivery
                 WHERE mailing_id = %(mailing)s AND exception IN ('rejected', 'deferred', 'in_doubt', 'skipped')
                 LIMIT %(most)s) AS bad
         GROUP BY exception, code, regexp_replace(said, '\\m(?=[[:alnum:]._=+-]*[0-9])[[:alnum:]._=+-]{8,}', '…', 'g')
         ORDER BY count(*) DESC, code LIMIT %(groups)s) AS shown
 ORDER BY count DESC, code
"""


@dataclass(frozen=True)
class ErrorGroup:
    """is_gone: refused as people who are gone, complained or left, and noted as that: another try would skip them."""

    state: str
    code: str
    server_said: str
    count: int
    is_gone: bool = False

    @property
    def label(self) -> str:
        return str(DeliveryState(self.state).label)

    @property
    def is_retryable(self) -> bool:
        return self.state in RETRYABLE and not self.is_gone


@dataclass(frozen=True)
class Progress:
    """Where a mailing stands. done + deferred + waiting + canceled = total; open: deferred and waiting.

    waiting_for: why nothing moves. held_to: why it moves no faster, by somebody's wish. rest: of a gradual start, what
    becomes of those who are held back; "" where nobody is.
    """

    total: int
    accepted: int
    rejected: int
    skipped: int
    in_doubt: int
    canceled: int
    deferred: int
    open: int
    per_second: float = 0.0
    seconds_left: int | None = None
    waiting_for: str = ""
    held_to: str = ""
    rest: str = ""
    errors: list[ErrorGroup] = field(default_factory=list)

    @property
    def done(self) -> int:
        """Of whom the outcome is known: what shares are of, since those who wait would water them down."""
        return self.total - self.open - self.canceled

    @property
    def waiting(self) -> int:
        """Not tried yet."""
        return self.open - self.deferred

    @property
    def not_reached(self) -> int:
        return self.done - self.accepted


def progress(mailing: Mailing) -> Progress:
    """Counters, rate and errors; cost grows with the deferred and the errors read, by delivery_exception_idx."""
    errors = error_groups(mailing)
    still_open = open_count(mailing)
    deferred = Delivery.objects.filter(mailing=mailing, exception=DeliveryState.DEFERRED).count()
    deferred = min(deferred, still_open)  # counted a moment after the counters were read
    rate = meter.per_second(mailing.pk) if mailing.state == MailingState.SENDING else 0.0
    to_go = still_open - deferred
    rest = gradual.in_words(mailing)
    beyond_day = _beyond_day(mailing, to_go) if rate else ""
    return Progress(
        total=mailing.total_count,
        accepted=mailing.accepted_count,
        rejected=mailing.rejected_count,
        skipped=mailing.skipped_count,
        in_doubt=mailing.in_doubt_count,
        canceled=mailing.canceled_count,
        deferred=deferred,
        open=still_open,
        per_second=rate,
        seconds_left=int(to_go / rate) + 1 if rate and to_go > 0 and not (beyond_day or rest) else None,
        waiting_for=_waiting_for(mailing, still_open, deferred, rate),
        held_to=beyond_day or _held_to(mailing, rate),
        rest=rest,
        errors=errors,
    )


def error_groups(mailing: Mailing) -> list[ErrorGroup]:
    with connection.cursor() as cursor:
        cursor.execute(ERRORS, {"mailing": mailing.pk, "most": ERRORS_READ, "groups": ERROR_GROUPS})
        return [ErrorGroup(*row) for row in cursor.fetchall()]


def _waiting_for(mailing: Mailing, still_open: int, deferred: int, rate: float) -> str:
    """Why nothing moves, in words; "" while it does."""
    if mailing.state != MailingState.SENDING or not still_open:
        return mailing.state_reason
    if mailing.state_reason:
        if not mailing.trouble_since:
            return mailing.state_reason
        return f"{mailing.state_reason.rstrip('.')}. It is tried again every few seconds."
    if not workers_alive("send"):
        return "No sending worker is running. Start Volley's workers; the campaign goes on by itself then."
    if not workers_alive("clock"):
        return "The clock is not running, so nothing that got lost is picked up again."
    if deferred and deferred == still_open:
        due = lease.next_due(mailing.pk)
        when = (
            due.astimezone(mailing.workspace.zone).strftime("%H:%M:%S")
            if due and due > timezone.now()
            else "now"
        )
        return f"{deferred:,} messages were put off by the receiving servers; the next try is at {when}."
    if not rate and _standing_still(Mailing.objects.filter(pk=mailing.pk)).exists():
        return STANDS_STILL
    return ""


def _beyond_day(mailing: Mailing, to_go: int) -> str:
    """Why it will not be done in one go, in words; "" where the account's day has room for all that is to go."""
    now = timezone.now()
    day = days.today([mailing.account], now=now).get(mailing.account_id)
    if day is None or to_go <= day.left:
        return ""
    # What is being handed over stands in both: among the used ones of the day, and among those to go.
    leased = Batch.objects.filter(mailing=mailing, state=BatchState.LEASED)
    handed_over = leased.aggregate(sum=Sum(F("last_number") - F("first_number") + 1))["sum"] or 0
    if to_go - handed_over <= day.left:
        return ""
    return f"“{mailing.account}” may send {day.limit:,} messages in 24 hours; the rest follows as there is room again."


def _held_to(mailing: Mailing, rate: float) -> str:
    whose = {
        "its own pace": mailing.rate_per_second,
        f"the limit of “{mailing.account}”": pace.account_limit(mailing.account).per_second,
    }
    limits = [(limit, name) for name, limit in whose.items() if limit]
    limit, name = min(limits, default=(0.0, ""))
    return (
        f"Held to {round(limit, 2):g} messages a second by {name}." if limit and rate >= 0.8 * limit else ""
    )


def late(workspace: Workspace) -> dict[int, str]:
    """{mailing: why} of what is being sent and does not move: its account cannot be reached, or nobody works on it.

    One waiting for its pace or for its next tries is not late. Cost: a look at each mailing in the air.
    """
    sending = Mailing.objects.of(workspace).filter(state=MailingState.SENDING, is_test=False)
    found = _standing_still(sending).select_related("account", "workspace")
    return {each.pk: _waiting_for(each, open_count(each), 0, 0.0) or STANDS_STILL for each in found}


def _standing_still(mailings: QuerySet[Mailing]) -> QuerySet[Mailing]:
    before = timezone.now() - LATE
    to_do = Batch.objects.filter(
        mailing=OuterRef("pk"), due_at__lt=before, state__in=[BatchState.READY, BatchState.LEASED]
    )
    idle = Q(Exists(to_do), progress_at__lt=before) & (Q(due_at=None) | Q(due_at__lt=before))
    return mailings.filter(Q(trouble_since__lt=before) | idle)


def deliveries(mailing: Mailing, *, state: str = "", code: str = "", search: str = "") -> QuerySet[Delivery]:
    """The ledger of a mailing, by number, with the contacts.

    state: a DeliveryState, "opened" or "clicked" (by a person). code: as an ErrorGroup has it. search: part of an
    address.
    """
    rows = Delivery.objects.filter(mailing=mailing).select_related("contact")
    if state in DID:  # delivery_opened_idx; whoever clicked has opened it
        rows = rows.filter(opened_at__isnull=False).filter(**{f"{state}_at__isnull": False})
    if state in DeliveryState.values:
        is_usual = state in (DeliveryState.PENDING, DeliveryState.ACCEPTED)
        rows = rows.filter(**{"state" if is_usual else "exception": state})
    if code:
        rows = rows.filter(code=code)
    if search:
        rows = rows.alias(upper=Upper("email")).filter(upper__contains=search.upper())
    return rows.order_by("number")


def is_sending() -> bool:
    """Whether any worker has a batch in work; by batch_leased_idx."""
    return bool(Batch.objects.filter(state=BatchState.LEASED).exists())


def totals() -> dict[str, int]:
    """{outcome: recipients} of all mailings of the installation, by their counters."""
    names = ("accepted", "rejected", "skipped", "in_doubt", "canceled")
    sums = Mailing.objects.aggregate(**{name: Coalesce(Sum(f"{name}_count"), 0) for name in names})
    return {name: int(sums[name]) for name in names}
