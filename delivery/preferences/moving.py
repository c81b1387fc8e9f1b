"""A change of address: confirmed by a mail to the new one; until then all stays as it is.

The page says the same whatever becomes of it, so that nobody learns who else is a contact here.
"""

import html
import logging
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formataddr, formatdate, make_msgid
from enum import StrEnum
from typing import Final

from django.core import signing
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import Workspace
from accounts.queue import enqueue
from contacts.actions.preferences import move_or_merge
from contacts.models import Contact, Suppression
from delivery import links
from delivery.confirming.sender import Sender, way_of
from delivery.domains.signing import signer_for
from delivery.models import Confirmation, SendingAccount
from delivery.secrets import SecretsLost
from delivery.tracking.rules import rules_of
from delivery.transports import connect
from delivery.transports.base import CannotConnect, Fate, Message

JOB: Final = "delivery.jobs.mail_address_link"
SALT: Final = "volley.address"
LINK_DAYS: Final = 3
log = logging.getLogger(__name__)


class Stands(StrEnum):
    OPEN = "open"
    DONE = "done"
    OVER = "over"  # too old, or another change came between


def ask(contact: Contact, email: str, *, language: str) -> None:
    """Let a worker mail the new address; should the job get lost, the person asks again."""
    if email.lower() != contact.email.lower():
        enqueue(JOB, queue="system", contact_id=contact.pk, email=email, language=language)


def mail_link(contact_id: int, email: str, *, language: str) -> str:
    """Send it; talks to the server, for up to 70 seconds. Returns: "" when it was accepted, else why not."""
    contact = Contact.objects.select_related("workspace").filter(pk=contact_id).first()
    if contact is None:
        return "no longer a contact"
    if Suppression.objects.filter(workspace=contact.workspace, email=email.lower()).exists():
        return "suppressed"
    way = way_of(Confirmation(), contact.workspace)
    if way.problem or way.account is None:
        return way.problem
    url = links.address_url(token_of(contact, email), rules_of(contact.workspace).domain_url)
    with translation.override(language):
        source = _letter(way.sender, contact.workspace, email, url)
    try:
        signer = signer_for(way.account, way.sender.email)
        connection = connect(way.account)
    except SecretsLost as error:  # nothing leaves unsigned that was to be signed
        return _unsent(way.account, error.message)
    except CannotConnect as error:
        return _unsent(way.account, error.outcome.server_said or "no connection")
    pieces = [signer.sign([source]), source] if signer else [source]
    try:
        outcome = connection.send(Message(way.sender.email, email, pieces))
    finally:
        connection.close()
    return "" if outcome.fate is Fate.ACCEPTED else outcome.server_said or outcome.code


def _unsent(account: SendingAccount, said: str) -> str:
    """Tell the log, too, what nobody's address is part of."""
    log.warning("address.unsent account=%s said=%s", account.pk, said)
    return said


def token_of(contact: Contact, email: str) -> str:
    """Good for one change: the next one raises the number of former addresses."""
    return signing.dumps([contact.pk, contact.formers.count(), email], salt=SALT)


def find(token: str) -> tuple[Contact, str, Stands] | None:
    """Whose change it is, to which address, and where it stands; None where it was not signed by us, or they are gone."""
    try:
        pk, former_count, email = signing.loads(token, salt=SALT)
    except signing.BadSignature:
        return None
    rows = Contact.objects.select_related("workspace")
    contact = rows.filter(pk=pk).first() or rows.filter(formers__former_id=pk).first()
    if contact is None:
        return None
    if contact.email.lower() == email.lower():
        return contact, email, Stands.DONE
    try:
        signing.loads(token, salt=SALT, max_age=LINK_DAYS * 86400)
    except signing.SignatureExpired:
        return contact, email, Stands.OVER
    is_next = contact.pk == pk and contact.formers.count() == former_count
    return contact, email, Stands.OPEN if is_next else Stands.OVER


def confirm(contact: Contact, email: str) -> None:
    """Give the person the address. Raises: AddressTaken, CannotMerge: somebody was faster."""
    move_or_merge(contact, email)


def _letter(sender: Sender, workspace: Workspace, email: str, url: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = formataddr((sender.name, sender.email)), email
    message["Subject"] = _("Please confirm your new address")
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain=sender.email.rpartition("@")[2] or "volley.invalid")
    message["Auto-Submitted"] = "auto-generated"
    asks = _(
        "Somebody, most likely you, asked %(workspace)s to write to this address from now on. "
        "If it was you, confirm it:"
    ) % {"workspace": workspace.name}
    else_ = _("If it was not you, there is nothing to do: nothing changes.")
    message.set_content(f"{asks}\n\n{url}\n\n{else_}\n\n{workspace.name}\n")
    language = translation.get_language() or "en"
    button = html.escape(_("Confirm my new address"))
    link = html.escape(url)
    message.add_alternative(
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="color-scheme" content="light dark"></head>'
        '<body style="margin:0;padding:24px 12px;font:16px/1.5 Arial,sans-serif">'
        f'<div style="max-width:560px;margin:0 auto"><p>{html.escape(asks)}</p>'
        f'<p><a href="{link}" style="display:inline-block;padding:12px 22px;border-radius:6px;background:#0b5ed7;'
        f'color:#ffffff;font-weight:600;text-decoration:none">{button}</a></p>'
        f'<p style="font-size:13px;word-break:break-all"><a href="{link}">{link}</a></p>'
        f"<p>{html.escape(else_)}</p><p>{html.escape(workspace.name)}</p></div></body></html>\n",
        subtype="html",
    )
    return message.as_bytes()
