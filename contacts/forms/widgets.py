"""Widgets: for pages with very many fields, and for dates of which the year may not be known."""

import re
from typing import Any, Final

from django import forms
from django.forms.utils import flatatt
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

from contacts.importing.values import YEARLESS


class QuickSelect(forms.Select):
    """A select written without a template for each option: a file of two thousand columns has as many of these."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        chosen = set(self.format_value(value) or ())
        attributes = flatatt({**self.attrs, **(attrs or {}), "name": name})
        return mark_safe(f"<select{attributes}>{_options(self.choices, chosen)}</select>")  # noqa: S308  (escaped below)


_WITH_YEAR: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class DateOrDayInput(forms.TextInput):
    """A picker of dates, and a button that makes it a box for a day without a year, which a picker cannot show."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        text = str(value or "").removeprefix(YEARLESS)
        context = super().get_context(name, text, attrs)
        if _lacks_year(text):
            context["widget"]["attrs"]["placeholder"] = "MM-DD"
        else:
            context["widget"]["type"] = "date"
            context["widget"]["attrs"] |= {"min": "1900-01-01", "max": "2999-12-31"}
        return context

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        box = super().render(name, value, attrs, renderer)
        button = '{}<button class="btn btn-sm mt-1 needs-script" type="button" data-no-year>Without a year</button>'
        return box if _lacks_year(value) else format_html(button, box)


def _lacks_year(value: Any) -> bool:
    text = str(value or "").removeprefix(YEARLESS)
    return bool(text) and not _WITH_YEAR.fullmatch(text)


def _options(choices: Any, chosen: set[str]) -> str:
    return "".join(_option(value, label, chosen) for value, label in choices)


def _option(value: Any, label: Any, chosen: set[str]) -> str:
    if isinstance(label, list | tuple):
        return f'<optgroup label="{escape(value)}">{_options(label, chosen)}</optgroup>'
    selected = " selected" if str(value) in chosen else ""
    return f'<option value="{escape(value)}"{selected}>{escape(label)}</option>'
