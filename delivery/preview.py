"""How a message will read, as any contact: for previews and preflight."""

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from django.utils.functional import SimpleLazyObject

from accounts.models import Workspace
from contacts.models import Contact
from delivery.content import Content
from delivery.pipeline.mold import Frame, Mold, Recipient, Rendered
from delivery.pipeline.molds import defaults_of

SAMPLE = Recipient(number=0, email="sam@example.com", first_name="Sam", last_name="Sample", attributes={})


def preview(content: Content, *, workspace: Workspace, name: str, contact: Contact | None) -> Rendered:
    """Fill the content in as the contact, or with sample values.

    Raises: TemplateProblem: it does not parse, or fails for this contact.
    """
    return draft_mold(content, workspace=workspace, name=name).render(recipient_of(contact))


def draft_mold(content: Content, *, workspace: Workspace, name: str, list_name: str | None = None) -> Mold:
    """A mold outside any mailing; its links lead nowhere. list_name: of the list that it asks to confirm."""
    frame = Frame(
        mailing_id=0,
        workspace_id=workspace.pk,
        workspace_name=workspace.name,
        postal_address=workspace.postal_address,
        campaign_name=name,
        is_test=True,
        list_name=list_name,
        # Asked where the content reads a field.
        defaults=cast(Mapping[str, Any], SimpleLazyObject(partial(defaults_of, workspace))),
    )
    return Mold(content, frame)


def recipient_of(contact: Contact | None) -> Recipient:
    if contact is None:
        return SAMPLE
    return Recipient(0, contact.email, contact.first_name, contact.last_name, contact.attributes)
