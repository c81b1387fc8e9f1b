"""What a person types about a contact: what to look for, the contact itself, a subscription by hand."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.urls import reverse
from django.utils.html import format_html

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from contacts.actions.contacts import Details
from contacts.forms.choices import ManyOptions
from contacts.importing import addresses
from contacts.importing.values import TEXT_LIMIT
from contacts.models import Contact, CustomField, FieldType, List, OptIn, Subscription, SubscriptionStatus
from contacts.queries.contacts import SUPPRESSED, Finder, contact_at
from contacts.queries.lists import open_to

DECLARE, ASK = "declare", "ask"  # how somebody is put on a list with double opt-in
ANY_STATUS: Final = ("", "Any status")
NO_CONSENT: Final = "Only people who agreed may be subscribed. Confirm it, or choose no list."
NUMBER_LIMIT: Final = 1e15  # beyond, a number is not stored exactly


class FindForm(Styled, forms.Form):
    """What to look for, from the address bar; whatever makes no sense is not looked for."""

    q = forms.CharField(
        label="Search",
        required=False,
        max_length=200,
        widget=forms.SearchInput(attrs={"placeholder": "Search by e-mail or name", "autocomplete": "off"}),
    )
    list = forms.ModelChoiceField(
        label="List",
        queryset=List.objects.none(),
        required=False,
        empty_label="All lists",
        widget=ManyOptions,
    )
    status = forms.ChoiceField(
        label="Status",
        required=False,
        choices=[ANY_STATUS, *SubscriptionStatus.choices, (SUPPRESSED, "Suppressed")],
    )
    sort = forms.ChoiceField(
        label="Sort",
        required=False,
        choices=[
            ("newest", "Newest first"),
            ("oldest", "Oldest first"),
            ("email", "E-mail A to Z"),
            ("name", "Name A to Z"),
        ],
    )

    def __init__(self, data: Mapping[str, Any], *, workspace: Workspace, in_list: List | None = None) -> None:
        super().__init__(data)
        self.in_list = in_list
        self.fields["list"].queryset = List.objects.of(workspace)  # type: ignore[attr-defined]
        if in_list:
            del self.fields["list"]

    def finder(self) -> Finder:
        self.full_clean()
        found = self.cleaned_data
        return Finder(
            search=found.get("q", ""),
            in_list=self.in_list or found.get("list"),
            status=found.get("status", ""),
            sort=found.get("sort") or "newest",
        )


class ContactForm(Styled, forms.Form):
    """One contact: address, names, a field `attribute_KEY` for each custom field; lists for a new one."""

    email = forms.CharField(
        label="E-mail address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "off", "autofocus": True}),
        error_messages={"required": "Give the e-mail address."},
    )
    first_name = forms.CharField(label="First name", max_length=120, required=False, validators=[ONE_LINE])
    last_name = forms.CharField(label="Last name", max_length=120, required=False, validators=[ONE_LINE])

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        workspace: Workspace,
        contact: Contact | None = None,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        self.workspace, self.contact = workspace, contact
        self.custom: list[CustomField] = list(CustomField.objects.of(workspace))
        held = contact.attributes if contact else {}
        own = {f"attribute_{each.key}": _attribute_field(each, held.get(each.key)) for each in self.custom}
        own |= {} if contact else _subscription_fields(workspace)
        self.base_fields = {**type(self).base_fields, **own}  # type: ignore[misc]
        names = ("email", "first_name", "last_name")
        known = {name: getattr(contact, name) for name in names} if contact else {}
        super().__init__(data, initial={**known, **(initial or {})}, use_required_attribute=False)

    def clean_email(self) -> str:
        try:
            email = addresses.clean(self.cleaned_data["email"])
        except addresses.NotAnAddress as problem:
            raise forms.ValidationError(str(problem)) from None
        existing = contact_at(self.workspace, email)
        if existing and existing != self.contact:
            raise taken(email, existing)
        return email

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("lists") and not self.cleaned_data.get("agreed"):
            self.add_error("agreed", NO_CONSENT)
        return self.cleaned_data

    def details(self) -> Details:
        data = self.cleaned_data
        attributes = {each.key: _stored(each, data[f"attribute_{each.key}"]) for each in self.custom}
        return Details(data["email"], data["first_name"], data["last_name"], attributes)

    def profile(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in ("lists", "agreed")]


class SubscribeForm(Styled, forms.Form):
    """A list to put somebody on by hand: the consent declared, or the person asked where a list does that."""

    list = forms.ModelChoiceField(
        label="List",
        queryset=List.objects.none(),
        empty_label="Choose a list",
        widget=ManyOptions,
        error_messages={"required": "Choose a list.", "invalid_choice": "Choose one of these lists."},
    )
    how = forms.ChoiceField(
        label="Consent",
        required=False,
        choices=[
            (ASK, "Ask them to confirm by mail first (lists with double opt-in)"),
            (DECLARE, "They agreed: subscribe them now"),
        ],
        widget=forms.RadioSelect,
    )
    agreed = forms.BooleanField(label="They agreed to get these mails", required=False)
    asked_again = forms.BooleanField(label="They asked to get it again", required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        contact: Contact,
        held: Sequence[Subscription],
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, initial=initial, use_required_attribute=False)
        offered = open_to(contact)
        self.fields["list"].queryset = offered  # type: ignore[attr-defined]
        self.may_ask = offered.filter(opt_in=OptIn.DOUBLE).exists()
        self.left = [each for each in held if each.left_by_themselves and not each.list.archived_at]
        if not self.left:
            del self.fields["asked_again"]

    def clean(self) -> dict[str, Any]:
        """`agreed`: ticked, or said by the choice."""
        data = self.cleaned_data
        chosen, how = data.get("list"), data.get("how")
        data["agreed"] = bool(data.get("agreed")) or how == DECLARE
        if how == ASK:
            if chosen and chosen.opt_in != OptIn.DOUBLE:
                self.add_error("how", f"“{chosen}” is single opt-in, so it asks nobody to confirm.")
        elif not data["agreed"]:
            where = "how" if self.may_ask else "agreed"
            self.add_error(where, "Only people who agreed may be subscribed. Confirm it first.")
        return data


def value_field(custom: CustomField) -> forms.Field:
    """An empty form field for a value of the custom field."""
    return _attribute_field(custom, None)


def value_of(custom: CustomField, data: Any) -> Any:
    """What that form field gave, as `Contact.attributes` keeps it; None where it was left empty."""
    return _stored(custom, data)


def taken(email: str, existing: Contact | None) -> forms.ValidationError:
    """What stands beside the field of an address that is somebody else's, with the way to them."""
    if existing is None:  # gone again in the same moment
        return forms.ValidationError(f"{email} was a contact a moment ago. Save once more.")
    said = format_html(
        '{} is already a contact. <a href="{}">Open their page</a>.',
        email,
        reverse("contact", args=[existing.pk]),
    )
    return forms.ValidationError(said)


