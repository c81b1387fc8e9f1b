"""The live monitor while a campaign is sent, the report after it, and each recipient's outcome."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from campaigns.models import Campaign, State
from campaigns.queries import campaigns as queries
from campaigns.queries import segments
from campaigns.queries.came_back import came_back
from delivery.doubt import rule_of
from delivery.hygiene.standing import CAME_BACK
from delivery.models import DeliveryState
from delivery.monitor import breakdown, workers_on
from delivery.preferences import reasons
from delivery.queries import DID, progress
from delivery.tracking.report import is_nameless, link_of, watched


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
    counts_all = request.GET.get("count") == "all"
    is_moving = campaign.state == State.SENDING
    is_open = campaign.state in (State.SENDING, State.PAUSED)
    stands = progress(campaign.mailing) if campaign.mailing else None
    is_live = is_open or bool(stands and stands.open)  # the rest of a canceled one is closed bit by bit
    found = breakdown(campaign.mailing) if campaign.mailing else None
    context = {
        "campaign": campaign,
        "stage": stage,
        "mailing": campaign.mailing,
        "progress": stands,
        "in_doubt_rule": rule_of(campaign.mailing) if campaign.mailing else "",
        "is_moving": is_moving,
        "is_open": is_open,
        "is_live": is_live,
        "is_polled": is_live or bool(found and found.is_behind),
        "figures": queries.figures(campaign),
        "segment": segments.addresses(campaign),
        "came_back": came_back(campaign, stands),
        "breakdown": found,
        "answers": reasons.of_mailing(campaign.mailing) if campaign.mailing and not request.htmx else None,
        "workers": workers_on(campaign.mailing) if campaign.mailing and is_moving else [],
        "watched": watched(campaign.mailing, with_machines=counts_all) if campaign.mailing else None,
    }
    return render_part(request, "campaigns/report.html", "campaigns/_polled.html", context, target="progress")


@needs(Role.VIEWER)
def recipients(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = _campaign(request, pk)
    search, code = (request.GET.get(name, "").replace("\0", "").strip() for name in ("search", "code"))
    state, feedback = request.GET.get("state", ""), request.GET.get("feedback", "")
    after = request.GET.get("after", "")
    link = link_of(campaign.mailing, request.GET.get("link", "")) if campaign.mailing else None
    page = queries.recipients(
        campaign, state=state, feedback=feedback, code=code, search=search, after=after, link=link
    )
    context = {"campaign": campaign, "page": page, "search": search, "state": state, "code": code}
    context |= {"feedback": feedback, "feedbacks": CAME_BACK.items(), "link": link}
    if not (search or code):  # which no segment could say
        context["segment_url"] = segments.address_of(campaign, [state, feedback], link.url if link else "")
    states = [each for each in DeliveryState.choices if each[0] != DeliveryState.PENDING]
    names_nobody = campaign.mailing and is_nameless(campaign.mailing)
    context["chips"] = states if names_nobody else [*states, *DID.items()]
    return render(request, "campaigns/recipients.html", context)
