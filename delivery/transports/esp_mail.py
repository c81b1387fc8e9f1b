"""Letters as Django's messages, from which anymail makes an ESP's call; and finished messages as letters."""

import email
import email.policy
from collections.abc import Mapping, Sequence
from email.message import EmailMessage as Parsed
from typing import Any

from anymail.message import AnymailStatus
from anymail.utils import EmailAddress
from django.core.mail import EmailMultiAlternatives

from delivery.links import read_message_token
from delivery.pipeline.mime import unfolded
from delivery.providers import Provider
from delivery.transports import names
from delivery.transports.base import Letter, Message, Skeleton
from delivery.transports.esp_combined import BODY
from delivery.transports.esp_slots import SYNTAXES, Form, form_of, texts_of

# What goes along of our headers. Message-ID and Date are the provider's to make: several refuse others'.
PASSED_ON = ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-ID")


class Writer:
    """Writes for one account: what its ESP, and its plan there, take."""

    def __init__(self, provider: Provider, *, own_headers: bool) -> None:
        self._provider, self._own_headers = provider, own_headers
        self._form: tuple[Skeleton, Form] | None = None  # of the mailing that was written last

    def mail(self, skeleton: Skeleton, letters: Sequence[Letter]) -> Any:
        """Django's message, from which anymail makes the API's."""
        mail: Any = EmailMultiAlternatives(
            from_email=mailbox(skeleton.from_name, skeleton.sender),
            to=[address(letter) for letter in letters],
            reply_to=[skeleton.reply_to] if skeleton.reply_to else None,
            headers=self._headers(skeleton.headers),
        )
        mail.anymail_status = AnymailStatus()
        if self._provider.tracking_per_message:
            mail.track_opens = mail.track_clicks = False
        if not self._provider.metadata and skeleton.mailing_id:
            mail.tags = [names.tag_of(skeleton.mailing_id)]
        if self._provider.name == "mandrill":
            mail.esp_extra = {"message": {"merge": False}}  # it would look for its own tags
        if len(letters) > 1 or self._is_template_always:
            self._spread(mail, skeleton, letters)
        else:
            self._fill(mail, skeleton, letters[0])
        return mail

    @property
    def _is_template_always(self) -> bool:
        syntax = SYNTAXES.get(self._provider.name)
        return syntax is not None and syntax.is_everywhere

    def _fill(self, mail: Any, skeleton: Skeleton, letter: Letter) -> None:
        mail.subject, html, mail.body, _ = texts_of(self._provider.name, skeleton, letter)
        if html:
            mail.attach_alternative(html, "text/html")
        mail.extra_headers |= self._headers(letter.headers)
        if self._provider.metadata and skeleton.mailing_id:
            mail.metadata = {names.KEY: names.name_of(skeleton.mailing_id, letter.number)}

    def _spread(self, mail: Any, skeleton: Skeleton, letters: Sequence[Letter]) -> None:
        """One message for many, with what is each one's own beside it."""
        if self._provider.metadata:
            mail.merge_metadata = {
                letter.to: {names.KEY: names.name_of(skeleton.mailing_id, letter.number)}
                for letter in letters
            }
            mail.merge_headers = {letter.to: self._headers(letter.headers) for letter in letters}
        else:
            mail.merge_data = {}  # for anymail: to each a message of their own
        if self._provider.mode == "combined":
            mail.subject = mail.body = BODY
            mail.attach_alternative(BODY, "text/html")
            return
        form = self._form_of(skeleton)
        mail.merge_data = {letter.to: form.values(letter) for letter in letters}
        if self._provider.name == "amazon_ses":
            mail.template_id = "inline"  # anymail's word for it; what is sent is the content itself
            parts = {"Subject": form.subject, "Html": form.html, "Text": form.text}
            content = {name: text for name, text in parts.items() if text}
            template = {"TemplateContent": content, "TemplateData": "{}"}
            mail.esp_extra = {"DefaultContent": {"Template": template}}
            return
        mail.subject, mail.body = form.subject, form.text
        if form.html:
            mail.attach_alternative(form.html, "text/html")

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Those that the ESP, and the account's plan there, take."""
        if not self._own_headers:
            return {}
        return {name: value for name, value in headers.items() if name not in self._provider.refused_headers}

    def _form_of(self, skeleton: Skeleton) -> Form:
        if self._form is None or self._form[0] is not skeleton:
            self._form = skeleton, form_of(self._provider.name, skeleton)
        return self._form[1]


def address(letter: Letter) -> EmailAddress:
    user, _, domain = letter.to.rpartition("@")
    return EmailAddress(letter.name, username=user, domain=domain)


def mailbox(name: str, address: str) -> str:
    """`"Name" <address>`, as it is read back."""
    if not name:
        return address
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'


# --- A finished message -----------------------------------------------------------------------------------


def read(message: Message) -> tuple[Skeleton, Letter]:
    """Take a finished message apart."""
    parsed = email.message_from_bytes(message.data, policy=email.policy.default)
    assert isinstance(parsed, Parsed)
    head = unfolded(message.data.partition(b"\r\n\r\n")[0] + b"\r\n")
    own = read_message_token(str(parsed["Message-ID"] or "").strip("<>").partition("@")[0])
    mailing_id, number = own or (0, 0)
    from_name, sender = _first(parsed, "From")
    name, to = _first(parsed, "To")
    skeleton = Skeleton(
        mailing_id,
        from_name,
        sender or message.sender,
        _first(parsed, "Reply-To")[1],
        {name: head[name] for name in PASSED_ON if name in head},
        (str(parsed["Subject"] or ""),),
        (_body(parsed, "plain"),),
        (_body(parsed, "html"),),
    )
    return skeleton, Letter(number, to or message.to, name, (), {})


def _body(parsed: Parsed, kind: str) -> str:
    part = parsed.get_body((kind,))
    return part.get_content().replace("\r\n", "\n") if part else ""


def _first(parsed: Parsed, header: str) -> tuple[str, str]:
    """The first name and address of a header, its words decoded."""
    found = getattr(parsed[header], "addresses", ())
    return (found[0].display_name, found[0].addr_spec) if found else ("", "")
