"""What an admin may choose of tracking."""

from typing import Any

from django import forms

from accounts.forms import Styled
from contacts.models import CustomField
from contacts.models.fields import FieldType
from delivery.models import Tracking
from delivery.tracking.domain import NAME
from delivery.tracking.rules import WRITTEN


class TrackingForm(Styled, forms.Form):
    opens = forms.BooleanField(
        required=False,
        label="Count who opens a campaign",
        help_text="By a picture of one dot at the end of the message.",
    )
    clicks = forms.BooleanField(
        required=False,
        label="Count who clicks which link",
        help_text="Web links lead through Volley, which sends the visitor on at once.",
    )
    is_nameless = forms.BooleanField(
        required=False,
        label="Privacy mode: totals only",
        help_text="All recipients get the same links and picture. Nobody is told apart, so there are no lists of who "
        "opened or clicked, and nothing of it is in segments or on a contact’s page.",
    )
    needs_consent = forms.BooleanField(
        required=False,
        label="Only those who have agreed",
        help_text="Everybody else gets a message with plain links and without the picture.",
    )
    consent_field = forms.ModelChoiceField(
        CustomField.objects.none(),
        required=False,
        label="Field that says so",
        empty_label="Choose a yes-or-no field",
        help_text="A contact has agreed where this field says yes.",
    )
    domain = forms.CharField(
        required=False,
        max_length=253,
        label="Domain of your own",
        widget=forms.TextInput(
            attrs={"placeholder": "t.brand.com", "autocapitalize": "none", "spellcheck": "false"}
        ),
        help_text="All links, those for unsubscribing and preferences too, then begin with a name that your recipients "
        "know. Left empty, they begin with Volley’s own. What has left keeps its domain: keep that one alive.",
    )

    def __init__(self, *args: Any, rules: Tracking, **kwargs: Any) -> None:
        initial = {name: getattr(rules, name) for name in (*WRITTEN, "domain")}
        super().__init__(*args, initial=initial, **kwargs)
        offered = CustomField.objects.of(rules.workspace).filter(type=FieldType.BOOLEAN)
        self.fields["consent_field"].queryset = offered  # type: ignore[attr-defined]

    def clean_domain(self) -> str:
        """In small letters and ASCII, as certificates and DNS have it."""
        typed = str(self.cleaned_data["domain"]).strip().rstrip(".").lower()
        try:
            domain = typed.encode("idna").decode() if typed else ""
        except UnicodeError:
            domain = "?"
        if domain and not NAME.fullmatch(domain):
            raise forms.ValidationError("Write the name alone, such as t.brand.com.")
        return domain

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("needs_consent") and not cleaned.get("consent_field"):
            self.add_error("consent_field", "Choose the field that says whether a contact has agreed.")
        return cleaned
