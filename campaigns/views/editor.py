"""The five steps in which a campaign is written; each saves itself as one types."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from accounts.access import SIGNED_OUT, NotAllowed, WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import render_part
from campaigns import preflight, starters
from campaigns.actions import editing
from campaigns.forms.editor import AudienceForm, ContentForm, NewCampaignForm, ScheduleForm, SenderForm, Step
from campaigns.forms.testing import SendTestForm
from campaigns.models import Campaign, ContentKind, State
from campaigns.views.steps import (
    audience_context,
    audience_count,
    content_context,
    next_step,
    shown_check,
    shown_steps,
)
from delivery.domains import actions as domains
from delivery.pipeline.plan import first_of
from delivery.tracking.rules import counted

View = Callable[[WorkspaceRequest, Campaign], HttpResponse]


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = NewCampaignForm(
        request.POST if request.method == "POST" else None,
        workspace=request.workspace,
        initial={name: request.GET.get(name) for name in ("list", "segment")},
    )
    if form.is_valid():
        data = form.cleaned_data
        to = data["list"] or data["segment"]
        campaign = editing.create(request.workspace, name=data["name"], to=to, by=request.user)
        return redirect("campaign_audience", campaign.pk)
    return render(request, "campaigns/new.html", {"form": form}, status=422 if form.is_bound else 200)


def _in_place(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A page that saves itself is told that its person is signed out, not led away from what is typed."""

    @wraps(view)
    def answered(request: WorkspaceRequest, pk: int) -> HttpResponse:
        if request.htmx and not request.user.is_authenticated:
            raise NotAllowed(SIGNED_OUT, code="signed_out")
        return view(request, pk)

    return answered


def _on_draft(view: View) -> Callable[[WorkspaceRequest, int], HttpResponse]:
    """Hand the campaign to the view; one that is no draft any more shows its own page instead."""

    @wraps(view)
    def opened(request: WorkspaceRequest, pk: int) -> HttpResponse:
        campaign = campaign_at(request, pk)
        if request.method != "POST" and not campaign.is_editable:
            return redirect("campaign", pk)
        return view(request, campaign)

    return opened


def campaign_at(request: WorkspaceRequest, pk: int) -> Campaign:
    found = Campaign.objects.of(request.workspace).select_related("workspace", "account")
    campaign: Campaign = get_object_or_404(found, pk=pk)
    return campaign


@_in_place
@needs(Role.MARKETER)
@_on_draft
def audience(request: WorkspaceRequest, campaign: Campaign) -> HttpResponse:
    form = AudienceForm(_typed(request), campaign=campaign)
    _save(form, editing.save_audience, request)
    return _step(request, "audience", form, audience_context(form))


@_in_place
@needs(Role.MARKETER)
@_on_draft
def content(request: WorkspaceRequest, campaign: Campaign) -> HttpResponse:
    if "starter" in request.POST:
        return _start_from(request, campaign, request.POST["starter"])
    form = ContentForm(_typed(request), campaign=campaign)
    _save(form, editing.save_content, request)
    return _step(request, "content", form, content_context(form))


def _start_from(request: WorkspaceRequest, campaign: Campaign, key: str) -> HttpResponse:
    """Lay a starter into an empty draft; what is written already stays."""
    known = {starter.key for starter in starters.STARTERS}
    if key in known and not campaign.content.strip():
        editing.save_content(
            campaign,
            kind=ContentKind.MJML,
            source=starters.source(key),
            by=request.user,
            over=editing.version(campaign, "content"),
        )
    return redirect("campaign_content", campaign.pk)


@_in_place
@needs(Role.MARKETER)
@_on_draft
def sender(request: WorkspaceRequest, campaign: Campaign) -> HttpResponse:
    form = SenderForm(_typed(request), campaign=campaign)
    _save(form, editing.save_sender, request)
    is_said = form.is_bound and not (form.refusal or form.errors or request.htmx)  # not while it is typed
    if is_said and campaign.account:
        domains.take_in(campaign.account, campaign.from_email, by=request.user)
    return _step(request, "sender", form, {})


@_in_place
@needs(Role.MARKETER)
@_on_draft
def schedule(request: WorkspaceRequest, campaign: Campaign) -> HttpResponse:
    form = ScheduleForm(_typed(request), campaign=campaign, is_automatic=bool(request.htmx))
    _save(form, editing.save_intended_time, request)
    return _step(request, "schedule", form, {})


@needs(Role.VIEWER)
def review(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = campaign_at(request, pk)
    if campaign.state not in (State.DRAFT, State.SCHEDULED):  # also while its recipients are being prepared
        return redirect("campaign_report", pk)
    test = SendTestForm(workspace=request.workspace, initial={"to": request.user.email})
    return review_page(request, campaign, test)


def review_page(
    request: WorkspaceRequest, campaign: Campaign, test: SendTestForm, *, status: int = 200
) -> HttpResponse:
    audience = audience_count(campaign)
    checks = preflight.checks(campaign, people=audience.get("people"))
    context = {
        "campaign": campaign,
        "checks": [shown_check(check, campaign) for check in checks],
        "is_ready": all(check.level != "error" for check in checks),
        "is_scheduled": campaign.state == State.SCHEDULED,
        "audience": audience,
        "counted": counted(campaign.workspace, opens=campaign.track_opens, clicks=campaign.track_clicks),
        "first_count": _first_count(campaign, audience),
        "steps": shown_steps(campaign, "review"),
        "form": test,
    }
    return render(request, "campaigns/review.html", context, status=status)


def _first_count(campaign: Campaign, audience: dict[str, Any]) -> int:
    """How many it goes to before all others; 0: to everybody at once."""
    if not campaign.starts_gradually:
        return 0
    return first_of(campaign.workspace, campaign.account, audience.get("people", 0))


def _typed(request: WorkspaceRequest) -> Any:
    return request.POST if request.method == "POST" else None


def _save(form: Step, save: Callable[..., None], request: WorkspaceRequest) -> None:
    """Keep what can be kept; the form then tells what was not, and what was with its mistakes."""
    if form.is_bound:
        over = request.POST.get("over") or request.POST.get("version") or None
        try:
            save(form.campaign, **form.keep(), by=request.user, over=over)
        except Refusal as refusal:
            form.refusal = refusal
            return
    else:
        form.full_clean()
    form.check()


def _step(request: WorkspaceRequest, step: str, form: Step, context: dict[str, Any]) -> HttpResponse:
    """The page; after a save the next step's page, or for htmx what was saved and what needs mending."""
    if form.is_bound and not (form.refusal or form.errors or request.htmx):
        return redirect(f"campaign_{next_step(step)}", form.campaign.pk)
    newest = editing.version(form.campaign, step)
    context |= {
        "campaign": form.campaign,
        "form": form,
        "step": step,
        "steps": shown_steps(form.campaign, step),
        "newest": newest,
        "version": request.POST.get("version", "") if form.refusal else newest,
        "saved_at": timezone.now(),
    }
    page = f"campaigns/{step}.html"
    response = render_part(
        request, page, "campaigns/_saved.html", context, target="saved", status=_status(form)
    )
    if form.is_bound and not form.refusal:
        response["HX-Trigger"] = "campaign-saved"
    return response


def _status(form: Step) -> int:
    if form.refusal:
        return form.refusal.status
    return 422 if form.is_bound and form.errors else 200
