"""Puts the person's workspace on the request: the one chosen in the session, else the first they joined."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.models import Membership

Handler = Callable[[HttpRequest], HttpResponse]
SESSION_KEY = "workspace"
INVITATION_KEY = "invitation"  # the token of one followed before signing in


def workspace(get_response: Handler) -> Handler:
    """Set request.memberships (all of the person's, by name), request.membership and request.workspace, or None."""

    def middleware(request: Any) -> HttpResponse:
        request.memberships, request.membership, request.workspace = [], None, None
        if request.user.is_authenticated:
            mine = Membership.objects.filter(user=request.user).select_related("workspace")
            request.memberships = list(mine.order_by("workspace__name", "id"))
            request.membership = _chosen(request.memberships, request.session.get(SESSION_KEY))
            request.workspace = request.membership and request.membership.workspace
        return get_response(request)

    return middleware


def _chosen(memberships: list[Membership], workspace_id: int | None) -> Membership | None:
    by_age = sorted(memberships, key=lambda membership: membership.pk)
    return next(
        (each for each in memberships if each.workspace_id == workspace_id), by_age[0] if by_age else None
    )
