"""What is written of a campaign before it leaves: every step saves itself, and only a draft is changed."""

import datetime
from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace, record
from campaigns.models import Campaign, State
from contacts.models import List, Segment
from delivery.models import SendingAccount


class NotHere(Refusal):
    code = "not_found"
    status = 404


@transaction.atomic(durable=True)
def create(workspace: Workspace, *, name: str, by: User) -> Campaign:
    """A draft that is sent as the latest one was, through the account that is used by default."""
    latest = Campaign.objects.of(workspace).exclude(from_email="").order_by("-pk").first()
    campaign = Campaign.objects.create(
        workspace=workspace,
        name=name,
        from_name=latest.from_name if latest else workspace.name[:120],
        from_email=latest.from_email if latest else "",
        reply_to=latest.reply_to if latest else "",
        account=SendingAccount.objects.of(workspace).filter(is_default=True).first(),
        created_by=by,
    )
    record(by, "campaign.created", campaign)
    return campaign


@transaction.atomic(durable=True)
def save_audience(
    campaign: Campaign,
    *,
    lists: Collection[List],
    segments: Collection[Segment],
    excluded_lists: Collection[List],
    excluded_segments: Collection[Segment],
    by: User,
) -> None:
    """Choose whom it is for.

    Raises: WrongState: no draft any more. NotHere: a list or segment of elsewhere.
    """
    chosen: dict[str, Collection[Any]] = {
        "lists": lists,
        "segments": segments,
        "excluded_lists": excluded_lists,
        "excluded_segments": excluded_segments,
    }
    for rows in chosen.values():
        _check_ours(campaign, *rows)
    _update(campaign)
    before = {name: set(getattr(campaign, name).values_list("pk", flat=True)) for name in chosen}
    if before == {name: {row.pk for row in rows} for name, rows in chosen.items()}:
        return
    for name, rows in chosen.items():
        getattr(campaign, name).set(rows)
    record(by, "campaign.audience_changed", campaign)


@transaction.atomic(durable=True)
def save_content(campaign: Campaign, *, kind: str, source: str, by: User) -> None:
    """Keep what was written, with its mistakes: preflight names them.

    Raises: WrongState: no draft any more.
    """
    if _update(campaign, content_kind=kind, content=source):
        record(by, "campaign.content_changed", campaign)


@transaction.atomic(durable=True)
def save_sender(
    campaign: Campaign,
    *,
    subject: str,
    preheader: str,
    from_name: str,
    from_email: str,
    reply_to: str,
    account: SendingAccount | None,
    by: User,
) -> None:
    """Say what it is called in the inbox, whom it is from, and which way it goes.

    Raises: WrongState: no draft any more. NotHere: an account of elsewhere.
    """
    _check_ours(campaign, *([account] if account else []))
    changed = _update(
        campaign,
        subject=subject,
        preheader=preheader,
        from_name=from_name,
        from_email=from_email,
        reply_to=reply_to,
        account=account,
    )
    if changed:
        record(by, "campaign.sender_changed", campaign)


@transaction.atomic(durable=True)
def save_intended_time(campaign: Campaign, *, at: datetime.datetime | None, by: User) -> None:
    """Note when it is meant to leave; it leaves by itself only once it is scheduled.

    Raises: WrongState: no draft any more.
    """
    if _update(campaign, scheduled_at=at):
        record(by, "campaign.time_changed", campaign)


def _update(campaign: Campaign, **values: Any) -> bool:
    """Write the values into a draft, and into the object at hand; whether they were others before."""
    written = Campaign.objects.filter(pk=campaign.pk, state=State.DRAFT).update(
        **values, updated_at=timezone.now()
    )
    if not written:
        campaign.refresh_from_db(fields=["state"])
        raise WrongState(_why_closed(campaign))
    changed = any(getattr(campaign, name) != value for name, value in values.items())
    for name, value in values.items():
        setattr(campaign, name, value)
    return changed


def _why_closed(campaign: Campaign) -> str:
    if campaign.state == State.SCHEDULED:
        return "This campaign is scheduled; unschedule it to change it."
    state = State(campaign.state).label.lower()
    return f"This campaign is {state} and cannot be changed any more; duplicate it to write another one."


def _check_ours(campaign: Campaign, *rows: Any) -> None:
    if any(row.workspace_id != campaign.workspace_id for row in rows):
        raise NotHere("That list, segment or sending account is not in this workspace; choose another one.")
