"""The life of a campaign: every change of its state, and what follows from it."""

import logging
from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import OperationalError, transaction
from django.db.models import Q
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, record
from accounts.queue import enqueue
from campaigns import preflight
from campaigns.content import compile_content
from campaigns.models import ALLOWED, Campaign, State
from campaigns.queries import audience
from delivery import actions as delivery
from delivery.domains import actions as domains
from delivery.models import Mailing, MailingState

LATE_LIMIT = timedelta(hours=6)  # a start missed by more is not made up for without asking
FAR_LIMIT = timedelta(days=366)
# After which a launch whose job got lost is queued again; one that only waits its turn does nothing the second time.
LAUNCH_SILENCE = timedelta(seconds=10)
log = logging.getLogger(__name__)
UNSENT = (State.DRAFT, State.SCHEDULED)
LAUNCH_JOB = "campaigns.jobs.launch"


class NotReady(Refusal):
    code = "not_ready"


class BadTime(Refusal):
    code = "bad_time"


def transition(
    campaign_id: int,
    *,
    to: State,
    by: User | None = None,
    reason: str = "",
    verb: str = "",
    only_from: Collection[State] = tuple(State),
    **fields: object,
) -> Campaign:
    """Move a campaign to a state if ALLOWED says so from where it is; the only writer of `state`.

    only_from: where the verb is narrower than the table; a paused campaign is resumed, not sent again.
    verb: what the audit trail calls it; else the new state.
    Raises: WrongState: somebody was faster, or it makes no sense from there.
    """
    sources = [state for state, targets in ALLOWED.items() if to in targets and state in only_from]
    with transaction.atomic():
        movable = Campaign.objects.filter(pk=campaign_id, state__in=sources)
        moved = movable.update(state=to, state_reason=reason, updated_at=timezone.now(), **fields)
        campaign = Campaign.objects.select_related("workspace", "account", "mailing").get(pk=campaign_id)
        if not moved:
            raise WrongState(
                f"“{campaign}” is {campaign.get_state_display().lower()}; this cannot be done now."
            )
        record(by, f"campaign.{verb or to}", campaign)
    return campaign


def _check(campaign: Campaign) -> None:
    if campaign.archived_at:
        raise NotReady("This campaign is archived; take it back from the archive first.")
    found = preflight.problems(campaign)
    if found:
        raise NotReady("This campaign cannot leave yet: " + " ".join(problem.text for problem in found))


def _know_sender(campaign: Campaign, *, by: User | None) -> bool:
    """Whether what is known of its sender's domain is enough to go by; else that is being looked up."""
    return campaign.account is None or not domains.take_in(campaign.account, campaign.from_email, by=by)


def send_now(campaign: Campaign, *, by: User) -> None:
    """Start sending; the recipients are frozen by a job, so that a million does not hold up the page.

    A sender's domain that is new stays known, although the campaign waits for its first check.
    Raises: NotReady: preflight found an error. WrongState: it is on its way already.
    """
    _know_sender(campaign, by=by)
    _send_now(campaign, by=by)


@transaction.atomic(durable=True)
def _send_now(campaign: Campaign, *, by: User) -> None:
    if campaign.state in UNSENT:
        _check(campaign)
    transition(campaign.pk, to=State.SENDING, by=by, only_from=UNSENT)
    enqueue(LAUNCH_JOB, queue="system", campaign_id=campaign.pk)


def schedule(campaign: Campaign, *, at: datetime, by: User) -> None:
    """Let it leave at that time; its sender's domain as in `send_now`. Raises: BadTime, NotReady, WrongState."""
    _know_sender(campaign, by=by)
    _schedule(campaign, at=at, by=by)


@transaction.atomic(durable=True)
def _schedule(campaign: Campaign, *, at: datetime, by: User) -> None:
    shown = at.astimezone(campaign.workspace.zone).strftime("%-d %b %Y, %H:%M %Z")
    now = timezone.now()
    if at <= now:
        raise BadTime(f"{shown} has passed; choose a later time.")
    if at > now + FAR_LIMIT:
        raise BadTime(f"{shown} is more than a year ahead; choose an earlier time.")
    _check(campaign)
    transition(campaign.pk, to=State.SCHEDULED, by=by, scheduled_at=at)


@transaction.atomic(durable=True)
def unschedule(campaign: Campaign, *, by: User) -> None:
    """Make it a draft again that can be changed."""
    if campaign.state == State.FAILED:
        raise WrongState("It is not scheduled; open it again instead.")
    transition(campaign.pk, to=State.DRAFT, by=by)


@transaction.atomic(durable=True)
def reopen(campaign: Campaign, *, by: User) -> None:
    """Make a failed one a draft again. Raises: WrongState."""
    if campaign.state != State.FAILED:
        raise WrongState("Only a failed campaign can be opened again.")
    transition(campaign.pk, to=State.DRAFT, by=by)


