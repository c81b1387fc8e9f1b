"""What a person types to get in, and how every form of the house looks."""

from typing import Any

from allauth.account.forms import SignupForm as AllauthSignupForm
from django import forms


class Styled:
    """First base of a form: Tabler's classes on its widgets, and `is-invalid` on those with an error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():  # type: ignore[attr-defined]
            css = _css_class(field.widget)
            field.widget.attrs["class"] = f"{field.widget.attrs.get('class', '')} {css}".strip()

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        for name in self.errors:  # type: ignore[attr-defined]
            if name in self.fields:  # type: ignore[attr-defined]
                self.fields[name].widget.attrs["class"] += " is-invalid"  # type: ignore[attr-defined]


def _css_class(widget: forms.Widget) -> str:
    match widget:
        case forms.CheckboxInput() | forms.RadioSelect() | forms.CheckboxSelectMultiple():
            return "form-check-input"
        case forms.Select():
            return "form-select"
    return "form-control"


class SignupForm(AllauthSignupForm):
    pass
