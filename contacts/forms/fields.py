"""What a person types about a custom field."""

from typing import Any

from django import forms

from accounts.forms import Styled
from accounts.models import Workspace
from contacts.models import CustomField, FieldType


class FieldForm(Styled, forms.Form):
    """type: only while the field is new, for its values are of that type."""

    label = forms.CharField(
        label="Name",
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "City"}),
        error_messages={"required": "Give the field a name."},
    )
    type = forms.ChoiceField(
        choices=FieldType.choices,
        help_text="The type cannot be changed later, since the values are kept by it.",
    )

    def __init__(
        self, *args: Any, workspace: Workspace, field: CustomField | None = None, **kwargs: Any
    ) -> None:
        if field:
            kwargs.setdefault("initial", {"label": field.label})
        super().__init__(*args, use_required_attribute=False, **kwargs)
        self.others = CustomField.objects.of(workspace).exclude(pk=field.pk if field else None)
        if field:
            del self.fields["type"]

    def clean_label(self) -> str:
        label: str = self.cleaned_data["label"]
        if self.others.filter(label__iexact=label).exists():
            raise forms.ValidationError(f"There is a field “{label}” already. Choose another name.")
        return label
