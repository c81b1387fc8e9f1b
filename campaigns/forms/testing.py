"""What is typed to send a test."""

import re
from typing import Any, Final

from django import forms
from django.core.validators import validate_email

from accounts.forms import Styled
from accounts.models import Workspace
from contacts.models import Contact
from contacts.queries.contacts import contact_at

MOST: Final = 5  # addresses; a test is for looking at, not for sending


class SendTestForm(Styled, forms.Form):
    """After `is_valid`: `addresses`, and `sample`, whose data it is filled in with (None: sample values)."""

    to = forms.CharField(
        max_length=1500,
        label="Send a test to",
        help_text=f"Up to {MOST} addresses, with commas between them.",
    )
    sample_email = forms.CharField(
        max_length=254,
        required=False,
        label="Filled in as the contact",
        help_text="Their e-mail address. Left empty, sample values are used.",
    )

    def __init__(self, *args: Any, workspace: Workspace, **kwargs: Any) -> None:
        super().__init__(*args, auto_id="test_%s", use_required_attribute=False, **kwargs)
        self.workspace = workspace
        self.addresses: list[str] = []
        self.sample: Contact | None = None

    def clean_to(self) -> str:
        typed = str(self.cleaned_data["to"])
        self.addresses = list(dict.fromkeys(filter(None, re.split(r"[\s,;]+", typed))))
        for address in self.addresses:
            try:
                validate_email(address)
            except forms.ValidationError:
                raise forms.ValidationError(f"“{address}” is no e-mail address.") from None
        if not self.addresses:
            raise forms.ValidationError("Give at least one address.")
        if len(self.addresses) > MOST:
            raise forms.ValidationError(
                f"These are {len(self.addresses)} addresses; a test goes to at most {MOST}."
            )
        return typed

    def clean_sample_email(self) -> str:
        typed = str(self.cleaned_data["sample_email"]).strip()
        if typed:
            self.sample = contact_at(self.workspace, typed)
            if self.sample is None:
                raise forms.ValidationError(f"There is no contact with the address “{typed}” here.")
        return typed
