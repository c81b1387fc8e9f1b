"""The rule builder's form: a tree of rules as flat fields (`rule.0.subject`, `rule.1.0.value.days`) and back."""

import re
from collections.abc import Mapping
from typing import Any, Final

from django import forms

from accounts.forms import Styled
from accounts.models import Workspace
from contacts.models import Segment
from contacts.segments.rules import DEPTH_LIMIT, JOINS

_NAME: Final = re.compile(
    rf"rule((?:\.\d{{1,3}}){{0,{DEPTH_LIMIT}}})\.(subject|operator|join|value(?:\.[a-z]{{1,20}})?)", re.ASCII
)
NEW_RULE: Final = {"subject": "email", "operator": "contains", "value": ""}
Rules = dict[str, Any]


class SegmentForm(Styled, forms.Form):
    name = forms.CharField(
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Berliners who read the news"}),
        error_messages={"required": "Give the segment a name."},
    )

    def __init__(self, *args: Any, workspace: Workspace, segment: Segment | None, **kwargs: Any) -> None:
        kwargs.setdefault("initial", {"name": segment.name if segment else ""})
        super().__init__(*args, use_required_attribute=False, **kwargs)
        self.others = Segment.objects.of(workspace).exclude(pk=segment.pk if segment else None)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if self.others.filter(name__iexact=name).exists():
            raise forms.ValidationError(f"There is a segment “{name}” already. Choose another name.")
        return name


def rules_in(data: Mapping[str, Any]) -> Rules:
    """The rules that the form's fields hold, as JSON; not checked."""
    found: dict[tuple[int, ...], dict[str, Any]] = {(): {}}
    for name in data:
        if match := _NAME.fullmatch(name):
            path = tuple(int(step) for step in match[1].split(".")[1:])
            found.setdefault(path, {})[match[2]] = _typed(data, name)
    return _gathered((), found)


def _typed(data: Mapping[str, Any], name: str) -> Any:
    """What was typed or chosen; several as a list."""
    values = data.getlist(name) if hasattr(data, "getlist") else [data[name]]
    return values[0] if len(values) == 1 else values


def _gathered(path: tuple[int, ...], found: dict[tuple[int, ...], dict[str, Any]]) -> Rules:
    parts = found[path]
    if "subject" in parts:
        named = {name.partition(".")[2]: value for name, value in parts.items() if name.startswith("value.")}
        return {
            "subject": parts["subject"],
            "operator": parts.get("operator", ""),
            "value": named or parts.get("value", ""),
        }
    inner = sorted(each for each in found if len(each) == len(path) + 1 and each[:-1] == path)
    join = parts.get("join", "and")
    return {"join": join if join in JOINS else "and", "rules": [_gathered(each, found) for each in inner]}
