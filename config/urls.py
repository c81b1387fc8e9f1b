"""Every room's pages, and the checks that a load balancer asks for."""

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from config import fast


def healthz(_request: HttpRequest) -> HttpResponse:
    """200 while the web process reaches its database."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok\n", content_type="text/plain")


handler400 = "config.views.bad_request"
handler404 = "config.views.not_found"

urlpatterns = [
    path("healthz", healthz, name="healthz"),
    path("o/<path:rest>", fast.page, name="opened"),
    path("c/<path:rest>", fast.page, name="clicked"),
    path(".well-known/volley", fast.page, name="well_known"),
    path("hooks/<str:provider>/<str:key>/", fast.page, name="hook"),
    path("", include("accounts.urls")),
    path("", include("contacts.urls")),
    path("", include("delivery.urls")),
    path("", include("campaigns.urls")),
]
