"""How signing up works here: allauth asks this."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.db import transaction
from django.http import HttpRequest

from accounts.actions import MailNotSent, accept, create_workspace, open_invitation
from accounts.middleware import INVITATION_KEY, SESSION_KEY
from accounts.models import Invitation, User

log = logging.getLogger(__name__)
# Mail without which a person can go on; the others say that they could not be sent.
OPTIONAL_MAIL = ("account/email/email_confirmation", "account/email/email_confirmation_signup")


def invited(request: HttpRequest) -> Invitation | None:
    """The invitation that was followed before signing up, while it can still be taken."""
    found = open_invitation(request.session.get(INVITATION_KEY, ""))
    return found if found and found.is_open else None


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "cannot_remove_primary_email": "Make another address the main one first.",
        "duplicate_email": "This is one of your addresses already.",
        "email_password_mismatch": "The e-mail address or the password is not correct.",
        "email_taken": "There is an account with this e-mail address already. Sign in instead.",
        "max_email_addresses": "You can have at most %d e-mail addresses; remove one first.",
        "unknown_email": "There is no account with this e-mail address.",
        "unverified_primary_email": "Confirm your main e-mail address first.",
    }

    @transaction.atomic
    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:  # noqa: FBT001, FBT002
        """A new person owns a new workspace, or joins the one they were invited to."""
        user.name = form.cleaned_data.get("name", "")
        super().save_user(request, user, form, commit=commit)
        invitation = invited(request)
        request.session.pop(INVITATION_KEY, None)
        if invitation:
            request.session[SESSION_KEY] = accept(invitation, by=user).workspace_id
        else:
            name = (
                form.cleaned_data.get("workspace")
                or f"{user.name or user.email.partition('@')[0]}’s workspace"
            )
            create_workspace(user, name=name[:120], time_zone=form.cleaned_data.get("time_zone") or "UTC")
        return user

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        try:
            super().send_mail(template_prefix, email, context)
        except OSError as error:
            log.warning("mail.failed template=%s error=%s", template_prefix, error)
            if template_prefix not in OPTIONAL_MAIL:
                words = "The mail could not be sent: the mail server is not reachable. Try again in a minute."
                raise MailNotSent(words) from error
