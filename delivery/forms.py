"""What a person may type about a sending account: the provider's own fields, and what all have."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from accounts.forms import Styled
from delivery.accounts import Values, stored_secrets
from delivery.bounces.addresses import LONGEST_LOCAL
from delivery.domains.naming import ascii_name
from delivery.models import SendingAccount
from delivery.providers import Field, Provider
from delivery.transports.hosts import is_metadata

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|\[?[0-9A-Fa-f:.]{2,45}\]?")
_LOCAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_DOMAIN = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]")
_PLAIN = re.compile(r"[ -~]*")
MOST_LANES = 64
MOST_A_DAY = 100_000_000
WARM_UP_DAYS = 60
MOST_DOMAINS = 100  # that one account may be held to
# What the two groups after the provider's own fields are made of.
PACE_FIELDS = (
    "rate_per_second",
    "rate_per_minute",
    "rate_per_hour",
    "rate_per_day",
    "warm_up",
    "warm_up_from",
    "domain_per_second",
    "domain_lanes",
    "lanes",
)
FAIL_OVER_FIELDS = ("stands_in", "position", "share")
METADATA = "That address is this machine's own cloud metadata; mail is not sent there."


def check_host(host: str) -> None:
    if not _HOST.fullmatch(host) or ".." in host:
        raise ValidationError("Type the host name alone, such as smtp.example.com.")
    if is_metadata(host):
        raise ValidationError(METADATA)


def check_url(url: str) -> None:
    if is_metadata(re.sub(r"^https?://|[:/?#].*$", "", re.sub(r"//[^/@]*@", "//", url)) or ""):
        raise ValidationError(METADATA)


def check_plain(text: str) -> None:
    if not _PLAIN.fullmatch(text):
        raise ValidationError(
            "Only letters, digits and signs of ASCII can be used to sign in. Copy it again."
        )


def check_return_path(path: str) -> None:
    """A domain, or an address whose left part leaves room for a plus and a token."""
    local, at, domain = path.rpartition("@")
    if at and (len(local) > LONGEST_LOCAL or not _LOCAL.fullmatch(local)):
        raise ValidationError(
            f"Give an address with at most {LONGEST_LOCAL} letters and digits before the @, and no plus: "
            "each message's own sign is added there."
        )
    if not _DOMAIN.fullmatch(domain) or ".." in domain:
        raise ValidationError("Type a domain, such as bounces.example.com, or an address at one.")


class WarmUpField(forms.CharField):
    """Daily limits with commas between them, as a list of numbers."""

    def to_python(self, value: Any) -> list[int]:  # type: ignore[override]
        parts = [part for part in re.split(r"[,;\s]+", (super().to_python(value) or "").strip()) if part]
        if len(parts) > WARM_UP_DAYS:
            raise ValidationError(f"Give at most {WARM_UP_DAYS} days.")
        if not all(part.isascii() and part.isdigit() and 0 < int(part[:10]) <= MOST_A_DAY for part in parts):
            raise ValidationError("Give whole numbers with commas between them, such as 50, 100, 250.")
        return [int(part) for part in parts]

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class DomainsField(forms.CharField):
    """Domains with commas between them, as a list of names as they are kept."""

    def to_python(self, value: Any) -> list[str]:  # type: ignore[override]
        parts = [part for part in re.split(r"[,;\s]+", (super().to_python(value) or "").strip()) if part]
        if len(parts) > MOST_DOMAINS:
            raise ValidationError(f"Give at most {MOST_DOMAINS} domains.")
        names: dict[str, None] = {}
        for part in parts:
            try:
                names[ascii_name(part.rpartition("@")[2])] = None
            except ValueError as error:
                raise ValidationError(
                    f"“{part}” is no domain; type such as example.com, news.example.com."
                ) from error
        return list(names)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, list) else value


class _ProviderForm(forms.Form):
    """The fields that the provider asks for, between the name and the pace."""

    name = forms.CharField(max_length=120, help_text="What your team calls it.")
    test_from = forms.EmailField(
        label="Sender of test messages",
        max_length=254,
        required=False,
        help_text="An address that this account may send from. Empty: your own.",
    )
    sender_domains = DomainsField(
        label="Sends from these domains alone",
        required=False,
        max_length=5000,
        help_text="What may stand behind the @ of a campaign’s sender, such as example.com, news.example.com: those that "
        "are verified there. Each counts as it is, without those below it. Empty: any.",
    )
    rate_per_second = forms.FloatField(
        label="At most, messages a second",
        required=False,
        min_value=0.01,
        max_value=100_000,
        help_text="Over all workers together. Empty: as fast as the server takes them.",
    )
    rate_per_minute = forms.IntegerField(
        label="At most, messages a minute",
        required=False,
        min_value=1,
        max_value=1_000_000,
        help_text="Spread evenly over the minute.",
    )
    rate_per_hour = forms.IntegerField(
        label="At most, messages an hour",
        required=False,
        min_value=1,
        max_value=100_000_000,
        help_text="Spread evenly over the hour.",
    )
    rate_per_day = forms.IntegerField(
        label="At most, messages a day",
        required=False,
        min_value=1,
        max_value=MOST_A_DAY,
        help_text="In any 24 hours, as providers count. A campaign that reaches it goes on by itself as room comes free.",
    )
    warm_up = WarmUpField(
        label="Warm-up: messages on each of the first days",
        required=False,
        max_length=1000,
        help_text="For a new address or domain, such as 50, 100, 250, 500, 1000, 2500, 5000. Empty: no warm-up.",
    )
    warm_up_from = forms.DateField(
        label="First day of the warm-up",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="Empty: today.",
    )
    domain_per_second = forms.FloatField(
        label="To one receiving domain, messages a second",
        required=False,
        min_value=0.01,
        max_value=100_000,
        help_text="Such as 20 for each of gmail.com, outlook.com, … Empty: no limit until a server asks for less.",
    )
    domain_lanes = forms.IntegerField(
        label="To one receiving domain, messages being handed over",
        required=False,
        min_value=1,
        max_value=1000,
        help_text="At once, over all workers. Empty: no limit.",
    )
    stands_in = forms.BooleanField(
        label="Takes over from other accounts",
        required=False,
        help_text="When an account is refused or set aside, what it was sending goes on through this one. "
        "Only where it may send from the campaign’s domain.",
    )
    position = forms.IntegerField(
        label="Its turn",
        required=False,
        min_value=0,
        max_value=1000,
        help_text="The account with the lowest number takes over first.",
    )
    share = forms.IntegerField(
        label="Its share",
        required=False,
        min_value=1,
        max_value=1000,
        help_text="Of what accounts with the same turn take over: one with 3 takes three campaigns where one with 1 "
        "takes one.",
    )
    lanes = forms.IntegerField(
        label="Connections at once",
        min_value=1,
        max_value=MOST_LANES,
        initial=4,
        help_text=f"In each worker, 1 to {MOST_LANES}. More is faster until the server objects.",
    )

    def __init__(
        self, *args: Any, provider: Provider, account: SendingAccount | None = None, **kwargs: Any
    ) -> None:
        self.provider, self.account = provider, account
        self.stored = set(stored_secrets(account)) if account else set()
        kwargs["initial"] = _initial(provider, account)
        super().__init__(*args, **kwargs)
        for field in provider.fields:
            self.fields[field.name] = _form_field(field, is_stored=field.name in self.stored)
        self.order_fields(
            [
                "name",
                *(field.name for field in provider.fields),
                "test_from",
                "sender_domains",
                *PACE_FIELDS,
                *FAIL_OVER_FIELDS,
            ]
        )

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under their headings, in the order of the page."""
        rest = [name for name in self.fields if name not in (*PACE_FIELDS, *FAIL_OVER_FIELDS)]
        named = (("", rest), ("Pace", PACE_FIELDS), ("Fail-over", FAIL_OVER_FIELDS))
        return [(heading, [self[name] for name in names]) for heading, names in named]

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if typed.get("user") and not (
            typed.get("password") or "password" in self.stored or self.has_error("password")
        ):
            self.add_error("password", "Type the password of this user name.")
        if typed.get("warm_up") and not typed.get("warm_up_from") and not self.has_error("warm_up_from"):
            typed["warm_up_from"] = timezone.localdate()
        if self.account and self._goes_elsewhere(self.account):
            for field in self.provider.fields:
                if field.name in self.stored and not typed.get(field.name) and typed.get("user", "-"):
                    self.add_error(
                        field.name,
                        "Type it again: the server has changed, and the stored one is sent nowhere else.",
                    )
        return typed

    def _goes_elsewhere(self, account: SendingAccount) -> bool:
        guards = [field.name for field in self.provider.fields if field.guards]
        return any(str(self.cleaned_data.get(name)) != str(account.settings.get(name)) for name in guards)

    def values(self) -> Values:
        """What was typed, once it is valid."""
        typed = self.cleaned_data
        open_fields = [field.name for field in self.provider.fields if not field.secret]
        secret_fields = [field.name for field in self.provider.fields if field.secret]
        secrets = {name: typed[name] for name in secret_fields if typed[name]}
        if "user" in typed and not typed["user"]:
            secrets["password"] = ""
        return Values(
            name=typed["name"],
            settings={name: typed[name] for name in [*open_fields, "test_from"]},
            secrets=secrets,
            pace={
                **{name: typed[name] for name in PACE_FIELDS},
                "warm_up_from": typed["warm_up_from"] if typed["warm_up"] else None,
            },
            stands_in=typed["stands_in"],
            position=typed["position"] or 0,
            share=typed["share"] or 1,
            sender_domains=typed["sender_domains"],
        )


