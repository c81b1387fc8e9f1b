"""What the shell around every page shows: the places to go, and what the person may do."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from accounts.models import Role

# (label, url name, icon of Tabler, the role that sees it)
PLACES = (
    ("Home", "home", "home", Role.VIEWER),
    ("Campaigns", "campaigns", "send", Role.VIEWER),
    ("Contacts", "contacts", "users", Role.VIEWER),
    ("Lists", "lists", "list-details", Role.VIEWER),
    ("Segments", "segments", "filter", Role.VIEWER),
    ("Imports", "imports", "file-import", Role.VIEWER),
    ("Suppression", "suppressions", "ban", Role.VIEWER),
    ("Bounces", "bounces", "mail-x", Role.VIEWER),
    ("Sending", "sending", "server", Role.ADMIN),
    ("Operations", "operations", "activity-heartbeat", Role.ADMIN),
    ("Settings", "workspace_settings", "settings", Role.ADMIN),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    membership = getattr(request, "membership", None)
    role = Role(membership.role) if membership else None
    return {
        "workspace": getattr(request, "workspace", None),
        "places": [_place(request, *place) for place in PLACES if role and role.may(place[3])],
        # In templates: {% if may.marketer %}
        "may": {each.value: bool(role and role.may(each)) for each in Role},
        "inbox_on": settings.INBOX,
    }


def _place(request: HttpRequest, label: str, name: str, icon: str, _role: Role) -> dict[str, Any]:
    url = reverse(name)
    return {"label": label, "url": url, "icon": icon, "is_here": _is_at(request.path, url)}


def _is_at(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)
