"""Home: what needs attention, what is in the air, what was sent last."""

from django.http import HttpResponse
from django.shortcuts import render

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from campaigns.queries import home as queries


@needs(Role.VIEWER)
def home(request: WorkspaceRequest) -> HttpResponse:
    return render(request, "campaigns/home.html", {"overview": queries.overview(request.workspace)})
