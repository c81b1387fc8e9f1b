"""What a person types about a custom field: its name, what values may be, what messages say without one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from contacts import fitting
from contacts.actions.fields import Settings
from contacts.fitting import OPTION_LENGTH, OPTIONS_LIMIT
from contacts.importing.values import TEXT_LIMIT, YEARLESS
from contacts.models import CustomField, FieldType

SPARE_ROWS: Final = 3  # empty rows for options, for whoever has no script to add one
# Which types each of the form's fields is for; the page hides it from the others.
FOR_TYPES: Final[dict[str, tuple[str, ...]]] = {
    "minimum": (FieldType.NUMBER, FieldType.DATE),
    "maximum": (FieldType.NUMBER, FieldType.DATE),
    "length": (FieldType.TEXT,),
    "options": (FieldType.CHOICE,),
}


@dataclass(frozen=True)
class Option:
    """One row: what the option is called, and what it was called before ("": it is new)."""

    name: str
    was: str = ""


class FieldForm(Styled, forms.Form):
    """type: only while the field is new, for its values are of that type. Options come as rows of `option` and `was`."""

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
    minimum = forms.CharField(label="From", required=False, max_length=30)
    maximum = forms.CharField(label="Up to", required=False, max_length=30)
    length = forms.IntegerField(
        label="Longest text",
        required=False,
        min_value=1,
        max_value=TEXT_LIMIT,
        help_text=f"In characters; empty: {TEXT_LIMIT:,}.",
    )
    default = forms.CharField(
        label="In messages, where a contact has no value",
        required=False,
        max_length=200,
        validators=[ONE_LINE],
        help_text="Printed instead of nothing. A campaign takes it as it stands when it leaves. "
        "Dates as 2024-12-31, yes or no as “yes” or “no”.",
    )
    description = forms.CharField(
        required=False, max_length=200, help_text="For your team: what it is for, where the values come from."
    )
    remove = forms.BooleanField(label="Remove these values from the contacts", required=False)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        workspace: Workspace,
        field: CustomField | None = None,
    ) -> None:
        super().__init__(data, initial=_initial(field) if field else None, use_required_attribute=False)
        self.field = field
        self.others = CustomField.objects.of(workspace).exclude(pk=field.pk if field else None)
        self.options = self._typed_options()
        self.option_errors: list[str] = []
        self.asks_removal = False
        if field:
            del self.fields["type"]
            for name, types in FOR_TYPES.items():
                if field.type not in types and name in self.fields:
                    del self.fields[name]

    @property
    def kind(self) -> str:
        return self.field.type if self.field else self.cleaned_data.get("type", "")

    def clean_label(self) -> str:
        label: str = self.cleaned_data["label"]
        if self.others.filter(label__iexact=label).exists():
            raise forms.ValidationError(f"There is a field “{label}” already. Choose another name.")
        return label

    def clean(self) -> dict[str, Any]:
        self.limits = self._limits()
        if self.kind == FieldType.CHOICE:
            self.option_errors = self._wrong_options()
            if self.option_errors:
                self.add_error(None, forms.ValidationError("Look at the options again."))
        if (text := self.cleaned_data.get("default")) and not self.errors:
            text = self.cleaned_data["default"] = self.renamed().get(text) or text
            try:
                fitting.read(self._as_typed(), text)
            except fitting.Unfit as problem:
                self.add_error("default", str(problem))
        return self.cleaned_data

    def settings(self) -> Settings:
        data, held = self.cleaned_data, self._as_typed()
        return Settings(data["label"], data["description"], data["default"], held.limits, held.options)

    def renamed(self) -> dict[str, str | None]:
        """{option: its new name, None where it is gone}, of those that changed."""
        if self.field is None or self.kind != FieldType.CHOICE:
            return {}
        now = {option.was: option.name for option in self.options if option.was and option.name}
        return {old: now.get(old) for old in self.field.options if now.get(old) != old}

    def ask_removal(self, counts: Mapping[str, int]) -> None:
        """Say how many contacts have the options that are about to go, and let the person confirm it."""
        self.asks_removal = True
        named = "; ".join(f"“{option}”: {count:,}" for option, count in counts.items())
        self.add_error(
            "remove", f"Contacts have a value that you took out ({named}). Confirm, or put it back."
        )

    def _as_typed(self) -> CustomField:
        options = [option.name for option in self.options if option.name]
        is_choice = self.kind == FieldType.CHOICE
        return CustomField(type=self.kind, limits=self.limits, options=options if is_choice else [])

    def _typed_options(self) -> list[Option]:
        if not self.is_bound:
            return [Option(name, name) for name in (self.field.options if self.field else [])]
        names = self.data.getlist("option") if hasattr(self.data, "getlist") else []
        before = self.data.getlist("was") if hasattr(self.data, "getlist") else []
        known = set(self.field.options) if self.field else set()
        rows = []
        for at, name in enumerate(names[: OPTIONS_LIMIT + SPARE_ROWS + 1]):
            was = before[at] if at < len(before) and before[at] in known else ""
            known.discard(was)  # of two rows that say they were it, the first one is
            rows.append(Option(" ".join(name.replace("\0", "").split()), was))
        return [row for row in rows if row.name or row.was]

    def _wrong_options(self) -> list[str]:
        names = [option.name for option in self.options if option.name]
        folded = [name.casefold() for name in names]
        twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
        found = [f"“{name}” stands there twice." for name in twice]
        found += [
            f"“{name[:40]}…” is longer than {OPTION_LENGTH} characters."
            for name in names
            if len(name) > OPTION_LENGTH
        ]
        if not names:
            found.append("Give at least one option.")
        if len(names) > OPTIONS_LIMIT:
            found.append(f"A choice has at most {OPTIONS_LIMIT} options.")
        return found

    def _limits(self) -> dict[str, Any]:
        if self.kind == FieldType.TEXT:
            longest = self.cleaned_data.get("length")
            return {"max": longest} if longest else {}
        if self.kind not in (FieldType.NUMBER, FieldType.DATE):
            return {}
        bounds = {"min": self._bound("minimum"), "max": self._bound("maximum")}
        limits = {name: bound for name, bound in bounds.items() if bound is not None}
        if len(limits) == 2 and limits["min"] > limits["max"]:
            self.add_error("maximum", "This is below where the values begin.")
        return limits

    def _bound(self, name: str) -> Any:
        try:
            bound = fitting.read(CustomField(type=self.kind), self.cleaned_data.get(name, ""))
        except fitting.Unfit as problem:
            self.add_error(name, str(problem))
            return None
        if str(bound).startswith(YEARLESS):
            self.add_error(name, "Give the year, too, as in 2024-12-31.")
            return None
        return bound


def _initial(field: CustomField) -> dict[str, Any]:
    low, high = field.limits.get("min"), field.limits.get("max")
    return {
        "label": field.label,
        "description": field.description,
        "default": field.default,
        "minimum": "" if low is None else str(low),
        "maximum": "" if high is None else str(high),
        "length": high,
    }
