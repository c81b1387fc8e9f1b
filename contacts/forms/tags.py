"""What a person types about a tag."""

from typing import Any

from django import forms

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from contacts.actions.tags import NAME_LIMIT
from contacts.models import Tag
from contacts.spreadsheet import split_tags

SEPARATED = "With a comma between two; one that holds a comma in quotation marks."


class TagForm(Styled, forms.Form):
    name = forms.CharField(
        max_length=NAME_LIMIT,
        validators=[ONE_LINE],
        widget=forms.TextInput(attrs={"autocomplete": "off", "autofocus": True}),
        error_messages={"required": "Give the tag a name."},
    )

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())


class TagsForm(forms.Form):
    """Tags for a contact: several, or one that is there already as it stands, be it with a comma."""

    name = forms.CharField(
        max_length=1000, validators=[ONE_LINE], error_messages={"required": "Give the tag a name."}
    )

    def __init__(self, data: Any, *, workspace: Workspace) -> None:
        super().__init__(data)
        self.workspace = workspace

    def clean_name(self) -> list[str]:
        typed = " ".join(self.cleaned_data["name"].split())
        if Tag.objects.of(self.workspace).filter(name__iexact=typed).exists():
            return [typed]
        if names := tag_names(typed):
            return names
        raise forms.ValidationError("Give the tag a name.")


def tag_names(text: str) -> list[str]:
    """The tags on a line. Raises: ValidationError: one is too long."""
    names = split_tags(text)
    if long := next((name for name in names if len(name) > NAME_LIMIT), None):
        raise forms.ValidationError(f"“{long[:20]}…” is longer than the {NAME_LIMIT} characters of a tag.")
    return names
