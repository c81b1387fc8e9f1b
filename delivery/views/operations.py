"""The machinery's page for admins, and the same in figures for Prometheus."""

import hmac

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from delivery import metrics
from delivery.operations import overview


@needs(Role.ADMIN)
def operations(request: WorkspaceRequest) -> HttpResponse:
    context = {"overview": overview()}
    page, part = "delivery/operations.html", "delivery/_operations.html"
    return render_part(request, page, part, context, target="operations")


def prometheus(request: HttpRequest) -> HttpResponse:
    """Figures for whoever holds METRICS_TOKEN as a bearer token; not there where none is set."""
    if not settings.METRICS_TOKEN:
        raise Http404
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), settings.METRICS_TOKEN.encode()):
        return HttpResponse("A bearer token is needed.\n", status=401, content_type="text/plain")
    return HttpResponse(metrics.text(overview()), content_type="text/plain; version=0.0.4; charset=utf-8")
