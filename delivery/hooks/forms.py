"""What an admin pastes from the provider's pages."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from accounts.forms import Styled
from delivery.hooks.checks import cleaned
from delivery.hooks.setup import SETUPS


class _KeyForm(forms.Form):
    key = forms.CharField(max_length=2000, widget=forms.PasswordInput(attrs={"autocomplete": "off"}))

    def __init__(self, *args: Any, provider: str, is_known: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        asked = SETUPS[provider].key
        if asked:
            self.fields["key"].label, self.fields["key"].help_text = asked.label, asked.help
        if is_known:
            self.fields["key"].widget.attrs["placeholder"] = "Kept as it is; type to replace it"

    def clean_key(self) -> str:
        try:
            return cleaned(self.provider, self.cleaned_data["key"].strip())
        except ValueError:
            raise ValidationError(
                "That is not a key of this kind. Copy it again, from its first sign to its last."
            ) from None


class KeyForm(Styled, _KeyForm):
    """KeyForm(data, provider=…, is_known=whether one is kept). The key is never shown again."""
