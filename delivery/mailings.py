"""The states of a mailing: the only writer of `Mailing.state`, and what follows from a change."""

import random
from collections.abc import Collection
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import DateTimeField, ExpressionWrapper
from django.db.models.functions import Now
from django.utils import timezone

from accounts.errors import WrongState
from accounts.models import User
from delivery import registry
from delivery.models import (
    MAILING_ALLOWED,
    Batch,
    BatchState,
    Delivery,
    Mailing,
    MailingState,
    SendingAccount,
)
from delivery.pipeline import again, calls, journal
from delivery.pipeline.settle import SAID_LIMIT, Result, cancel_range, settle
from delivery.transports.base import Fate, Outcome
from delivery.words import storable

# An account that cannot be reached for so long pauses the mailing; before, it is tried every few seconds.
TROUBLE_LIMIT = timedelta(minutes=5)
NOT_BEGUN = (BatchState.READY, BatchState.HELD)
LONGEST_HOLD = 300.0  # seconds; a limit may be raised meanwhile, so it is asked again


def transition(
    mailing_id: int,
    *,
    to: MailingState,
    reason: str = "",
    only_from: Collection[MailingState] = tuple(MailingState),
    by: User | None = None,
) -> Mailing:
    """Move a mailing to a state, tell those who registered, in one transaction.

    only_from: where the verb is narrower than the table. by: None where it is no person's deed.
    Raises: WrongState: it is in a state from which this is not allowed.
    """
    sources = [state for state, targets in MAILING_ALLOWED.items() if to in targets and state in only_from]
    ended = {MailingState.FINISHED, MailingState.CANCELED}
    with transaction.atomic():
        moved = Mailing.objects.filter(pk=mailing_id, state__in=sources).update(
            state=to,
            state_reason=reason,
            trouble_since=None,
            finished_at=timezone.now() if to in ended else None,
        )
        mailing = Mailing.objects.get(pk=mailing_id)
        if not moved:
            raise WrongState(
                f"“{mailing}” is {mailing.get_state_display().lower()}; this cannot be done now."
            )
        for tell in registry.on_mailing_change:
            tell(mailing, by)
    return mailing


def finish_if_done(mailing_id: int, *, wait: bool = True) -> bool:
    """Finish a mailing in which nobody is open any more: derived under its lock, never from an empty batch.

    wait: for whoever holds the lock; the sweeper does not, it comes again.
    """
    with transaction.atomic():
        rows = Mailing.objects.select_for_update(skip_locked=not wait)
        mailing = rows.filter(pk=mailing_id, state__in=(MailingState.SENDING, MailingState.PAUSED)).first()
        if mailing is None:
            return False
        if Batch.objects.filter(mailing=mailing).exclude(state=BatchState.DONE).exists():
            return False
        if open_count(mailing) and again.reopen_batches(mailing):
            return False
        transition(mailing_id, to=MailingState.FINISHED)
    return True


def cancel_open(mailing: Mailing, *, batches: int) -> int:
    """Close batches of a canceled mailing that nobody holds, at most so many; a holder closes its own.

    Returns: how many. What a dead worker noted as accepted is settled so before the rest is canceled.
    """
    closed = 0
    while closed < batches:
        with transaction.atomic():
            free = Batch.objects.select_for_update(skip_locked=True).filter(
                mailing=mailing, state__in=NOT_BEGUN
            )
            batch = free.order_by("pk").first()
            if batch is None:
                break
            close_range(mailing, batch.key, batch.first_number, batch.last_number)
            Batch.objects.filter(pk=batch.pk).update(state=BatchState.DONE)
        closed += 1
    return closed


def close_range(mailing: Mailing, batch_key: UUID, first: int, last: int) -> None:
    """Settle what the batch's journal says and what calls left in doubt, then cancel whoever is still open."""
    noted = journal.read(batch_key)
    doubtful, ids = calls.doubtful_of(batch_key)
    results = [Result(number, accepted(known)) for number, known in noted.items()]
    results += [Result(number, calls.UNKNOWN) for number in doubtful - noted.keys()]
    settle(mailing, results, calls=ids)
    cancel_range(mailing, first, last)


def accepted(provider_id: str) -> Outcome:
    """What the journal says of a message."""
    return Outcome(Fate.ACCEPTED, provider_id=provider_id)


def stop_account(account: SendingAccount, words: str) -> None:
    """Set the account aside, in the server's words; what it was sending goes another way, or pauses."""
    words = storable(words, SAID_LIMIT)
    with transaction.atomic():
        used = SendingAccount.objects.filter(pk=account.pk, stopped_reason="")
        used.update(stopped_reason=words, stopped_at=timezone.now())
        hand_over(account, f"The sending account “{account}” was refused: {words}")


def hand_over(account: SendingAccount, words: str) -> None:
    """Let what the account was sending go on by one that stands in for it; pause it where none does."""
    for mailing in Mailing.objects.filter(account=account, state=MailingState.SENDING).order_by("pk"):
        _go_on(mailing, stand_in_for(account, mailing.sender), words)


def keep_to_its_senders(account: SendingAccount) -> None:
    """Let what the account was sending from where it may not any more go another way, or pause."""
    for mailing in Mailing.objects.filter(account=account, state=MailingState.SENDING).order_by("pk"):
        if words := account.refusal_of(mailing.sender):
            _go_on(mailing, stand_in_for(account, mailing.sender), words)


