"""What can be done with workspaces, their people and invitations."""

from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from accounts import registry
from accounts.errors import Refusal
from accounts.models import Invitation, Membership, Role, User, Workspace, record


class LastOwner(Refusal):
    code = "last_owner"


class InvitationGone(Refusal):
    code = "invitation_gone"
    status = 410


class MailNotSent(Refusal):
    code = "mail_not_sent"
    status = 503


@transaction.atomic
def create_workspace(user: User, *, name: str, time_zone: str = "UTC") -> Workspace:
    """Make a workspace with the person as its owner; other rooms fill it through the registry."""
    workspace = Workspace.objects.create(name=name, time_zone=time_zone)
    Membership.objects.create(workspace=workspace, user=user, role=Role.OWNER)
    for fill in registry.on_workspace_created:
        fill(workspace)
    record(user, "workspace.created", name, workspace=workspace)
    return workspace


@transaction.atomic(durable=True)
def update_workspace(
    workspace: Workspace,
    *,
    by: User,
    **values: Any,
) -> None:
    """values: columns of the workspace."""
    Workspace.objects.filter(pk=workspace.pk).update(**values)
    record(by, "workspace.changed", values.get("name", workspace.name), workspace=workspace)


@transaction.atomic(durable=True)
def invite(workspace: Workspace, *, email: str, role: Role, by: User) -> Invitation:
    """Offer a role by mail; a second invitation of the same address replaces the first.

    Raises: Refusal: already a member, or only an owner may offer this. MailNotSent: nothing was offered.
    """
    _check_may_grant(workspace, role, by)
    if Membership.objects.filter(workspace=workspace, user__email__iexact=email).exists():
        raise Refusal(f"{email} is a member already; change the role in the list.", code="already_member")
    Invitation.objects.filter(workspace=workspace, email__iexact=email, accepted_at=None).delete()
    try:
        with transaction.atomic():
            invitation = Invitation.objects.create(workspace=workspace, email=email, role=role, invited_by=by)
    except IntegrityError as error:  # two people at once
        raise Refusal(f"{email} has just been invited by somebody else.", code="already_invited") from error
    record(by, "invitation.sent", invitation)
    _send(invitation)
    return invitation


def _send(invitation: Invitation) -> None:
    url = settings.PUBLIC_URL + reverse("invitation", args=[invitation.token])
    context = {"invitation": invitation, "url": url, "days": Invitation.DAYS}
    subject = f"{invitation.invited_by} invites you to {invitation.workspace} on Volley"
    message = EmailMultiAlternatives(
        subject=" ".join(subject.split()),  # names of earlier days may hold line breaks
        body=render_to_string("accounts/mail/invitation.txt", context),
        to=[invitation.email],
    )
    message.attach_alternative(render_to_string("accounts/mail/invitation.html", context), "text/html")
    try:
        message.send()
    except OSError as error:
        words = "The invitation could not be mailed: the mail server is not reachable. Try again in a minute."
        raise MailNotSent(words) from error


@transaction.atomic(durable=True)
def withdraw(invitation: Invitation, *, by: User) -> None:
    record(by, "invitation.withdrawn", invitation)
    invitation.delete()


def open_invitation(token: str) -> Invitation | None:
    """The invitation that the link stands for, whether or not it can still be taken."""
    if "\0" in token:  # PostgreSQL knows no such text
        return None
    return Invitation.objects.select_related("workspace", "invited_by").filter(token=token).first()


@transaction.atomic
def accept(invitation: Invitation, *, by: User) -> Membership:
    """Make the person a member; a member keeps the higher of both roles.

    Raises: InvitationGone: used before, or older than Invitation.DAYS.
    """
    if not Invitation.objects.open().filter(pk=invitation.pk).update(accepted_at=timezone.now()):
        raise InvitationGone("This invitation was used or has expired. Ask for a new one.")
    offered = Role(invitation.role)
    membership, is_new = Membership.objects.get_or_create(
        workspace=invitation.workspace, user=by, defaults={"role": offered}
    )
    if not is_new and not Role(membership.role).may(offered):
        membership.role = offered
        membership.save(update_fields=["role"])
    record(by, "invitation.accepted", invitation)
    return membership


@transaction.atomic(durable=True)
def change_role(membership: Membership, *, to: Role, by: User) -> None:
    """Raises: LastOwner; Refusal: only owners make or unmake owners."""
    locked = _locked(membership)
    _check_may_grant(locked.workspace, to, by)
    _check_may_touch(locked, by)
    if to != Role.OWNER:
        _keep_an_owner(locked)
    if not to.may(Role(locked.role)):
        _take_back_invitations(locked)
    Membership.objects.filter(pk=locked.pk).update(role=to)
    record(by, f"member.made_{to}", locked.user, workspace=locked.workspace)


@transaction.atomic(durable=True)
def remove_member(membership: Membership, *, by: User) -> None:
    """Take somebody out of the workspace; anyone may take out themselves. Raises: LastOwner; Refusal."""
    locked = _locked(membership)
    if locked.user_id != by.pk:
        _check_may_touch(locked, by)
    _keep_an_owner(locked)
    record(by, "member.removed", locked.user, workspace=locked.workspace)
    _take_back_invitations(locked)
    locked.delete()


@transaction.atomic(durable=True)
def keep_columns(membership: Membership, *, table: str, names: list[str] | None) -> None:
    """Keep which columns the member sees in a table, None: those it comes with. What other tables show stays."""
    locked = Membership.objects.select_for_update().filter(pk=membership.pk).first()
    if locked is None:  # taken out of the workspace in the same moment
        return
    others = {key: held for key, held in locked.columns.items() if key != table}
    locked.columns = others if names is None else {**others, table: names}
    locked.save(update_fields=["columns"])


def _take_back_invitations(membership: Membership) -> None:
    """Nobody comes back, or keeps a role, by an invitation they wrote before they lost it."""
    Invitation.objects.filter(
        workspace=membership.workspace, invited_by=membership.user, accepted_at=None
    ).delete()


def _locked(membership: Membership) -> Membership:
    """The membership, with the workspace locked so that two owners cannot leave at once."""
    Workspace.objects.select_for_update().get(pk=membership.workspace_id)
    found = Membership.objects.select_related("workspace", "user").filter(pk=membership.pk).first()
    if found is None:
        raise Refusal("This person has left the workspace meanwhile.", code="gone", status=404)
    return found


def _role_of(user: User, workspace: Workspace) -> Role:
    return Role(Membership.objects.get(user=user, workspace=workspace).role)


def _check_may_grant(workspace: Workspace, role: Role, by: User) -> None:
    if role == Role.OWNER and _role_of(by, workspace) != Role.OWNER:
        raise Refusal("Only an owner can make somebody an owner.", code="owner_needed", status=403)


def _check_may_touch(membership: Membership, by: User) -> None:
    if membership.role == Role.OWNER and _role_of(by, membership.workspace) != Role.OWNER:
        raise Refusal("Only an owner can change an owner.", code="owner_needed", status=403)


def _keep_an_owner(membership: Membership) -> None:
    others = Membership.objects.filter(workspace=membership.workspace, role=Role.OWNER).exclude(
        pk=membership.pk
    )
    if membership.role == Role.OWNER and not others.exists():
        raise LastOwner(f"{membership.user} is the only owner. Make somebody else an owner first.")
