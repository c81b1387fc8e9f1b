"""A campaign sent to a few addresses to be looked at: nobody's consent is asked, no statistics count it."""

from dataclasses import replace

from django.db import transaction

from accounts.errors import Refusal
from accounts.models import User, record
from campaigns.content import compile_content
from campaigns.models import Campaign
from contacts.models import Contact
from delivery import actions as delivery
from delivery.models import Mailing
from delivery.preview import preview


class NotReady(Refusal):
    code = "not_ready"


@transaction.atomic(durable=True)
def send_test(campaign: Campaign, *, to: list[str], sample: Contact | None, by: User) -> Mailing:
    """Send the campaign as it stands, with “[Test]” before its subject, filled in as the sample contact.

    Raises: NotReady: something is missing that no message can do without. TemplateProblem, AccountStopped, SenderNotAllowed.
    """
    if campaign.account is None or not campaign.from_email:
        raise NotReady("Choose the From address and a sending account under “Subject and sender” first.")
    if not campaign.content.strip():
        raise NotReady("Write the content first: there is nothing to send yet.")
    written = compile_content(campaign)
    content = replace(written, subject=f"[Test] {written.subject or campaign.name}")
    preview(content, workspace=campaign.workspace, name=campaign.name, contact=sample)
    record(by, "campaign.tested", campaign)
    return delivery.send_test(
        workspace=campaign.workspace,
        name=campaign.name,
        account=campaign.account,
        content=content,
        to=to,
        sample=sample,
    )
