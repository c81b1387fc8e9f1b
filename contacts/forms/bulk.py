"""What a person chooses for many contacts at once: whom, and for each deed what it needs to know."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django import forms

from accounts.errors import Refusal
from accounts.forms import ONE_LINE, Styled
from accounts.ids import id_in
from accounts.models import Workspace
from contacts import fitting
from contacts.actions.bulk import Plan
from contacts.actions.tags import NAME_LIMIT
from contacts.forms.attributes import attribute_field, stored
from contacts.forms.tags import SEPARATED, tag_names
from contacts.models import BulkAction, CustomField, List, Tag

IDS_LIMIT: Final = 5000  # people chosen one by one; more are found by a search
TAGS_LIMIT: Final = 20  # new ones at once
DELETE_WORD: Final = "delete"


def chosen_ids(posted: Iterable[str]) -> list[int]:
    """The contacts' ids, each alone or several with commas between.

    Raises: Refusal: nobody, too many, or something else.
    """
    words = {word for text in posted for word in text.split(",") if word}
    if not words:
        raise Refusal("Choose at least one person first.")
    if len(words) > IDS_LIMIT:
        raise Refusal(
            f"At most {IDS_LIMIT:,} people can be chosen one by one. Choose all that match instead."
        )
    ids = [pk for word in words if (pk := id_in(word)) is not None]
    if len(ids) < len(words):
        raise Refusal("These are no contacts. Choose them anew on the list.")
    return sorted(ids)


class _BulkForm(Styled, forms.Form):
    """The base. go: the words of the button, before the number of people."""

    go = ""
    is_danger = False

    def __init__(
        self, data: Mapping[str, Any] | None = None, *, workspace: Workspace, initial: Mapping[str, Any]
    ) -> None:
        super().__init__(data, initial=initial, use_required_attribute=False)
        self.workspace = workspace
        self.prepare()

    def prepare(self) -> None:
        """Fill in what the workspace has to choose from."""

    def plan(self) -> Plan:
        """What was chosen, once it is valid."""
        raise NotImplementedError


class AddToListForm(_BulkForm):
    go = "Add"
    list = forms.ModelChoiceField(
        label="List",
        queryset=List.objects.none(),
        empty_label="Choose a list",
        error_messages={"required": "Choose a list.", "invalid_choice": "Choose one of these lists."},
    )
    agreed = forms.BooleanField(
        label="They agreed to get these mails",
        error_messages={"required": "Only people who agreed may be subscribed. Confirm it first."},
    )
    note = forms.CharField(
        label="How they agreed",
        required=False,
        max_length=120,
        validators=[ONE_LINE],
        help_text="Kept with each subscription as its record of consent.",
    )

    def prepare(self) -> None:
        lists = List.objects.of(self.workspace).filter(archived_at=None)
        self.fields["list"].queryset = lists  # type: ignore[attr-defined]

    def plan(self) -> Plan:
        held, note, agreed = (self.cleaned_data[name] for name in ("list", "note", "agreed"))
        parameters = {"list": held.pk, "note": note}
        return Plan(BulkAction.ADD_TO_LIST, f"Add to “{held}”", parameters, agreed=agreed)


class RemoveFromListForm(_BulkForm):
    go = "Take off"
    list = forms.ModelChoiceField(
        label="List",
        queryset=List.objects.none(),
        empty_label="Choose a list",
        error_messages={"required": "Choose a list.", "invalid_choice": "Choose one of these lists."},
    )

    def prepare(self) -> None:
        self.fields["list"].queryset = List.objects.of(self.workspace)  # type: ignore[attr-defined]

    def plan(self) -> Plan:
        held = self.cleaned_data["list"]
        return Plan(BulkAction.REMOVE_FROM_LIST, f"Take off “{held}”", {"list": held.pk})


class RemoveTagsForm(_BulkForm):
    go = "Remove the tags of"
    tags = forms.ModelMultipleChoiceField(
        label="Tags",
        queryset=Tag.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": "Choose a tag.", "invalid_choice": "Choose among these tags."},
    )

    def prepare(self) -> None:
        self.fields["tags"].queryset = Tag.objects.of(self.workspace)  # type: ignore[attr-defined]

    def plan(self) -> Plan:
        tags = list(self.cleaned_data["tags"])
        name = f"Remove {_named(tag.name for tag in tags)}"
        return Plan(BulkAction.REMOVE_TAGS, name, {"tags": [tag.pk for tag in tags]})


class AddTagsForm(RemoveTagsForm):
    go = "Tag"
    new_tags = forms.CharField(
        label="New tags",
        required=False,
        max_length=TAGS_LIMIT * (NAME_LIMIT + 2),
        help_text=SEPARATED,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        validators=[ONE_LINE],
    )

    def prepare(self) -> None:
        super().prepare()
        self.fields["tags"].required = False
        if not self.fields["tags"].queryset.exists():  # type: ignore[attr-defined]
            del self.fields["tags"]

    def clean_new_tags(self) -> list[str]:
        names = tag_names(self.cleaned_data["new_tags"])
        if len(names) > TAGS_LIMIT:
            raise forms.ValidationError(f"At most {TAGS_LIMIT} new tags at once.")
        return names

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if not self.errors and not data.get("tags") and not data.get("new_tags"):
            self.add_error("new_tags", "Choose a tag, or name a new one.")
        return data

    def plan(self) -> Plan:
        tags, new = list(self.cleaned_data.get("tags", [])), self.cleaned_data["new_tags"]
        name = f"Tag with {_named([*(tag.name for tag in tags), *new])}"
        parameters = {"tags": [tag.pk for tag in tags]}
        return Plan(BulkAction.ADD_TAGS, name, parameters, new_tags=tuple(new))


class SetFieldForm(_BulkForm):
    """The value's own field is there once the custom field is chosen."""

    go = "Change"
    field = forms.ModelChoiceField(
        queryset=CustomField.objects.none(),
        empty_label="Choose a field",
        error_messages={"required": "Choose a field.", "invalid_choice": "Choose one of these fields."},
    )
    is_emptied = forms.BooleanField(label="Take the value away instead", required=False)

    def prepare(self) -> None:
        custom = CustomField.objects.of(self.workspace)
        self.fields["field"].queryset = custom  # type: ignore[attr-defined]
        text = str((self.data if self.is_bound else self.initial).get("field", ""))
        pk = id_in(text)
        self.chosen = None if pk is None else custom.filter(pk=pk).first()
        emptied = self.fields.pop("is_emptied")
        if self.chosen:
            value = attribute_field(self.chosen, None)
            value.label = "Value"
            kind = {forms.Select: "form-select"}.get(type(value.widget), "form-control")
            value.widget.attrs["class"] = kind
            self.fields |= {"value": value, "is_emptied": emptied}

    def clean(self) -> dict[str, Any]:
        data = self.cleaned_data
        if self.chosen and "value" in data:
            self.value = stored(self.chosen, data["value"])
            if self.value is None and not data["is_emptied"]:
                self.add_error("value", "Give a value, or take it away.")
            if self.value is not None and data["is_emptied"]:
                self.add_error("is_emptied", "There is a value to set. Choose one of the two.")
            elif self.value is not None:
                self._fit(self.chosen)
        return data

    def _fit(self, chosen: CustomField) -> None:
        try:
            self.value = fitting.fit(chosen, self.value)
        except fitting.Unfit as problem:
            self.add_error("value", str(problem))

    def plan(self) -> Plan:
        assert self.chosen
        shown = self.cleaned_data["value"] if self.value is not None else None
        name = f"Set {self.chosen} to “{shown}”" if shown is not None else f"Empty {self.chosen}"
        return Plan(BulkAction.SET_FIELD, name, {"field": self.chosen.pk, "value": self.value})


