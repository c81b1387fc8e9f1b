"""What is written of a campaign before it leaves: every step saves itself, and only a draft is changed."""

import datetime
import hashlib
import json
from collections.abc import Collection
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import User, Workspace, record
from campaigns.models import Campaign, State
from campaigns.queries import audience
from contacts.models import List, Segment
from delivery.models import SendingAccount

# What each step stores in the campaign's own row; an audience is stored in its link tables.
TRACKING: Final = ("track_opens", "track_clicks", "utm", "utm_source", "utm_medium", "utm_campaign")
FIELDS: Final = {
    "content": ("content_kind", "content"),
    "sender": ("subject", "preheader", "from_name", "from_email", "reply_to", "account_id", *TRACKING),
    "schedule": ("scheduled_at", "starts_gradually"),
}


class NotHere(Refusal):
    code = "not_found"
    status = 404


class ChangedElsewhere(WrongState):
    """What is stored of the step is no longer what its writer has seen."""

    code = "changed_elsewhere"


def version(campaign: Campaign, step: str) -> str:
    """A short word for what is stored of one step: whoever writes over it names it, and no other step changes it."""
    if step == "audience":
        held = audience.chosen(campaign)
        values: list[Any] = [sorted(getattr(held, name)) for name in vars(held) if name != "archived"]
    else:
        values = [getattr(campaign, name) for name in FIELDS[step]]
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:16]


@transaction.atomic(durable=True)
def create(workspace: Workspace, *, name: str, to: List | Segment | None = None, by: User) -> Campaign:
    """A draft that is sent as the latest one was, through the account that is used by default. to: whom it is for."""
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
    if isinstance(to, Segment):
        campaign.segments.add(to)
    elif to:
        campaign.lists.add(to)
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
    over: str | None = None,
) -> None:
    """Choose whom it is for.

    over: the version that the writer has seen; without one, whatever is stored is written over.
    Raises: WrongState: no draft any more. ChangedElsewhere. NotHere: a list or segment of elsewhere.
    """
    chosen: dict[str, Collection[Any]] = {
        "lists": lists,
        "segments": segments,
        "excluded_lists": excluded_lists,
        "excluded_segments": excluded_segments,
    }
    for rows in chosen.values():
        _check_ours(campaign, *rows)
    # From here on nobody else writes its link tables.
    Campaign.objects.select_for_update().get(pk=campaign.pk)
    before = {name: set(getattr(campaign, name).values_list("pk", flat=True)) for name in chosen}
    is_new = before != {name: {row.pk for row in rows} for name, rows in chosen.items()}
    if is_new and over is not None and over != version(campaign, "audience"):
        raise _not_written(campaign)
    _update(campaign)
    if not is_new:
        return
    for name, rows in chosen.items():
        getattr(campaign, name).set(rows)
    record(by, "campaign.audience_changed", campaign)


@transaction.atomic(durable=True)
def save_content(campaign: Campaign, *, kind: str, source: str, by: User, over: str | None = None) -> None:
    """Keep what was written, with its mistakes: preflight names them.

    over: as for the audience.
    Raises: WrongState: no draft any more. ChangedElsewhere.
    """
    if _update(campaign, "content", over, content_kind=kind, content=source):
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
    over: str | None = None,
    **tracking: bool | str,
) -> None:
    """Say what it is called in the inbox, whom it is from, which way it goes, and what is watched of it.

    over: as for the audience. tracking: some of TRACKING.
    Raises: WrongState: no draft any more. ChangedElsewhere. NotHere: an account of elsewhere.
    """
    assert tracking.keys() <= set(TRACKING)
    _check_ours(campaign, *([account] if account else []))
    changed = _update(
        campaign,
        "sender",
        over,
        subject=subject,
        preheader=preheader,
        from_name=from_name,
        from_email=from_email,
        reply_to=reply_to,
        account_id=account and account.pk,
        **tracking,
    )
    if changed:
        record(by, "campaign.sender_changed", campaign)


@transaction.atomic(durable=True)
def save_intended_time(
    campaign: Campaign,
    *,
    at: datetime.datetime | None,
    by: User,
    over: str | None = None,
    starts_gradually: bool | None = None,
) -> None:
    """Note when it is meant to leave; it leaves by itself only once it is scheduled.

    over: as for the audience. starts_gradually: None leaves it as it is.
    Raises: WrongState: no draft any more. ChangedElsewhere.
    """
    start = campaign.starts_gradually if starts_gradually is None else starts_gradually
    if _update(campaign, "schedule", over, scheduled_at=at, starts_gradually=start):
        record(by, "campaign.time_changed", campaign)


def _update(campaign: Campaign, step: str = "", over: str | None = None, **values: Any) -> bool:
    """Write the values into a draft, and into the object at hand; whether they were others before.

    Where `over` is named, the row has to hold what the object at hand holds, and that has to be what the writer
    has seen. To write what is stored already is no conflict: the answer to the first try may have got lost.
    """
    held = {name: getattr(campaign, name) for name in values}
    is_seen = over is None or held == values or over == version(campaign, step)
    rows = Campaign.objects.filter(pk=campaign.pk, state=State.DRAFT, **({} if over is None else held))
    if not (is_seen and rows.update(**values, updated_at=timezone.now())):
        refusal = _not_written(campaign)
        if campaign.is_editable and values == {name: getattr(campaign, name) for name in values}:
            return False  # one save came twice at once: as one types, and by the button
        raise refusal
    for name, value in values.items():
        setattr(campaign, name, value)
    return held != values


def _not_written(campaign: Campaign) -> WrongState:
    """Why: it is no draft any more, or holds something else than it did."""
    campaign.refresh_from_db()
    if not campaign.is_editable:
        return WrongState(_why_closed(campaign))
    zone = campaign.workspace.zone
    at, now = campaign.updated_at.astimezone(zone), timezone.now().astimezone(zone)
    when = f"{at:%H:%M}" if at.date() == now.date() else f"{at:%-d %b, %H:%M}"
    # The time may be that of a later change in another step; it is only there to remind somebody.
    return ChangedElsewhere(f"Changed in another tab or by somebody else at {when}.")


def _why_closed(campaign: Campaign) -> str:
    if campaign.state == State.SCHEDULED:
        return "This campaign is scheduled; unschedule it to change it."
    state = State(campaign.state).label.lower()
    return f"This campaign is {state} and cannot be changed any more; duplicate it to write another one."


def _check_ours(campaign: Campaign, *rows: Any) -> None:
    if any(row.workspace_id != campaign.workspace_id for row in rows):
        raise NotHere("That list, segment or sending account is not in this workspace; choose another one.")
