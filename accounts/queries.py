"""How workspaces and their people are read."""

from django.db.models import QuerySet

from accounts.models import Invitation, Membership, Workspace


def fresh(workspace: Workspace) -> Workspace:
    """A copy of the workspace to fill a form from: a refused form must not change what the page shows."""
    return Workspace.objects.get(pk=workspace.pk)


def members(workspace: Workspace) -> QuerySet[Membership]:
    return Membership.objects.filter(workspace=workspace).select_related("user").order_by("joined_at", "pk")


def open_invitations(workspace: Workspace) -> QuerySet[Invitation]:
    return (
        Invitation.objects.filter(workspace=workspace, accepted_at=None)
        .select_related("invited_by")
        .order_by("-created_at")
    )
