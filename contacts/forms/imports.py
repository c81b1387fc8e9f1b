"""What a person chooses to import a file: the file, how it reads, what each column is, for which lists."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from django import forms
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat

from accounts.forms import ONE_LINE, Styled
from accounts.models import Workspace
from accounts.uploads import FILE_LIMIT
from contacts.actions.imports import NewField, Plan
from contacts.forms import import_columns
from contacts.forms.tags import SEPARATED, tag_names
from contacts.forms.widgets import QuickSelect
from contacts.importing.cells import OPTION_LIMIT
from contacts.importing.columns import Column, mark_of
from contacts.importing.reader import COLUMN_LIMIT, DELIMITERS, ENCODINGS, Reading, as_rows
from contacts.importing.values import NOTATIONS
from contacts.models import CustomField, FieldType, Import, ImportMode, List, OptIn, SubscriptionStatus, Tag
from contacts.queries import imports as queries
from contacts.spreadsheet import quoted_tag

PASTE_LIMIT: Final = 1_000_000  # characters; more is better kept in a file
ACCEPTED: Final = ".csv,.tsv,.tab,.txt,.xlsx,.xlsm,.xlsb,.xls,.ods,.zip,text/csv,text/plain"
TAGS_OFFERED: Final = 200
DELIMITER_WORDS: Final = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
ROLES: Final = (
    ("", "Leave out"),
    ("email", "E-mail address"),
    ("first_name", "First name"),
    ("last_name", "Last name"),
    ("name", "Full name"),
    ("tags", "Tags"),
    ("consent_at", "Consent date"),
)
MODES: Final = (
    (
        ImportMode.FILL,
        "Update with filled cells",
        "Filled cells replace what is there; empty cells leave it.",
    ),
    (ImportMode.ADD, "Only add new people", "The fields of people already here stay as they are."),
    (
        ImportMode.OVERWRITE,
        "Overwrite",
        "Every column that is taken replaces what is there; an empty cell wipes it.",
    ),
)
STATUSES: Final = (
    (
        SubscriptionStatus.SUBSCRIBED,
        "Subscribed",
        "They agreed to get mail from us, and get it from the next campaign on.",
    ),
    (
        SubscriptionStatus.PENDING,
        "Unconfirmed: ask them first",
        "Each gets one mail that asks to confirm. Until they do, no campaign goes to them.",
    ),
    (
        SubscriptionStatus.UNSUBSCRIBED,
        "Unsubscribed",
        "Noted on these lists as having left, so that no later import subscribes them.",
    ),
)


class UploadForm(Styled, forms.Form):
    """A file, or rows pasted instead; `cleaned_data["upload"]` is what came, as a file."""

    file = forms.FileField(
        label="File",
        required=False,
        max_length=255,
        help_text=(
            f"CSV, TSV or text, Excel or LibreOffice (.xlsx, .xls, .ods), or a ZIP of one of these: up to "
            f"{FILE_LIMIT // 2**20} MB and {COLUMN_LIMIT:,} columns, with an e-mail address in each row."
        ),
        widget=forms.FileInput(attrs={"accept": ACCEPTED, "data-max-bytes": str(FILE_LIMIT)}),
        error_messages={
            "empty": "The file is empty. Export it again, or choose another one.",
            "max_length": "The file's name is longer than 255 characters. Give it a shorter one.",
        },
    )
    pasted = forms.CharField(
        label="Or paste rows",
        required=False,
        max_length=PASTE_LIMIT,
        help_text="Cells copied from a spreadsheet, or addresses with commas or new lines between them.",
        widget=forms.Textarea(
            attrs={
                "rows": 5,
                "placeholder": "anna@example.com, Bob Doe <bob@example.com>",
                "spellcheck": "false",
            }
        ),
    )
    list = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)  # where one came from

    def __init__(self, *args: Any, is_too_large: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_too_large = is_too_large

    @property
    def source(self) -> str:
        """The field that what is wrong with the rows is said beside."""
        return "pasted" if self.cleaned_data.get("pasted") else "file"

    def clean(self) -> dict[str, Any]:
        file: UploadedFile | None = self.cleaned_data.get("file")
        pasted: str = self.cleaned_data.get("pasted", "")
        size = (file.size or 0) if file else 0
        if self.is_too_large or size > FILE_LIMIT:
            held = f"has {filesizeformat(size)}" if size else "is too large"
            self.add_error(
                "file",
                f"The file {held}; at most {FILE_LIMIT // 2**20} MB can be imported at once. "
                "Split it, put it into a ZIP, or leave out columns that are not needed.",
            )
        elif file and pasted:
            self.add_error("pasted", "A file is chosen and rows are pasted. Keep one of them.")
        elif pasted and "@" not in pasted:
            self.add_error("pasted", "There is no e-mail address in what you pasted.")
        elif not (file or pasted or self.errors):
            self.add_error("file", "Choose a file, or paste rows below.")
        else:
            rows = as_rows(pasted).encode("utf-8", "replace")
            self.cleaned_data["upload"] = file or ContentFile(rows, name="Pasted rows")
        return self.cleaned_data


class ReadingForm(Styled, forms.Form):
    """How the file is written. Guessed; the person corrects it and the preview follows."""

    sheet = forms.ChoiceField(label="Sheet")
    encoding = forms.ChoiceField(label="Characters", choices=list(ENCODINGS.items()))
    delimiter = forms.ChoiceField(
        label="Between cells", choices=[(DELIMITER_WORDS[sign], label) for sign, label in DELIMITERS.items()]
    )
    header = forms.ChoiceField(
        label="First row", choices=[("yes", "Names the columns"), ("no", "Is a person already")]
    )
    notation = forms.ChoiceField(label="Numbers and dates", choices=list(NOTATIONS.items()))

    def __init__(self, data: Mapping[str, Any], *, sheets: Sequence[str] = ()) -> None:
        super().__init__(data)
        self.fields["sheet"].choices = [(name, name) for name in sheets]  # type: ignore[attr-defined]
        if not sheets:
            del self.fields["sheet"]
            return
        self.fields["encoding"].widget = self.fields["delimiter"].widget = forms.HiddenInput()
        if len(sheets) == 1:
            self.fields["sheet"].widget = forms.HiddenInput()

    @classmethod
    def of(cls, run: Import, data: Mapping[str, Any]) -> "ReadingForm":
        """What the data says, else what was guessed for the file, else the first of each choice."""
        sheets = queries.sheets(run)
        guessed = {
            "encoding": run.encoding,
            "delimiter": DELIMITER_WORDS[run.delimiter],
            "header": "yes" if run.has_header else "no",
            "notation": run.notation,
            "sheet": run.sheet,
        }
        asked = {name: data.get(name, guess) for name, guess in guessed.items()}
        for values in (asked, guessed):
            form = cls(values, sheets=sheets)
            if form.is_valid():
                return form
        form = cls(
            {name: field.choices[0][0] for name, field in form.fields.items()},  # type: ignore[attr-defined]
            sheets=sheets,
        )
        form.full_clean()
        return form

    def reading(self) -> Reading:
        chosen = self.cleaned_data
        sign = next(sign for sign, word in DELIMITER_WORDS.items() if word == chosen["delimiter"])
        has_header = chosen["header"] == "yes"
        return Reading(chosen["encoding"], sign, has_header, chosen["notation"], chosen.get("sheet", ""))


class MappingForm(Styled, forms.Form):
    """What each column is (`column_0`, `label_0`, …), the lists to fill, and the consent declared."""

    lists = forms.ModelMultipleChoiceField(
        label="Subscribe them to",
        queryset=List.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    mode = forms.ChoiceField(
        label="People who are contacts already",
        choices=[(value, label) for value, label, _ in MODES],
        widget=forms.RadioSelect,
        initial=ImportMode.FILL,
    )
    adds_options = forms.BooleanField(
        label="Add new options that the file has to fields of choices",
        required=False,
        help_text=(
            f"Up to {OPTION_LIMIT} for each field. Otherwise a row with another option is refused, so that a "
            "misspelled cell makes none."
        ),
    )
    tags = forms.CharField(
        label="Tags for everybody in the file",
        max_length=1000,
        required=False,
        validators=[ONE_LINE],
        help_text=f"{SEPARATED} Tags are only added; nobody loses one.",
        widget=forms.TextInput(attrs={"list": "known-tags", "data-suggest-many": "", "autocomplete": "off"}),
    )
    status = forms.ChoiceField(
        label="They are",
        choices=[(value, label) for value, label, _ in STATUSES],
        widget=forms.RadioSelect,
        initial=SubscriptionStatus.SUBSCRIBED,
    )
    new_list = forms.CharField(label="A new list", max_length=120, required=False, validators=[ONE_LINE])
    consent = forms.BooleanField(label="These people agreed to get mail from us", required=False)
    consent_note = forms.CharField(
        label="Where and when they agreed",
        max_length=120,
        required=False,
        help_text=(
            "Kept with each subscription, such as “Newsletter form on our web site, 2023”. Its time is that of the "
            "import, or of a column that is taken as Consent date."
        ),
    )

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        workspace: Workspace,
        columns: Sequence[Column],
        reading: Reading,
        chosen: Mapping[str, Any],
        held: import_columns.Choices | None = None,
        asked: Mapping[str, Any] | None = None,
        like: Import | None = None,
    ) -> None:
        """chosen: what earlier choices begin with, by field. held: what the columns are taken as until now.

        asked: which columns to show; a form that was sent has those that it showed.
        like: the import whose columns `chosen` was taken from.
        """
        self.columns, self.workspace, self.reading, self.like = columns, workspace, reading, like
        self.custom = list(CustomField.objects.of(workspace))
        self.begin = import_columns.guessed(columns, chosen)
        self.held = import_columns.sent(data, self.begin) if data else held or self.begin
        self.window = import_columns.window(columns, data or asked or {})
        self.shown = (
            [each for each in columns if f"column_{each.index}" in data] if data else self.window.shown
        )
        self.base_fields = {**type(self).base_fields, **self._column_fields()}  # type: ignore[misc]
        mine = {name: value for name, value in chosen.items() if name in type(self).base_fields}
        super().__init__(data, use_required_attribute=False, initial=mine)
        self.fields["lists"].queryset = List.objects.of(workspace).filter(archived_at=None)  # type: ignore[attr-defined]

    def _column_fields(self) -> dict[str, forms.Field]:
        choices = self._choices()
        fields: dict[str, forms.Field] = {}
        for column in self.shown:
            held = self.held[column.index]
            fields[f"column_{column.index}"] = forms.ChoiceField(
                label=f"Take “{column.label}” as",
                choices=choices,
                required=False,
                initial=held.role,
                widget=QuickSelect,
            )
            fields[f"label_{column.index}"] = forms.CharField(
                label=f"Name of the field made from “{column.label}”",
                max_length=import_columns.LABEL_LENGTH, required=False, initial=held.label,
            )  # fmt: skip
        return fields

    def _choices(self) -> list[Any]:
        own = [
            (f"attribute:{field.key}", f"{field.label} ({field.get_type_display()})") for field in self.custom
        ]
        new = [(f"new:{kind.value}", f"New field: {kind.label}") for kind in FieldType]
        return [*ROLES, *([("Your fields", own)] if own else []), ("A new field", new)]

    def clean_tags(self) -> list[str]:
        return tag_names(self.cleaned_data["tags"])

    def clean(self) -> dict[str, Any]:
        roles = {column.index: self._taken_as(column).role for column in self.columns}
        self._check_roles(roles)
        self._check_labels(roles)
        self._check_lists()
        return self.cleaned_data

    def _check_roles(self, roles: dict[int, str]) -> None:
        names = dict(ROLES) | {f"attribute:{field.key}": field.label for field in self.custom}
        taken: set[str] = set()
        for index, role in roles.items():
            if role in taken:
                self._complain(
                    "column", index, f"Another column is “{names[role]}” already. Leave one of them out."
                )
            if role and not role.startswith("new:"):
                taken.add(role)
        if "email" not in taken:
            raise forms.ValidationError("Choose the column that holds the e-mail addresses.")

    def _check_labels(self, roles: dict[int, str]) -> None:
        known = {field.label.casefold() for field in self.custom}
        for index, role in roles.items():
            if not role.startswith("new:"):
                continue
            label = self._taken_as(self._by_index[index]).label
            if not label and f"label_{index}" not in self.errors:
                self._complain("label", index, "Name the new field, or leave the column out.")
            elif label.casefold() in known:
                self._complain(
                    "label", index, f"A field “{label}” is there already. Choose it, or use another name."
                )
            known.add(label.casefold())

    def _taken_as(self, column: Column) -> import_columns.Choice:
        """As was chosen; a role that there is not is an error of its field, and none where it was only kept."""
        if f"column_{column.index}" in self.fields:
            role, label = (
                self.cleaned_data.get(f"{name}_{column.index}", "") for name in ("column", "label")
            )
            return import_columns.Choice(role, label)
        held = self.held[column.index]
        return held if held.role in self._roles else self.begin[column.index]

    def _complain(self, kind: str, index: int, problem: str) -> None:
        """Beside the column; where the page does not show it, above all of them and by its name."""
        name = f"{kind}_{index}"
        if name in self.fields:
            self.add_error(name, problem)
        else:
            self.add_error(None, f"Column “{self._by_index[index].label}”: {problem}")

    @cached_property
    def _by_index(self) -> dict[int, Column]:
        return {each.index: each for each in self.columns}

    @cached_property
    def _roles(self) -> set[str]:
        groups = (each if isinstance(each, list) else [(value, each)] for value, each in self._choices())
        return {value for group in groups for value, _label in group}

    def _check_lists(self) -> None:
        new_list = self.cleaned_data.get("new_list", "")
        if new_list and List.objects.of(self.workspace).filter(name__iexact=new_list).exists():
            self.add_error("new_list", f"A list “{new_list}” is there already. Tick it instead.")
        is_leaving = self.cleaned_data.get("status") == SubscriptionStatus.UNSUBSCRIBED
        if not (new_list or self.cleaned_data.get("lists")):
            if is_leaving:
                self.add_error("lists", "Tick the lists that they left.")
            return
        if is_leaving:
            return
        if self.cleaned_data.get("status") == SubscriptionStatus.PENDING:
            self._check_opt_in()
            return
        if not self.cleaned_data.get("consent"):
            self.add_error(
                "consent", "Only people who agreed may be subscribed. Confirm it, or let them be asked first."
            )
        if not self.cleaned_data.get("consent_note") and "consent_note" not in self.errors:
            self.add_error(
                "consent_note", "Say where and when they agreed; it is kept as the record of consent."
            )

    def _check_opt_in(self) -> None:
        """Only a list with double opt-in asks its unconfirmed people; a new one is made so."""
        for each in self.cleaned_data.get("lists") or ():
            if each.opt_in != OptIn.DOUBLE:
                self.add_error(
                    "status",
                    f"“{each}” is single opt-in, so it asks nobody to confirm. "
                    "Make it double opt-in in its settings, or leave it out.",
                )

    def plan(self) -> Plan:
        data = self.cleaned_data
        return Plan(
            reading=self.reading,
            columns=[self._role(column) for column in self.columns],
            mode=data["mode"],
            adds_options=data["adds_options"],
            lists=list(data["lists"]),
            new_list=data["new_list"],
            status=data["status"],
            consent_note=data["consent_note"],
            tags=data["tags"],
            header_mark=mark_of(self.columns) if self.reading.has_header else "",
        )

    def _role(self, column: Column) -> str | NewField:
        taken = self._taken_as(column)
        is_new = taken.role.startswith("new:")
        return NewField(taken.label, taken.role.removeprefix("new:")) if is_new else taken.role

    def modes(self) -> list[tuple[Any, str]]:
        """Each way to treat people who are here, and what it means."""
        return [(choice, means) for choice, (_, _, means) in zip(self["mode"], MODES, strict=True)]

    def statuses(self) -> list[tuple[Any, str]]:
        """Each status that subscriptions may begin as, and what it means."""
        return [(choice, means) for choice, (_, _, means) in zip(self["status"], STATUSES, strict=True)]

    def known_tags(self) -> list[str]:
        return list(Tag.objects.of(self.workspace).values_list("name", flat=True)[:TAGS_OFFERED])

    @property
    def has_choices(self) -> bool:
        """Whether the workspace has a field of choices, which could get more of them."""
        return any(field.type == FieldType.CHOICE for field in self.custom)

    @property
    def has_email_guess(self) -> bool:
        guesses = (self.initial.get(f"column_{each.index}", each.guess) for each in self.columns)
        return "email" in guesses

    def rows(self) -> list[tuple[Column, forms.BoundField, forms.BoundField]]:
        """(column, what it is, the new field's name) for the page."""
        return [(each, self[f"column_{each.index}"], self[f"label_{each.index}"]) for each in self.shown]

    @property
    def kept(self) -> str:
        """The choices for the columns that are not shown."""
        return import_columns.kept(self.held, self.begin, self.shown)

    @property
    def new_count(self) -> int:
        """Fields that would be made."""
        return sum(each.role.startswith("new:") for each in self.held.values())


def as_there(like: Import | None, columns: Sequence[Column]) -> dict[str, str]:
    """What each column was taken as in an import alike, where that is possible still."""
    if like is None:
        return {}
    fields = CustomField.objects.of(like.workspace)
    roles = {*dict(ROLES), *(f"attribute:{field.key}" for field in fields)}
    taken_as = zip(columns, like.mapping, strict=False)
    return {f"column_{column.index}": role for column, role in taken_as if role in roles and not column.unfit}


def earlier(run: Import, chosen_list: str = "") -> dict[str, Any]:
    """What the form begins with: what was chosen before the last check, or the list that somebody came from."""
    if not run.mapping:
        ticked = [int(chosen_list)] if chosen_list.isdecimal() and len(chosen_list) < 19 else []
        return {"lists": ticked}
    begin = {
        "mode": run.mode, "adds_options": run.adds_options, "status": run.status, "new_list": run.new_list,
        "tags": ", ".join(map(quoted_tag, run.tags)),
        "consent_note": run.consent_note, "consent": bool(run.consent_note),
        "lists": list(run.lists.values_list("pk", flat=True)),
    }  # fmt: skip
    for index, role in enumerate(run.mapping):
        begin[f"column_{index}"] = role if isinstance(role, str) else f"new:{role['type']}"
        if isinstance(role, dict):
            begin[f"label_{index}"] = role["label"]
    return begin
