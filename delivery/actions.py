"""What can be done with mailings: the door for campaigns, test sends and whatever else launches one."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace
from contacts.collisions import again_when_ended
from contacts.models import Contact, List
from delivery import mailings, monitor
from delivery.content import Content
from delivery.hygiene import gradual
from delivery.models import Delivery, DeliveryState, Mailing, MailingState, SendingAccount
from delivery.pipeline import again, dispatch, plan
from delivery.pipeline.mold import Mold
from delivery.pipeline.molds import frame_of, said_of
from delivery.tracking import rules
from delivery.tracking.writing import Tracked

CLOSED_AT_ONCE = 20  # batches; more would let lanes and the clock wait for the page

# Whoever tells a mailing to go on has seen what came of it so far: the breaker counts from there.
FROM_HERE: Any = {
    "breaker_done": F("accepted_count") + F("rejected_count"),
    "breaker_rejected": F("rejected_count"),
    "breaker_unsubscribed": F("unsubscribed_count"),
    "window_at": None,
}


class NothingToRetry(Refusal):
    code = "nothing_to_retry"
    status = 409


class NobodyInDoubt(Refusal):
    code = "nobody_in_doubt"
    status = 409


class NobodyHeldBack(Refusal):
    code = "nobody_held_back"
    status = 409


class AccountStopped(Refusal):
    code = "account_stopped"


class SenderNotAllowed(Refusal):
    code = "sender_not_allowed"


def launch(
    *,
    workspace: Workspace,
    name: str,
    account: SendingAccount,
    content: Content,
    recipients: QuerySet[Contact],
    list_ids: list[int],
    opens: bool = False,
    clicks: bool = False,
    gradually: bool = False,
) -> Mailing:
    """Freeze content and audience and begin to send, once the caller's transaction commits.

    recipients: each contact once. list_ids: whoever leaves these before their batch is skipped. opens, clicks: whether
    they are watched, as far as the workspace's rules allow it. gradually: whether some get it first, where these rules
    find it large enough.
    Raises: TemplateProblem, AccountStopped, SenderNotAllowed.
    """
    tracked = rules.tracked(workspace, opens=opens, clicks=clicks)
    mailing = _create(workspace, name, account, content, tracked=tracked, list_ids=list_ids)
    return _begin(mailing, plan.freeze(mailing, recipients, gradually=gradually))


def send_test(
    *,
    workspace: Workspace,
    name: str,
    account: SendingAccount,
    content: Content,
    to: list[str],
    sample: Contact | None,
    confirms: List | None = None,
) -> Mailing:
    """Send to addresses that need be no contacts, filled in as the sample contact; it overtakes bulk.

    confirms: of the list whose confirmation it is a test of. Raises: as `launch`.
    """
    mailing = _create(
        workspace, name, account, content, is_test=True, sample_contact=sample, confirms=confirms
    )
    return _begin(mailing, plan.freeze_addresses(mailing, to))


def ask_to_confirm(*, confirms: List, account: SendingAccount, content: Content, most: int) -> Mailing | None:
    """Mail those who are unconfirmed on the list and were not asked yet, as many at most; None: there is nobody.

    Raises: as `launch`.
    """
    name = f"Please confirm: {confirms}"[:150]
    with transaction.atomic():
        mailing = _create(
            confirms.workspace, name, account, content, list_ids=[confirms.pk], confirms=confirms
        )
        total = plan.freeze_unasked(mailing, most=most)
        if not total:
            mailing.delete()
            return None
        return _begin(mailing, total)


@transaction.atomic
def _create(
    workspace: Workspace,
    name: str,
    account: SendingAccount,
    content: Content,
    *,
    list_ids: Sequence[int] = (),
    confirms: List | None = None,
    tracked: Tracked | None = None,
    **fields: Any,
) -> Mailing:
    account.refresh_from_db(fields=["stopped_reason", "sender_domains"])
    _refuse_unusable(account, content.from_email)
    mailing = Mailing.objects.create(
        workspace=workspace,
        name=name,
        account=account,
        content=content.as_dict(),
        frame=said_of(workspace, list_ids=list_ids, confirms=confirms)
        | ({"tracking": asdict(tracked)} if tracked else {}),
        list_ids=[*list_ids],
        confirms=confirms,
        **fields,
    )
    Mold(content, frame_of(mailing))  # a template error refuses the launch
    return mailing


def _begin(mailing: Mailing, total: int) -> Mailing:
    if total == 0:
        return mailings.transition(mailing.pk, to=MailingState.FINISHED)
    queue = partial(dispatch.begin, mailing.pk, is_urgent=mailing.is_urgent)
    transaction.on_commit(queue, robust=True)
    return mailing


def pause(mailing: Mailing, *, by: User | None = None) -> None:
    """Hand out no more batches; lanes at work stop within a second, at the end of their message."""
    mailings.transition(mailing.pk, to=MailingState.PAUSED, by=by)


def resume(mailing: Mailing, *, by: User | None = None) -> None:
    """Go on where it stopped, by another account where its own may not. Raises: WrongState, or as `launch`."""
    with transaction.atomic():
        # Locked before the mailing, as by whoever sets it aside: else both could pass each other unseen.
        account = SendingAccount.objects.select_for_update().get(pk=mailing.account_id)
        why_not = _why_unusable(account, mailing.sender)
        heir = mailings.stand_in_for(account, mailing.sender) if why_not else None
        if heir is None:
            _refuse_unusable(account, mailing.sender)
        resumed = mailings.transition(
            mailing.pk, to=MailingState.SENDING, only_from=[MailingState.PAUSED], by=by
        )
        Mailing.objects.filter(pk=mailing.pk).update(
            account=heir or account,
            handed_over=mailings.handed_over(resumed, why_not) if heir else resumed.handed_over,
            due_at=None,
            progress_at=timezone.now(),
            **FROM_HERE,
            breaker_at=timezone.now(),
        )
        transaction.on_commit(partial(monitor.forget, mailing), robust=True)
        transaction.on_commit(partial(dispatch.top_up, mailing.pk), robust=True)


def send_rest(mailing: Mailing) -> None:
    """Wait no longer with those whom a gradual start holds back. Raises: NobodyHeldBack."""
    if not gradual.let_go(mailing.pk):
        raise NobodyHeldBack("Nobody is held back: it is not being sent, or the rest is on its way already.")


def cancel(mailing: Mailing, *, by: User | None = None) -> None:
    """Leave the rest unsent; what was sent stays in the ledger. The sweeper closes what is many."""
    with transaction.atomic():
        canceled = mailings.transition(mailing.pk, to=MailingState.CANCELED, by=by)
        mailings.cancel_open(canceled, batches=CLOSED_AT_ONCE)


def set_pace(mailing: Mailing, *, per_second: float | None) -> None:
    """Change the mailing's own pace, also while it is sent; None: as fast as its account allows."""
    Mailing.objects.filter(pk=mailing.pk).update(rate_per_second=per_second, due_at=Now())


