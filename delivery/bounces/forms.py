"""What a person may type about a mailbox that bounces arrive in."""

import re
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator

from accounts.forms import Styled
from delivery.bounces import microsoft
from delivery.bounces.addresses import LONGEST_LOCAL
from delivery.bounces.mailboxes import Values, has_password
from delivery.forms import check_host, check_plain, check_return_path
from delivery.models import Mailbox, Protocol

PORTS: Final = {
    ("imap", "tls"): 993,
    ("imap", "starttls"): 143,
    ("imap", "none"): 143,
    ("pop3", "tls"): 995,
    ("pop3", "starttls"): 110,
    ("pop3", "none"): 110,
}
SECURITY: Final = (("tls", "TLS"), ("starttls", "STARTTLS"), ("none", "None"))
_FOLDER: Final = re.compile(r"[ !#-\[\]-~]+")  # ASCII without quotation marks and backslashes
OF_MICROSOFT: Final = ("tenant", "client_id")
GUARDS: Final = ("host", "port", "security", *OF_MICROSOFT)  # the password goes there
SETTINGS: Final = (
    "name",
    "protocol",
    "host",
    "port",
    "security",
    "user",
    *OF_MICROSOFT,
    "folder",
    "address",
    "deletes",
)
ONE_ID: Final = RegexValidator(r"^[A-Za-z0-9.-]+\Z", "Letters, digits, dots and hyphens alone.")


def check_folder(folder: str) -> None:
    if not _FOLDER.fullmatch(folder):
        raise ValidationError(
            "Only ASCII letters, digits and signs, and neither quotation marks nor backslashes."
        )


def check_address(address: str) -> None:
    if "@" not in address:
        raise ValidationError("Type a whole address, such as bounces@example.com.")
    check_return_path(address)


class _MailboxForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="What your team calls it.")
    protocol = forms.ChoiceField(
        choices=Protocol.choices, help_text="IMAP, unless the server offers POP3 alone."
    )
    host = forms.CharField(max_length=253, validators=[check_host], help_text="Such as imap.example.com.")
    security = forms.ChoiceField(
        choices=SECURITY, initial="tls", help_text="None only within your own network."
    )
    port = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=65535,
        help_text="Empty: the usual one, 993 for IMAP over TLS, 995 for POP3.",
    )
    user = forms.CharField(label="User name", max_length=300, validators=[check_plain])
    password = forms.CharField(
        max_length=1000,
        required=False,
        validators=[check_plain],
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="Gmail and many others want an app password here, Microsoft 365 the secret of an application.",
    )
    tenant = forms.CharField(
        label="Microsoft 365: directory (tenant) ID",
        max_length=100,
        required=False,
        validators=[ONE_ID],
        help_text="Microsoft 365 takes no passwords over IMAP. Register an application in Microsoft Entra, let it read "
        "this mailbox, and type its secret as the password and the mailbox’s address as the user name.",
    )
    client_id = forms.CharField(
        label="… application (client) ID",
        max_length=100,
        required=False,
        validators=[ONE_ID],
        help_text="Both empty anywhere else.",
    )
    folder = forms.CharField(
        max_length=200,
        initial="INBOX",
        validators=[check_folder],
        help_text="With IMAP: where the bounces are, such as INBOX or Junk. Add a mailbox for each folder.",
    )
    address = forms.CharField(
        label="Its address, if it takes plus addresses",
        max_length=254,
        required=False,
        validators=[check_address],
        help_text="Such as bounces@example.com, where mail to bounces+x@example.com arrives, too: mail programs then "
        f"offer people to leave by mail. At most {LONGEST_LOCAL} letters before the @.",
    )
    deletes = forms.BooleanField(
        label="Delete what was understood",
        required=False,
        initial=True,
        help_text="Once it is written down. Else it is marked as read. What is not understood stays either way.",
    )

    def __init__(self, *args: Any, mailbox: Mailbox | None = None, **kwargs: Any) -> None:
        self.mailbox = mailbox
        self.is_stored = mailbox is not None and has_password(mailbox)
        if mailbox is not None:
            kwargs["initial"] = {name: getattr(mailbox, name) for name in SETTINGS}
        super().__init__(*args, **kwargs)
        if self.is_stored:
            self.fields["password"].widget.attrs["placeholder"] = "Kept as it is; type to replace it"

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not typed.get("port") and not self.has_error("port"):
            typed["port"] = PORTS.get((typed.get("protocol", ""), typed.get("security", "")), 993)
        self._check_microsoft(typed)
        if typed.get("protocol") == Protocol.POP3:
            typed["folder"] = "INBOX"  # it knows no other
        if not typed.get("password") and not self.has_error("password"):
            if not self.is_stored:
                self.add_error("password", "Type the password of this user name.")
            elif self.mailbox and any(typed.get(name) != getattr(self.mailbox, name) for name in GUARDS):
                self.add_error(
                    "password",
                    "Type it again: where it is sent has changed, and the stored one is sent nowhere else.",
                )
        return typed

    def _check_microsoft(self, typed: dict[str, Any]) -> None:
        filled = [name for name in OF_MICROSOFT if typed.get(name)]
        if not filled:
            if microsoft.is_microsofts(typed.get("host", "")):
                self.add_error(
                    "tenant", "Microsoft takes no passwords any more: fill this in, and the next one."
                )
            return
        for name in OF_MICROSOFT:
            if name not in filled and not self.has_error(name):
                self.add_error(name, "Fill in both, or none.")
        if typed.get("protocol") != Protocol.IMAP:
            self.add_error("protocol", "With an application of Microsoft 365 Volley reads by IMAP alone.")
        if typed.get("security") == "none":
            self.add_error("security", "The application’s token is shown to nobody without TLS.")

    def values(self) -> Values:
        """What was typed, once it is valid."""
        typed = self.cleaned_data
        return Values({name: typed[name] for name in SETTINGS}, typed["password"])


class MailboxForm(Styled, _MailboxForm):
    """MailboxForm(data) for a new one, mailbox=… to change one. The password is never shown again."""