def refuse_sender(mailing: Mailing, words: str) -> None:
    """The account may not send from where this mailing comes: it alone waits for somebody, in the server's words.

    Confirmations are tried again by themselves, since each sign-up would else leave one more to be resumed.
    """
    said = (
        f"“{mailing.account}” was not allowed to send from {mailing.sender}: "
        f"{storable(words, SAID_LIMIT).rstrip('. ')}. Have that address or its domain verified there"
    )
    if mailing.confirms_id and not mailing.is_test:
        hold(mailing, LONGEST_HOLD, f"{said}; it is tried again every few minutes.")
        return
    way_out = "then resume; or cancel it, and send a copy from another address or by another account."
    pause_if_sending(mailing.pk, f"{said}, {way_out}")


def _go_on(mailing: Mailing, heir: SendingAccount | None, words: str) -> None:
    """Let the heir take over what its account cannot send, or pause it without one, saying why."""
    if heir is None:
        pause_if_sending(mailing.pk, words)
        return
    with transaction.atomic():
        sending = Mailing.objects.filter(
            pk=mailing.pk, account=mailing.account_id, state=MailingState.SENDING
        )
        current = sending.select_for_update(no_key=True).first()
        if current is None:
            return
        sending.update(
            account=heir,
            handed_over=handed_over(current, words),
            state_reason=f"{words} It goes on by “{heir}”.",
            trouble_since=None,
            due_at=None,
        )


def handed_over(mailing: Mailing, why: str) -> list[dict[str, Any]]:
    """What is to stand as its `handed_over` once another account takes over; its row is locked by the caller."""
    said = {"account": str(mailing.account), "accepted": mailing.accepted_count, "why": why}
    return [*mailing.handed_over, {**said, "at": timezone.now().isoformat()}]


def stand_in_for(account: SendingAccount, sender: str) -> SendingAccount | None:
    """A usable account that stands in and may send from there.

    Of those with the lowest position one by chance, in proportion to its share.
    """
    others = SendingAccount.objects.filter(
        workspace_id=account.workspace_id, stands_in=True, stopped_reason=""
    ).exclude(pk=account.pk)
    ready = [other for other in others.order_by("position", "pk") if not other.refusal_of(sender)]
    first = [other for other in ready if other.position == ready[0].position]
    return random.choices(first, [other.share for other in first])[0] if first else None  # noqa: S311


def note_trouble(mailing: Mailing, words: str) -> None:
    """Say on the monitor why nothing moves; when it lasts, go another way or pause."""
    now, words = timezone.now(), storable(words, SAID_LIMIT)
    with transaction.atomic():
        sending = Mailing.objects.filter(
            pk=mailing.pk, account=mailing.account_id, state=MailingState.SENDING
        )
        sending.filter(trouble_since=None).update(trouble_since=now)
        sending.update(state_reason=words)
        if not sending.filter(trouble_since__lt=now - TROUBLE_LIMIT).exists():
            return
        heir = stand_in_for(mailing.account, mailing.sender)
        if mailing.confirms_id and heir is None:
            return  # it is on no campaign's page to be resumed from, so it is tried until it leaves
        lasting = f"The sending account “{mailing.account}” could not be reached: {words}"
        _go_on(mailing, heir, lasting)


def pause_refused(mailing: Mailing) -> None:
    """The circuit breaker: too many recipients are rejected, so something is wrong with list, content or sender."""
    now = Mailing.objects.get(pk=mailing.pk)  # all workers' counters; ours may be older
    rejected = now.rejected_count - now.breaker_rejected
    tried = now.accepted_count + now.rejected_count - now.breaker_done
    whose = f"{tried:,} messages since it last went on" if now.breaker_done else f"first {tried:,} messages"
    words = (
        f"{rejected:,} of the {whose} ({100 * rejected / max(tried, 1):.1f} %) were rejected, "
        f"and the limit is {mailing.workspace.pause_at_rejected_percent} %, so it paused itself. "
        "See in its report what the servers said; resume it if that is as expected."
    )
    pause_if_sending(mailing.pk, words)


def hold(mailing: Mailing, seconds: float, why: str = "") -> None:
    """Hand out none of its batches for so long. why: in words, where a person should know."""
    wait = timedelta(seconds=min(seconds, LONGEST_HOLD))
    rows = Mailing.objects.filter(
        pk=mailing.pk, account=mailing.account_id
    )  # not what another one sends by now
    rows.update(due_at=ExpressionWrapper(Now() + wait, output_field=DateTimeField()))
    if why:
        rows.filter(state=MailingState.SENDING).update(state_reason=why)


def let_go(account: SendingAccount) -> None:
    """Nothing that it is sending is held any longer: what it was held for may have changed with the account."""
    Mailing.objects.filter(account=account, state=MailingState.SENDING).update(due_at=Now())


def pause_if_sending(mailing_id: int, reason: str) -> None:
    """Pause it, saying why; nothing happens where it is not being sent."""
    try:
        with transaction.atomic():
            transition(mailing_id, to=MailingState.PAUSED, reason=reason)
    except WrongState:
        return  # somebody else paused, canceled or finished it meanwhile


def open_count(mailing: Mailing) -> int:
    return mailing.total_count - sum(
        (
            mailing.accepted_count,
            mailing.rejected_count,
            mailing.skipped_count,
            mailing.in_doubt_count,
            mailing.canceled_count,
        )
    )


def recount(mailing_id: int) -> dict[str, int]:
    """The ledger's own truth: {state: count}. For tests and for doubts; counts every row."""
    from django.db.models import Count

    rows = Delivery.objects.filter(mailing_id=mailing_id).values_list("state").annotate(count=Count("number"))
    return dict(rows.order_by())
