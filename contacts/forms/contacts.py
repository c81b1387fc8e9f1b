"""What a person types about a contact: what to look for, the contact itself, a subscription by hand."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils.html import format_html

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from contacts import fitting
from contacts.actions.contacts import Details
from contacts.forms.attributes import attribute_field, stored
from contacts.forms.choices import ManyOptions
from contacts.importing import addresses
from contacts.models import Contact, CustomField, List, OptIn, Subscription, SubscriptionStatus, Tag
from contacts.queries.contacts import SUPPRESSED, Finder, contact_at
from contacts.queries.imported import Imported, imported, kinds
from contacts.queries.lists import open_to

DECLARE, ASK = "declare", "ask"  # how somebody is put on a list with double opt-in
ANY_STATUS: Final = ("", "Any status")
NO_CONSENT: Final = "Only people who agreed may be subscribed. Confirm it, or choose no list."


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
    tag = forms.ModelChoiceField(
        label="Tag", queryset=Tag.objects.none(), required=False, empty_label="All tags"
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
        self.fields["tag"].queryset = Tag.objects.of(workspace).order_by(Lower("name"))  # type: ignore[attr-defined]
        if in_list:
            del self.fields["list"]
        if not Tag.objects.of(workspace).exists():
            del self.fields["tag"]
        self.imported = imported(workspace, data.get("import", ""))
        if self.imported:
            self._offer(kinds(self.imported.run))

    def _offer(self, brought: Sequence[Imported]) -> None:
        """Let those of one import be chosen from: there are too many imports for a menu, so each leads here itself."""
        choices = [("", "Any import"), *((each.key, each.label) for each in brought)]
        menu = forms.Select(attrs={"class": "form-select"})  # too late for `Styled`
        self.fields["import"] = forms.ChoiceField(
            label="Import", required=False, choices=choices, widget=menu
        )
        self.order_fields(["q", "import"])

    def finder(self) -> Finder:
        self.full_clean()
        found = self.cleaned_data
        return Finder(
            search=found.get("q", ""),
            in_list=self.in_list or found.get("list"),
            status=found.get("status", ""),
            tag=found.get("tag"),
            imported=self.imported if found.get("import") else None,
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
    asked_back = forms.BooleanField(label="They asked to come back", required=False)

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
        own = {f"attribute_{each.key}": attribute_field(each, held.get(each.key)) for each in self.custom}
        own |= {} if contact else _subscription_fields(workspace)
        self.base_fields = {**type(self).base_fields, **own}  # type: ignore[misc]
        names = ("email", "first_name", "last_name")
        known = {name: getattr(contact, name) for name in names} if contact else {}
        super().__init__(data, initial={**known, **(initial or {})}, use_required_attribute=False)
        self.asks_back = False  # the address is of somebody who was erased

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
        for each in self.custom:
            self._fit(each)
        if self.cleaned_data.get("lists") and not self.cleaned_data.get("agreed"):
            self.add_error("agreed", NO_CONSENT)
        return self.cleaned_data

    def _fit(self, custom: CustomField) -> None:
        name = f"attribute_{custom.key}"
        if name not in self.cleaned_data:
            return
        value = stored(custom, self.cleaned_data[name])
        try:
            self.cleaned_data[name] = value if value is None else fitting.fit(custom, value)
        except fitting.Unfit as problem:
            self.add_error(name, str(problem))

    def refuse_erased(self, message: str) -> None:
        """Say that the address was erased, and let the person declare that its owner asked to come back."""
        self.asks_back = True
        self.add_error("email", message)

    def details(self) -> Details:
        data = self.cleaned_data
        attributes = {each.key: data[f"attribute_{each.key}"] for each in self.custom}
        return Details(data["email"], data["first_name"], data["last_name"], attributes)

    def profile(self) -> list[forms.BoundField]:
        return [field for field in self if field.name not in ("lists", "agreed", "asked_back")]


class ValueForm(ContactForm):
    """One value of a contact, changed where it stands. name: as the whole form calls its field."""

    def __init__(self, data: Mapping[str, Any] | None = None, *, contact: Contact, name: str) -> None:
        super().__init__(data, workspace=contact.workspace, contact=contact)
        self.name = name
        kept = {name, "asked_back"} if name == "email" else {name}
        for other in self.fields.keys() - kept:
            del self.fields[other]
        self.fields[name].widget.attrs |= {"autofocus": True, "aria-label": self.fields[name].label}

    @property
    def field(self) -> forms.BoundField:
        return self[self.name]


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


class SuppressContactForm(Styled, forms.Form):
    """Why nothing is to be sent to somebody any more."""

    note = forms.CharField(
        required=False, max_length=500, help_text="Why, for your team. Kept on the suppression list."
    )


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