class AccountForm(Styled, _ProviderForm):
    """AccountForm(data, provider=…) for a new one, account=… to change one. Secrets are never shown again."""


def _initial(provider: Provider, account: SendingAccount | None) -> dict[str, Any]:
    if account is None:
        return {"name": provider.label, **{field.name: field.initial for field in provider.fields}}
    shared = ("name", "sender_domains", *PACE_FIELDS, *FAIL_OVER_FIELDS)
    own = {name: getattr(account, name) for name in shared}
    return {**account.settings, **own}


def _form_field(field: Field, *, is_stored: bool) -> forms.Field:
    common: dict[str, Any] = {"label": field.label, "help_text": field.help, "required": field.required}
    if field.secret:
        hint = "Kept as it is; type to replace it" if is_stored else ""
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password", "placeholder": hint})
        common["required"] = field.required and not is_stored
        return forms.CharField(**common, widget=widget, max_length=1000, validators=[check_plain])
    match field.kind:
        case "host":
            return forms.CharField(**common, max_length=253, validators=[check_host])
        case "port":
            return forms.IntegerField(**common, min_value=1, max_value=65535)
        case "url":
            return forms.URLField(
                **common, max_length=500, assume_scheme="https", validators=[_web_url, check_url]
            )
        case "return_path":
            return forms.CharField(**common, max_length=253, validators=[check_return_path])
        case "choice":
            return forms.ChoiceField(**common, choices=field.choices)
        case "boolean":
            return forms.BooleanField(**common)
    return forms.CharField(**common, max_length=300, validators=[check_plain])


def _web_url(url: str) -> None:
    if not url.startswith(("https://", "http://")):
        raise ValidationError("Type an address that begins with https://.")