@transaction.atomic(durable=True)
def launch(campaign_id: int) -> int:
    """Freeze audience and content into a mailing. Safe to run twice: does nothing the second time.

    Returns: how many recipients. What cannot be launched fails with its reason.
    """
    found = Campaign.objects.select_for_update(of=("self",)).select_related("workspace", "account")
    campaign = found.get(pk=campaign_id)
    if campaign.state != State.SENDING or campaign.mailing_id is not None:
        return 0
    try:
        with transaction.atomic():
            mailing = _mailing(campaign)
    except Refusal as refusal:
        transition(campaign.pk, to=State.FAILED, reason=refusal.message)
        return 0
    Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing)
    if mailing.state == MailingState.FINISHED:  # nobody was left
        transition(campaign.pk, to=State.SENT)
    return mailing.total_count


def _mailing(campaign: Campaign) -> Mailing:
    if campaign.account is None:
        raise NotReady("Its sending account was deleted. Choose another one and send it again.")
    if broken := audience.broken(
        campaign
    ):  # since it was checked: an exclusion that finds nobody leaves out nobody
        raise NotReady(" ".join(broken))
    return delivery.launch(
        workspace=campaign.workspace,
        name=campaign.name,
        account=campaign.account,
        content=compile_content(campaign),
        recipients=audience.recipients(campaign),
        list_ids=list(campaign.lists.values_list("pk", flat=True)),
        opens=campaign.track_opens,
        clicks=campaign.track_clicks,
        gradually=campaign.starts_gradually,
    )


def launch_due() -> int:
    """Start the scheduled campaigns whose time has come; for the clock. Returns how many."""
    now = timezone.now()
    due = Campaign.objects.filter(state=State.SCHEDULED, scheduled_at__lte=now).order_by("scheduled_at")
    return sum(_start_guarded(pk, now) for pk in due.values_list("pk", flat=True))


def _start_guarded(campaign_id: int, now: datetime) -> bool:
    """One campaign's fault must not keep those of everybody else from leaving."""
    try:
        return _start_due(campaign_id, now)
    except OperationalError:
        raise
    except Exception:
        log.exception("launch.failed campaign=%s", campaign_id)
        reason = "Volley met an error of its own while starting it; the log of the clock has the details."
        transition(campaign_id, to=State.FAILED, reason=reason)
        return False


@transaction.atomic(durable=True)
def _start_due(campaign_id: int, now: datetime) -> bool:
    rows = Campaign.objects.select_for_update(skip_locked=True, of=("self",)).select_related(
        "workspace", "account"
    )
    campaign = rows.filter(pk=campaign_id, state=State.SCHEDULED, scheduled_at__lte=now).first()
    if campaign is None or campaign.scheduled_at is None:
        return False
    if now - campaign.scheduled_at > LATE_LIMIT:
        due = campaign.scheduled_at.astimezone(campaign.workspace.zone).strftime("%-d %b %Y, %H:%M %Z")
        reason = f"It was due at {due}, while Volley was not running. Check it and send it again."
        transition(campaign.pk, to=State.FAILED, reason=reason)
        return False
    if not _know_sender(campaign, by=None):
        return False  # the domain was taken away since, or is older than this rule; the clock comes again
    try:
        _check(campaign)
    except NotReady as refusal:
        transition(campaign.pk, to=State.FAILED, reason=refusal.message)
        return False
    transition(campaign.pk, to=State.SENDING)
    enqueue(LAUNCH_JOB, queue="system", campaign_id=campaign.pk)
    return True


def requeue_unlaunched() -> int:
    """Queue launches again whose job got lost with Redis; for the clock. Returns how many."""
    waiting = Campaign.objects.filter(
        state=State.SENDING, mailing=None, updated_at__lt=timezone.now() - LAUNCH_SILENCE
    )
    count = 0
    for pk in waiting.values_list("pk", flat=True):
        with transaction.atomic():
            # One that is being launched right now is locked: its job is alive.
            if not waiting.select_for_update(skip_locked=True).filter(pk=pk).exists():
                continue
            Campaign.objects.filter(pk=pk).update(updated_at=timezone.now())
            enqueue(LAUNCH_JOB, queue="system", campaign_id=pk)
        count += 1
    return count


def hold_unlaunched(why: str) -> None:
    """Let nothing begin that is scheduled or being prepared; called by delivery in its transaction."""
    waiting = Campaign.objects.filter(Q(state=State.SCHEDULED) | Q(state=State.SENDING, mailing=None))
    for pk in waiting.values_list("pk", flat=True):
        with suppress(WrongState):  # somebody was faster
            transition(pk, to=State.FAILED, reason=f"{why} Open it again and send it if that is not so.")


@transaction.atomic(durable=True)
def pause(campaign: Campaign, *, by: User) -> None:
    """Stop within a second or two; the rest waits. Raises: WrongState."""
    delivery.pause(_mailing_of(campaign), by=by)


@transaction.atomic(durable=True)
def resume(campaign: Campaign, *, by: User) -> None:
    """Go on where it stopped. Raises: WrongState, AccountStopped, SenderNotAllowed."""
    delivery.resume(_mailing_of(campaign), by=by)


