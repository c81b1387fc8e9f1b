"""The live monitor while a campaign is sent, the report after it, and each recipient's outcome."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from campaigns.models import Campaign, State
from campaigns.queries import campaigns as queries
from campaigns.queries import segments
from delivery.models import DeliveryState
from delivery.monitor import breakdown, workers_on
from delivery.preferences import reasons
from delivery.queries import progress


def _campaign(request: WorkspaceRequest, pk: int) -> Campaign:
    related = ("workspace", "account", "mailing__account", "mailing__workspace")
    found: Campaign = get_object_or_404(
        Campaign.objects.of(request.workspace).select_related(*related), pk=pk
    )
    return found


@needs(Role.VIEWER)
def report(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    if campaign.state in (State.DRAFT, State.SCHEDULED):
        return redirect("campaign", pk)
    stage = f"{campaign.state}-{campaign.mailing_id or 0}"
    if request.htmx and request.GET.get("seen", stage) != stage:
        return HttpResponse(headers={"HX-Refresh": "true"})  # other buttons, other parts
    is_moving = campaign.state == State.SENDING
    is_open = campaign.state in (State.SENDING, State.PAUSED)
    stands = progress(campaign.mailing) if campaign.mailing else None
    context = {
        "campaign": campaign,
        "stage": stage,
        "mailing": campaign.mailing,
        "progress": stands,
        "is_moving": is_moving,
        "is_open": is_open,
        "is_live": is_open or bool(stands and stands.open),  # the rest of a canceled one is closed bit by bit
        "figures": queries.figures(campaign),
        "segment": segments.addresses(campaign),
        "breakdown": breakdown(campaign.mailing) if campaign.mailing else None,
        "answers": reasons.of_mailing(campaign.mailing) if campaign.mailing and not request.htmx else None,
        "workers": workers_on(campaign.mailing) if campaign.mailing and is_moving else [],
    }
    return render_part(request, "campaigns/report.html", "campaigns/_polled.html", context, target="progress")


@needs(Role.VIEWER)
def recipients(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    search, code = (request.GET.get(name, "").replace("\0", "").strip() for name in ("search", "code"))
    state = request.GET.get("state", "")
    after = request.GET.get("after", "")
    page = queries.recipients(campaign, state=state, code=code, search=search, after=after)
    context = {"campaign": campaign, "page": page, "search": search, "state": state, "code": code}
    if not (search or code):  # which no segment could say
        context["segment_url"] = segments.addresses(campaign).get(state)
    context["chips"] = [each for each in DeliveryState.choices if each[0] != DeliveryState.PENDING]
    return render(request, "campaigns/recipients.html", context)
