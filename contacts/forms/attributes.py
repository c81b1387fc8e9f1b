"""A custom field's value in a form, and from there to the contact."""

import math
import re
from typing import Any, Final

from django import forms

from contacts.forms.widgets import DateOrDayInput
from contacts.importing.values import NUMBER_LIMIT, TEXT_LIMIT, YEARLESS, NotThat, parse
from contacts.models import CustomField, FieldType

_TYPED: Final = re.compile(r"(\d{4}-|--)?(\d\d-\d\d)", re.ASCII)


class DateOrDay(forms.Field):
    """A date, or one without a year; as `Contact.attributes` keeps it."""

    widget = DateOrDayInput
    default_error_messages = {"invalid": "Give the date as in 2024-12-31, or without a year as in 12-31."}

    def to_python(self, value: Any) -> Any:
        text = (value or "").strip()
        match = _TYPED.fullmatch(text)
        try:
            if text and not match:
                raise NotThat
            return parse(f"{match[1] or YEARLESS}{match[2]}" if match else "", FieldType.DATE, "us")
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
        case FieldType.DATE:
            return DateOrDay(label=label, required=False, initial=value)
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
        case FieldType.BOOLEAN:
            return value == "yes"
    return value