@transaction.atomic(durable=True)
def cancel(campaign: Campaign, *, by: User) -> None:
    """Leave the rest unsent for good; also while the recipients are being prepared.

    The mailing is locked before the campaign, as by whoever finishes it: the other order would deadlock.
    """
    waiting = Campaign.objects.filter(pk=campaign.pk, mailing=None, state=State.SENDING)
    if waiting.exists() and waiting.select_for_update().exists():
        transition(campaign.pk, to=State.CANCELED, by=by)
    else:
        delivery.cancel(_mailing_of(campaign), by=by)


@transaction.atomic(durable=True)
def set_pace(campaign: Campaign, *, per_second: float | None, by: User) -> None:
    """Send slower or faster from now on; None: as fast as the sending account allows. Raises: WrongState."""
    if campaign.state not in (State.SENDING, State.PAUSED):
        raise WrongState("Its pace can be changed while it is sent.")
    delivery.set_pace(_mailing_of(campaign), per_second=per_second)
    record(by, "campaign.pace_changed", campaign)


@transaction.atomic(durable=True)
def send_rest(campaign: Campaign, *, by: User) -> None:
    """Go on to those whom a gradual start holds back, without waiting any longer. Raises: Refusal."""
    delivery.send_rest(_mailing_of(campaign))
    record(by, "campaign.rest_sent", campaign)


@transaction.atomic(durable=True)
def retry(campaign: Campaign, *, state: str, code: str, by: User) -> int:
    """Try a group of those again who were not reached. Returns how many. Raises: Refusal."""
    count = delivery.retry(_mailing_of(campaign), state=state, code=code, by=by)
    record(by, "campaign.retried", campaign)
    return count


@transaction.atomic(durable=True)
def count_as_delivered(campaign: Campaign, *, by: User) -> int:
    """Let those in doubt count as reached. Returns how many. Raises: Refusal."""
    count = delivery.count_as_delivered(_mailing_of(campaign))
    record(by, "campaign.doubt_settled", campaign)
    return count


def _mailing_of(campaign: Campaign) -> Mailing:
    mailing = Campaign.objects.select_related("mailing__account").get(pk=campaign.pk).mailing
    if mailing is None:
        raise WrongState("Its recipients are still being prepared; try again in a moment.")
    return mailing


FOLLOWS = {
    MailingState.SENDING: State.SENDING,
    MailingState.PAUSED: State.PAUSED,
    MailingState.FINISHED: State.SENT,
    MailingState.CANCELED: State.CANCELED,
}


def follow(mailing: Mailing, by: User | None) -> None:
    """Give the campaign the state of its mailing; called by delivery in the same transaction."""
    campaign = Campaign.objects.filter(mailing=mailing).first()
    to = FOLLOWS[MailingState(mailing.state)]
    if campaign is not None and campaign.state != to:
        verb = "resumed" if campaign.state == State.PAUSED and to == State.SENDING else ""
        transition(campaign.pk, to=to, by=by, reason=mailing.state_reason, verb=verb)


@transaction.atomic(durable=True)
def duplicate(campaign: Campaign, *, by: User) -> Campaign:
    """A draft with the same content, sender and audience."""
    original = Campaign.objects.get(pk=campaign.pk)
    copy = Campaign.objects.get(pk=campaign.pk)
    copy.pk = None
    copy._state.adding = True
    copy.name = f"Copy of {original.name}"[:150]
    copy.state, copy.state_reason = State.DRAFT, ""
    copy.mailing = copy.scheduled_at = copy.archived_at = None
    copy.created_by = by
    copy.created_at = copy.updated_at = timezone.now()
    copy.save()
    for field in ("lists", "segments", "excluded_lists", "excluded_segments"):
        getattr(copy, field).set(getattr(original, field).all())
    record(by, "campaign.duplicated", copy)
    return copy


@transaction.atomic(durable=True)
def archive(campaign: Campaign, *, by: User) -> None:
    """Take it out of the way. Raises: WrongState: it is being sent or going to be."""
    resting = Campaign.objects.filter(
        pk=campaign.pk, state__in=[State.DRAFT, State.SENT, State.CANCELED, State.FAILED]
    )
    if not resting.update(archived_at=timezone.now()):
        raise WrongState("It is on its way; cancel or unschedule it first.")
    record(by, "campaign.archived", campaign)


@transaction.atomic(durable=True)
def unarchive(campaign: Campaign, *, by: User) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(archived_at=None)
    record(by, "campaign.unarchived", campaign)


@transaction.atomic(durable=True)
def delete(campaign: Campaign, *, by: User) -> None:
    """Raises: WrongState: only a draft can be deleted; the rest is a record and can be archived."""
    found = Campaign.objects.select_for_update().filter(pk=campaign.pk, state=State.DRAFT).first()
    if found is None:
        raise WrongState("Only a draft can be deleted; archive it instead.")
    record(by, "campaign.deleted", found)
    found.delete()
