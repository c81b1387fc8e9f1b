"""The list of campaigns, and the way to one's right page."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import page_of, render_part
from campaigns.models import Campaign, State
from campaigns.queries import campaigns as queries

ORDERS = {"newest": "-id", "name": "name"}


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    search = request.GET.get("search", "").replace("\0", "").strip()
    state = request.GET.get("state", "")
    found = queries.found(request.workspace, search=search, state=state)
    order = request.GET.get("order", "newest")
    page = page_of(found, order=ORDERS.get(order, "-id"), cursor=request.GET.get("cursor", ""))
    context = {
        "page": page,
        "search": search,
        "state": state,
        "order": order,
        "chips": [*State.choices, ("archived", "Archived")],
        "in_the_air": any(campaign.state == State.SENDING for campaign in page.rows),
    }
    return render_part(
        request, "campaigns/campaigns.html", "campaigns/_campaigns.html", context, target="campaigns"
    )


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Where a campaign is looked at depends on how far it has come."""
    campaign = get_object_or_404(Campaign.objects.of(request.workspace), pk=pk)
    if campaign.state == State.DRAFT and Role(request.membership.role).may(Role.MARKETER):
        return redirect("campaign_audience", pk)
    return redirect(
        "campaign_review" if campaign.state in (State.DRAFT, State.SCHEDULED) else "campaign_report", pk
    )
