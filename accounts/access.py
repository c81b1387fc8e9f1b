"""Who may open a page: the one decorator that every view inside the workspace wears."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.adapter import get_adapter
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django_htmx.middleware import HtmxDetails

from accounts.errors import Refusal
from accounts.models import Membership, Role, User, Workspace

P = ParamSpec("P")
SIGNED_OUT = "you are signed out. Sign in in another tab, then type on."  # said behind "Not saved: "


class WorkspaceRequest(HttpRequest):
    """A request of a member: the workspace and the membership are there, the user is signed in."""

    workspace: Workspace
    membership: Membership
    user: User
    htmx: HtmxDetails


class NotAllowed(Refusal):
    code = "not_allowed"
    status = 403


def needs(
    role: Role,
) -> Callable[[Callable[Concatenate[WorkspaceRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Let only members with this role or a higher one into the view.

    The anonymous are sent to the sign-in page, those without a workspace to the page that makes one.
    Raises: NotAllowed (403): the role does not suffice.
    """

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: Any, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return _to_sign_in(request)
            if request.membership is None:
                return redirect("workspace_new")
            held = Role(request.membership.role)
            if not held.may(role):
                raise NotAllowed(
                    f"This needs the role “{role.label}”; yours is “{held.label}”. Ask an admin of the workspace."
                )
            return view(request, *args, **kwargs)

        guarded.needed_role = role  # type: ignore[attr-defined]
        return guarded

    return decorate


def _to_sign_in(request: WorkspaceRequest) -> HttpResponse:
    """The whole page goes there, and comes back to itself, also where htmx asked for a part of it."""
    if not request.htmx:
        return redirect_to_login(request.get_full_path())
    back = request.htmx.current_url_abs_path or "/"
    return HttpResponse(status=204, headers={"HX-Redirect": redirect_to_login(back).url})


def client_ip(request: HttpRequest) -> str:
    """The visitor's address as limits and consent records know it: behind a proxy, the one it saw."""
    ip: str = get_adapter().get_client_ip(request)
    return ip
