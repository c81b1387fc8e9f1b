"""The verbs on a campaign: each a POST that calls its action and goes back to a page."""

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from campaigns.actions import lifecycle
from campaigns.forms.moments import moment
from campaigns.forms.pace import PaceForm
from campaigns.models import Campaign, State


def _campaign(request: WorkspaceRequest, pk: int) -> Campaign:
    campaigns = Campaign.objects.of(request.workspace).select_related("workspace", "account", "mailing")
    found: Campaign = get_object_or_404(campaigns, pk=pk)
    return found


def _verb(action: Callable[..., object], said: str, then: str = "campaign") -> Callable[..., HttpResponse]:
    """A view that does one thing to a campaign and says so; a refusal is said on the campaign's page."""

    @needs(Role.MARKETER)
    @require_POST
    def view(request: WorkspaceRequest, pk: int) -> HttpResponse:
        campaign = _campaign(request, pk)
        try:
            action(campaign, by=request.user)
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return redirect("campaign", campaign.pk)
        messages.success(request, said.format(campaign))
        return redirect(then, campaign.pk) if then == "campaign" else redirect(then)

    return view


pause = _verb(lifecycle.pause, "“{}” is paused; what is being handed over ends within a second or two.")
resume = _verb(lifecycle.resume, "“{}” goes on.")
send_rest = _verb(lifecycle.send_rest, "“{}” goes to everybody from now on.")
cancel = _verb(lifecycle.cancel, "“{}” is canceled; nothing more of it is sent.")
unschedule = _verb(lifecycle.unschedule, "“{}” is a draft again.")
reopen = _verb(lifecycle.reopen, "“{}” is a draft again.")
archive = _verb(lifecycle.archive, "“{}” is archived.", "campaigns")
unarchive = _verb(lifecycle.unarchive, "“{}” is back among the campaigns.", "campaigns")
delete = _verb(lifecycle.delete, "“{}” is deleted.", "campaigns")


@needs(Role.MARKETER)
@require_POST
def send(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    try:
        lifecycle.send_now(campaign, by=request.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        is_draft = campaign.state in (State.DRAFT, State.SCHEDULED)
        return redirect("campaign_review" if is_draft else "campaign_report", campaign.pk)
    return redirect("campaign_report", campaign.pk)


@needs(Role.MARKETER)
@require_POST
def schedule(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    try:
        typed = request.POST.get("at", "")
        at = parse_datetime(typed)
        if at is None:
            raise lifecycle.BadTime("Choose a date and a time.")
        at = at if at.tzinfo else moment(typed, campaign.workspace.zone)
        lifecycle.schedule(campaign, at=at, by=request.user)
    except (Refusal, ValueError, OverflowError) as error:
        messages.error(request, getattr(error, "message", "That is no date and time."))
    return redirect("campaign_review", campaign.pk)


@needs(Role.MARKETER)
@require_POST
def pace(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    form = PaceForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(map(str, form.errors["per_second"])))
        return redirect("campaign_report", pk)
    per_second = form.cleaned_data["per_second"]
    try:
        lifecycle.set_pace(campaign, per_second=per_second, by=request.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        words = f"at most {per_second:g} messages a second" if per_second else "as fast as its account allows"
        messages.success(request, f"“{campaign}” is sent {words} from now on.")
    return redirect("campaign_report", pk)


@needs(Role.MARKETER)
@require_POST
def retry(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    state, code = (request.POST.get(name, "").replace("\0", "") for name in ("state", "code"))
    try:
        count = lifecycle.retry(campaign, state=state, code=code, by=request.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"{count:,} {'message is' if count == 1 else 'messages are'} tried again.")
    return redirect("campaign_report", pk)


@needs(Role.MARKETER)
@require_POST
def count_as_delivered(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    try:
        count = lifecycle.count_as_delivered(campaign, by=request.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        counts = "message counts" if count == 1 else "messages count"
        messages.success(request, f"{count:,} {counts} as delivered.")
    return redirect("campaign_report", pk)


@needs(Role.MARKETER)
@require_POST
def duplicate(request: WorkspaceRequest, pk: int) -> HttpResponse:
    copy = lifecycle.duplicate(_campaign(request, pk), by=request.user)
    messages.success(request, f"“{copy}” is a new draft.")
    return redirect("campaign_audience", copy.pk)
