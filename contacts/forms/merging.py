"""What a person chooses when two contacts become one."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms


class MergeForm(forms.Form):
    """Which of two contacts each value is taken from: `take_NAME` is "kept" or "gone"."""

    def __init__(self, data: Mapping[str, Any] | None = None, *, names: Sequence[str]) -> None:
        super().__init__(data)
        for name in names:
            self.fields[f"take_{name}"] = forms.ChoiceField(
                choices=[("kept", ""), ("gone", "")], required=False
            )

    def taken(self) -> set[str]:
        """What is taken from the one that goes, as `contacts.actions.merging.merge` wants it."""
        return {name.removeprefix("take_") for name, side in self.cleaned_data.items() if side == "gone"}