class UnsubscribeForm(_BulkForm):
    go = "Unsubscribe"
    is_danger = True

    def plan(self) -> Plan:
        return Plan(BulkAction.UNSUBSCRIBE, "Unsubscribe from everything", {})


class SuppressForm(_BulkForm):
    go = "Suppress"
    is_danger = True
    note = forms.CharField(
        required=False, max_length=500, help_text="Why, for your team. Kept with each address."
    )

    def plan(self) -> Plan:
        return Plan(BulkAction.SUPPRESS, "Suppress", {"note": self.cleaned_data["note"]})


class DeleteForm(_BulkForm):
    go = "Delete"
    is_danger = True
    word = forms.CharField(
        label=f"Type “{DELETE_WORD}” to confirm",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "off"}),
        error_messages={"required": f"Type “{DELETE_WORD}”."},
    )

    def clean_word(self) -> str:
        word: str = self.cleaned_data["word"]
        if word.strip().lower() != DELETE_WORD:
            raise forms.ValidationError(f"Type “{DELETE_WORD}”.")
        return word

    def plan(self) -> Plan:
        return Plan(BulkAction.DELETE, "Delete", {})


FORMS: Final[dict[str, type[_BulkForm]]] = {
    BulkAction.ADD_TO_LIST: AddToListForm,
    BulkAction.REMOVE_FROM_LIST: RemoveFromListForm,
    BulkAction.ADD_TAGS: AddTagsForm,
    BulkAction.REMOVE_TAGS: RemoveTagsForm,
    BulkAction.SET_FIELD: SetFieldForm,
    BulkAction.UNSUBSCRIBE: UnsubscribeForm,
    BulkAction.SUPPRESS: SuppressForm,
    BulkAction.DELETE: DeleteForm,
}


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)
