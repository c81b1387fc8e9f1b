"""Workspaces, their settings, people and invitations."""

import zoneinfo

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts import actions, queries
from accounts.access import NotAllowed, WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.forms import InviteForm, NewWorkspaceForm, RoleForm, WorkspaceForm
from accounts.middleware import INVITATION_KEY, SESSION_KEY
from accounts.models import AuditEntry, Invitation, Membership, Role, User
from accounts.pages import page_of


@login_required
def workspace_new(request: HttpRequest) -> HttpResponse:
    assert isinstance(request.user, User)
    form = NewWorkspaceForm(request.POST or None)
    if form.is_valid():
        made = actions.create_workspace(request.user, **form.cleaned_data)
        request.session[SESSION_KEY] = made.pk
        return redirect("home")
    return render(
        request, "accounts/workspace_new.html", {"form": form}, status=422 if form.is_bound else 200
    )


@login_required
@require_POST
def workspace_switch(request: HttpRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(Membership, user=request.user, workspace_id=pk)
    request.session[SESSION_KEY] = membership.workspace_id
    return redirect("home")


@needs(Role.ADMIN)
def workspace_settings(request: WorkspaceRequest) -> HttpResponse:
    form = WorkspaceForm(request.POST or None, instance=queries.fresh(request.workspace))
    if form.is_valid():
        actions.update_workspace(request.workspace, **form.cleaned_data, by=request.user)
        messages.success(request, "Saved.")
        return redirect("workspace_settings")
    context = {"form": form, "zones": sorted(zoneinfo.available_timezones())}
    return render(request, "accounts/settings.html", context, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def people(request: WorkspaceRequest) -> HttpResponse:
    return _people(request, InviteForm())


def _people(request: WorkspaceRequest, form: InviteForm, *, status: int = 200) -> HttpResponse:
    context = {
        "form": form,
        "memberships": queries.members(request.workspace),
        "invitations": queries.open_invitations(request.workspace),
        "roles": Role.choices,
        "days": Invitation.DAYS,
    }
    return render(request, "accounts/people.html", context, status=status)


@needs(Role.ADMIN)
@require_POST
def invite(request: WorkspaceRequest) -> HttpResponse:
    form = InviteForm(request.POST)
    if not form.is_valid():
        return _people(request, form, status=422)
    try:
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        actions.invite(request.workspace, email=email, role=role, by=request.user)
    except Refusal as refusal:
        form.add_error("email", refusal.message)
        return _people(request, form, status=refusal.status)
    messages.success(request, f"An invitation was mailed to {form.cleaned_data['email']}.")
    return redirect("people")


@needs(Role.ADMIN)
@require_POST
def invitation_withdraw(request: WorkspaceRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(Invitation, workspace=request.workspace, pk=pk, accepted_at=None)
    actions.withdraw(invitation, by=request.user)
    messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return redirect("people")


@needs(Role.ADMIN)
@require_POST
def member_role(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(
        Membership.objects.select_related("user"), workspace=request.workspace, pk=pk
    )
    form = RoleForm(request.POST)
    if form.is_valid():
        actions.change_role(membership, to=Role(form.cleaned_data["role"]), by=request.user)
        messages.success(
            request, f"{membership.user} is now {Role(form.cleaned_data['role']).label.lower()}."
        )
    else:
        messages.error(request, "That is not a role.")
    return redirect("people")


@needs(Role.VIEWER)
@require_POST
def member_remove(request: WorkspaceRequest, pk: int) -> HttpResponse:
    membership = get_object_or_404(
        Membership.objects.select_related("user"), workspace=request.workspace, pk=pk
    )
    is_self = membership.user_id == request.user.pk
    if not is_self and not Role(request.membership.role).may(Role.ADMIN):
        raise NotAllowed("Only an admin can remove somebody else.")
    actions.remove_member(membership, by=request.user)
    messages.success(request, "You have left." if is_self else f"{membership.user} was removed.")
    return redirect("home" if is_self else "people")


@needs(Role.ADMIN)
def audit(request: WorkspaceRequest) -> HttpResponse:
    rows = AuditEntry.objects.filter(workspace=request.workspace).select_related("user")
    page = page_of(rows, order="-id", cursor=request.GET.get("cursor", ""))
    return render(request, "accounts/audit.html", {"page": page})


def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Show who invites to what; the token is kept for a sign-up that follows."""
    found = _invitation(token)
    if found.is_open:
        request.session[INVITATION_KEY] = token
    return render(request, "accounts/invitation.html", {"invitation": found, "is_open": found.is_open})


@login_required
@require_POST
def invitation_accept(request: HttpRequest, token: str) -> HttpResponse:
    assert isinstance(request.user, User)
    membership = actions.accept(_invitation(token), by=request.user)
    request.session[SESSION_KEY] = membership.workspace_id
    request.session.pop(INVITATION_KEY, None)
    messages.success(request, f"Welcome to {membership.workspace}.")
    return redirect("home")


def _invitation(token: str) -> Invitation:
    found = actions.open_invitation(token)
    if found is None:
        raise Http404("There is no such invitation. It may have been withdrawn.")
    return found
