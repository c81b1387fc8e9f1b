"""What a person chooses to export: the kind of file."""

from django import forms

from accounts.forms import Styled
from contacts.models import ExportFormat


class ExportForm(Styled, forms.Form):
    format = forms.ChoiceField(
        label="File",
        choices=ExportFormat.choices,
        initial=ExportFormat.CSV,
        help_text="CSV opens everywhere and is ready soonest; Excel keeps numbers as numbers.",
    )
