"""The states of a mailing: the only writer of `Mailing.state`, and what follows from a change."""

from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from accounts.errors import WrongState
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
from delivery.pipeline.settle import cancel_range

# An account that cannot be reached for so long pauses the mailing; before, it is tried every few seconds.
TROUBLE_LIMIT = timedelta(minutes=5)


def transition(mailing_id: int, *, to: MailingState, reason: str = "") -> Mailing:
    """Move a mailing to a state, tell those who registered, in one transaction.

    Raises: WrongState: it is in a state from which this is not allowed.
    """
    sources = [state for state, targets in MAILING_ALLOWED.items() if to in targets]
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
            tell(mailing)
    return mailing


def finish_if_done(mailing_id: int) -> bool:
    """Finish a mailing in which nobody is open any more: derived under its lock, never from an empty batch."""
    with transaction.atomic():
        mailing = Mailing.objects.select_for_update().get(pk=mailing_id)
        if mailing.state not in (MailingState.SENDING, MailingState.PAUSED):
            return False
        if Batch.objects.filter(mailing=mailing).exclude(state=BatchState.DONE).exists():
            return False
        transition(mailing_id, to=MailingState.FINISHED)
    return True


def cancel_open(mailing_id: int) -> None:
    """Close the batches of a canceled mailing that nobody holds; a holder closes its own."""
    with transaction.atomic():
        free = Batch.objects.select_for_update(skip_locked=True).filter(
            mailing_id=mailing_id, state=BatchState.READY
        )
        for batch in free.order_by("pk"):
            cancel_range(mailing_id, batch.first_number, batch.last_number)
            Batch.objects.filter(pk=batch.pk).update(state=BatchState.DONE)


def stop_account(mailing: Mailing, words: str) -> None:
    """Set the account aside and pause what it was sending, in the server's words."""
    with transaction.atomic():
        SendingAccount.objects.filter(pk=mailing.account_id, stopped_reason="").update(stopped_reason=words)
        _pause_if_sending(mailing.pk, f"The sending account “{mailing.account}” was refused: {words}")


def note_trouble(mailing: Mailing, words: str) -> None:
    """Say on the monitor why nothing moves; pause when it lasts."""
    now = timezone.now()
    with transaction.atomic():
        sending = Mailing.objects.filter(pk=mailing.pk, state=MailingState.SENDING)
        sending.filter(trouble_since=None).update(trouble_since=now)
        sending.update(state_reason=words[:500])
        if sending.filter(trouble_since__lt=now - TROUBLE_LIMIT).exists():
            _pause_if_sending(
                mailing.pk, f"The sending account “{mailing.account}” could not be reached: {words}"
            )


def _pause_if_sending(mailing_id: int, reason: str) -> None:
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