@again_when_ended
def retry(mailing: Mailing, *, state: str, code: str = "", by: User | None = None) -> int:
    """Try those again who ended so: rejected, or in doubt. Returns how many.

    code: of one group of the report; "" for all. Whoever left or was suppressed since is skipped, as always.
    Raises: NothingToRetry, WrongState: it was canceled; AccountStopped, SenderNotAllowed.
    """
    if state not in again.RETRYABLE:
        raise NothingToRetry("Only rejected messages, and those in doubt, can be tried again.")
    with transaction.atomic():
        locked = Mailing.objects.select_for_update(of=("self",)).select_related("account").get(pk=mailing.pk)
        _refuse_unusable(locked.account, locked.sender)
        if locked.state == MailingState.CANCELED:
            raise WrongState("It was canceled; duplicate it to send to somebody again.")
        count = again.reopen(locked, state=DeliveryState(state), code=code)
        if not count:
            raise NothingToRetry(
                "There is nobody to try again: somebody was faster, or they were reached since."
            )
        Mailing.objects.filter(pk=locked.pk).update(
            due_at=None,  # what held it back was of the tries before
            **FROM_HERE,
            breaker_at=timezone.now(),
            progress_at=timezone.now(),
        )
        if locked.state == MailingState.FINISHED:
            mailings.transition(locked.pk, to=MailingState.SENDING, by=by)
        transaction.on_commit(partial(monitor.forget, locked), robust=True)
        transaction.on_commit(partial(dispatch.top_up, locked.pk), robust=True)
    return count


@again_when_ended
def count_as_delivered(mailing: Mailing) -> int:
    """Take those in doubt for accepted, in any state of the mailing; what was said of them stays. Returns how many.

    Raises: NobodyInDoubt.
    """
    with transaction.atomic():  # rows first, then the mailing, as settlement and unsubscribing lock them
        doubtful = Delivery.objects.filter(mailing=mailing, exception=DeliveryState.IN_DOUBT)
        count = doubtful.update(state=DeliveryState.ACCEPTED)
        if not count:
            raise NobodyInDoubt("Nobody is in doubt any more: somebody was faster.")
        Mailing.objects.filter(pk=mailing.pk).update(
            accepted_count=F("accepted_count") + count, in_doubt_count=F("in_doubt_count") - count
        )
        transaction.on_commit(partial(monitor.forget, mailing), robust=True)
    return count


def _refuse_unusable(account: SendingAccount, sender: str) -> None:
    why = _why_unusable(account, sender)
    if account.stopped_reason:
        raise AccountStopped(f"{why} Mend it under Sending.")
    if why:
        raise SenderNotAllowed(f"{why} Choose another one, or add the domain to it under Sending.")


def _why_unusable(account: SendingAccount, sender: str) -> str:
    """In words; "" where it may send from there."""
    if account.stopped_reason:
        return f"The sending account “{account}” is set aside: {account.stopped_reason}"
    return account.refusal_of(sender)