def _subscription_fields(workspace: Workspace) -> dict[str, forms.Field]:
    lists = List.objects.of(workspace).filter(archived_at=None)
    return {
        "lists": forms.ModelMultipleChoiceField(
            label="Subscribe them to", queryset=lists, required=False, widget=forms.CheckboxSelectMultiple
        ),
        "agreed": forms.BooleanField(label="They agreed to get these mails", required=False),
    }


def _attribute_field(custom: CustomField, value: Any) -> forms.Field:
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
        case FieldType.BOOLEAN:
            answer = {True: "yes", False: "no"}.get(value, "") if isinstance(value, bool) else ""
            return forms.ChoiceField(
                label=label, required=False, choices=[("", "–"), ("yes", "Yes"), ("no", "No")], initial=answer
            )
    is_long = "\n" in str(value or "") or len(str(value or "")) > 80
    text = forms.Textarea(attrs={"rows": 3}) if is_long else forms.TextInput()
    return forms.CharField(label=label, required=False, initial=value, max_length=TEXT_LIMIT, widget=text)


def _stored(custom: CustomField, value: Any) -> Any:
    """The value as `Contact.attributes` keeps it; None where there is none."""
    if value in ("", None):
        return None
    match custom.type:
        case FieldType.NUMBER:
            return int(value) if math.isfinite(value) and float(value).is_integer() else value
        case FieldType.DATE:
            return value.isoformat()
        case FieldType.BOOLEAN:
            return value == "yes"
    return value
