"""What a person types about a tag."""

from django import forms

from accounts.forms import ONE_LINE, Styled
from contacts.actions.tags import NAME_LIMIT


class TagForm(Styled, forms.Form):
    name = forms.CharField(
        max_length=NAME_LIMIT,
        validators=[ONE_LINE],
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
        error_messages={"required": "Give the tag a name."},
    )

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())
