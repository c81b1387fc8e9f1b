"""A workspace's rules of tracking: what a mailing takes from them at its launch, and their change."""

from typing import Final

from django.db import transaction

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.models import CustomField
from contacts.models.fields import FieldType
from delivery.models import Tracking
from delivery.tracking.writing import Tracked

WRITTEN: Final = ("opens", "clicks", "is_nameless", "needs_consent", "consent_field")


class NotHere(Refusal):
    code = "not_found"
    status = 404


def rules_of(workspace: Workspace) -> Tracking:
    """The row, or an unsaved one with the usual rules."""
    return Tracking.objects.filter(workspace=workspace).select_related("consent_field").first() or Tracking(
        workspace=workspace
    )


def tracked(workspace: Workspace, *, opens: bool, clicks: bool) -> Tracked | None:
    """What a mailing that is launched now watches; None: nothing. One query."""
    rules = rules_of(workspace)
    opens, clicks = opens and rules.opens, clicks and rules.clicks
    field = rules.consent_field
    if not (opens or clicks) or (rules.needs_consent and field is None):
        return None
    return Tracked(
        opens,
        clicks,
        is_nameless=rules.is_nameless,
        consent=field.key if rules.needs_consent and field else "",
    )


def counted(workspace: Workspace, *, opens: bool, clicks: bool) -> str:
    """What of a campaign that asks for these would be counted, in words."""
    found = tracked(workspace, opens=opens, clicks=clicks)
    if found is None:
        return "Neither opens nor clicks"
    what = "Opens and clicks" if found.opens and found.clicks else "Opens" if found.opens else "Clicks"
    whose = " of people who have agreed" if found.consent else ""
    return what + whose + (", as totals alone" if found.is_nameless else "")


@transaction.atomic(durable=True)
def change(
    workspace: Workspace,
    *,
    opens: bool,
    clicks: bool,
    is_nameless: bool,
    needs_consent: bool,
    consent_field: CustomField | None,
    domain: str,
    by: User,
) -> Tracking:
    """Rules for what is launched from now on; a new domain is used once it was seen to lead here.

    Raises: NotHere: the field is another workspace's, or no yes-or-no field.
    """
    if consent_field and (
        consent_field.workspace_id != workspace.pk or consent_field.type != FieldType.BOOLEAN
    ):
        raise NotHere("That field is not in this workspace, or no yes-or-no field; choose another one.")
    rules, _ = Tracking.objects.select_for_update().get_or_create(workspace=workspace)
    rules.opens, rules.clicks, rules.is_nameless = opens, clicks, is_nameless
    rules.needs_consent, rules.consent_field = needs_consent, consent_field
    if domain != rules.domain:
        rules.domain, rules.domain_url, rules.domain_said, rules.domain_checked_at = domain, "", "", None
    rules.save()
    record(by, "tracking.changed", "", workspace=workspace)
    return rules
