"""What a person may type about a sending domain."""

import re

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms import Styled
from delivery.domains.actions import Setup
from delivery.domains.naming import ascii_name
from delivery.models import SendingDomain

_SELECTOR = re.compile(r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?")
_TERM = re.compile(r"(include|a|mx|ip4|ip6|exists):[!-~]+", re.IGNORECASE)


class _DomainForm(forms.Form):
    name = forms.CharField(
        label="Domain",
        max_length=253,
        help_text="What stands behind the @ of your senders, such as news.example.com.",
        widget=forms.TextInput(
            attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off", "autofocus": True}
        ),
    )

    def clean_name(self) -> str:
        try:
            return ascii_name(self.cleaned_data["name"].rpartition("@")[2])
        except ValueError as error:
            raise ValidationError("Type a domain, such as news.example.com.") from error


class DomainForm(Styled, _DomainForm):
    """A new one."""


class _SetupForm(forms.Form):
    signs = forms.BooleanField(
        label="Volley signs messages that leave by SMTP",
        required=False,
        help_text="Switch it off where your mail server signs them itself.",
    )
    other_selectors = forms.CharField(
        label="Selectors of others",
        required=False,
        max_length=500,
        help_text="What your sending service, or your own server, calls its keys, such as s1, s2. They are checked, too.",
    )
    spf_terms = forms.CharField(
        label="What allows your SMTP server in SPF",
        required=False,
        max_length=500,
        help_text="As its operator says, such as include:_spf.example.net or ip4:192.0.2.10. Empty: its host name.",
    )
    is_excused = forms.BooleanField(
        label="Campaigns may leave although DKIM or DMARC is missing",
        required=False,
        help_text="Many receivers put such mail into spam or refuse it.",
    )

    def clean_other_selectors(self) -> str:
        names = re.split(r"[,;\s]+", self.cleaned_data["other_selectors"].strip().lower())
        wrong = [name for name in names if name and not _SELECTOR.fullmatch(name)]
        if wrong:
            raise ValidationError(f"“{wrong[0]}” is no selector; type what stands before ._domainkey.")
        return " ".join(dict.fromkeys(name for name in names if name))

    def clean_spf_terms(self) -> str:
        terms = self.cleaned_data["spf_terms"].replace(",", " ").split()
        wrong = [term for term in terms if not _TERM.fullmatch(term)]
        if wrong:
            raise ValidationError(f"“{wrong[0]}” is no SPF mechanism, such as include:_spf.example.net.")
        return " ".join(dict.fromkeys(terms))


class SetupForm(Styled, _SetupForm):
    """SetupForm(data, domain=…)."""

    def __init__(self, *args: object, domain: SendingDomain, **kwargs: object) -> None:
        kwargs["initial"] = {
            "signs": domain.signs,
            "other_selectors": ", ".join(domain.selectors),
            "spf_terms": domain.spf_terms,
            "is_excused": domain.is_excused,
        }
        super().__init__(*args, **kwargs)

    def setup(self) -> Setup:
        """What was typed, once it is valid."""
        return Setup(**self.cleaned_data)
