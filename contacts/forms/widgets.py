"""Widgets for pages with very many fields."""

from typing import Any

from django import forms
from django.forms.utils import flatatt
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe


class QuickSelect(forms.Select):
    """A select written without a template for each option: a file of two thousand columns has as many of these."""

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        chosen = set(self.format_value(value) or ())
        attributes = flatatt({**self.attrs, **(attrs or {}), "name": name})
        return mark_safe(f"<select{attributes}>{_options(self.choices, chosen)}</select>")  # noqa: S308  (escaped below)


def _options(choices: Any, chosen: set[str]) -> str:
    return "".join(_option(value, label, chosen) for value, label in choices)


def _option(value: Any, label: Any, chosen: set[str]) -> str:
    if isinstance(label, list | tuple):
        return f'<optgroup label="{escape(value)}">{_options(label, chosen)}</optgroup>'
    selected = " selected" if str(value) in chosen else ""
    return f'<option value="{escape(value)}"{selected}>{escape(label)}</option>'
