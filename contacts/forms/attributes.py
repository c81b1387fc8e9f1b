"""A custom field's value in a form, and from there to the contact."""

import math
from typing import Any

from django import forms

from contacts.importing.values import NUMBER_LIMIT, TEXT_LIMIT, YEARLESS, NotThat, parse
from contacts.models import CustomField, FieldType


class DateOrDay(forms.DateField):
    """A date, or one without a year."""

    default_error_messages = {"invalid": "Give the date as in 2024-12-31, or without a year as in --12-31."}

    def to_python(self, value: Any) -> Any:
        try:
            return parse((value or "").strip(), FieldType.DATE, "us")
        except NotThat:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from None


def attribute_field(custom: CustomField, value: Any) -> forms.Field:
    """A form field of the custom field's type, holding the value where it fits the type."""
    label = custom.label
    match custom.type:
        case FieldType.NUMBER:
            widget = forms.NumberInput(attrs={"step": "any"})
            return forms.FloatField(
                label=label,
                required=False,
                initial=value,
                widget=widget,
                min_value=-NUMBER_LIMIT,
                max_value=NUMBER_LIMIT,
            )
        case FieldType.DATE if str(value or "").startswith(YEARLESS):  # a picker of dates would show none
            return DateOrDay(label=label, required=False, initial=value, widget=forms.TextInput())
        case FieldType.DATE:
            date = forms.DateInput(
                attrs={"type": "date", "min": "1900-01-01", "max": "2999-12-31"}, format="%Y-%m-%d"
            )
            return forms.DateField(
                label=label,
                required=False,
                initial=value,
                widget=date,
                input_formats=["%Y-%m-%d"],
                error_messages={"invalid": "Give the date as in 2024-12-31."},
            )
        case FieldType.CHOICE:
            held = [value] if isinstance(value, str) and value and value not in custom.options else []
            choices = [("", "–"), *((each, each) for each in [*custom.options, *held])]
            return forms.ChoiceField(label=label, required=False, choices=choices, initial=value)
        case FieldType.BOOLEAN:
            answer = {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""
            return forms.ChoiceField(
                label=label, required=False, choices=[("", "–"), ("yes", "Yes"), ("no", "No")], initial=answer
            )
    is_long = "\n" in str(value or "") or len(str(value or "")) > 80
    text = forms.Textarea(attrs={"rows": 3}) if is_long else forms.TextInput()
    longest = custom.limits.get("max", TEXT_LIMIT)
    return forms.CharField(label=label, required=False, initial=value, max_length=longest, widget=text)


def stored(custom: CustomField, value: Any) -> Any:
    """The value as `Contact.attributes` keeps it; None where there is none."""
    if value in ("", None):
        return None
    match custom.type:
        case FieldType.NUMBER:
            return int(value) if math.isfinite(value) and float(value).is_integer() else value
        case FieldType.DATE:
            return value if isinstance(value, str) else value.isoformat()
        case FieldType.BOOLEAN:
            return value == "yes"
    return value
