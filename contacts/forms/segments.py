"""The rule builder: a tree of rules as flat form fields (`rule.0.subject`, `rule.1.0.value`) and back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django import forms

from accounts.forms import Styled
from accounts.models import Workspace
from contacts.models import Segment
from contacts.segments.rules import DEPTH_LIMIT, JOINS, Group, Rule, RulesProblem, read
from contacts.segments.vocabulary import Broken, Vocabulary

_NAME = re.compile(rf"rule((?:\.\d{{1,3}}){{0,{DEPTH_LIMIT}}})\.(subject|operator|value|join)", re.ASCII)
NEW_RULE: Final = {"subject": "email", "operator": "contains", "value": ""}
JOIN_LABELS: Final = (("and", "all of these"), ("or", "any of these"))


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


@dataclass(frozen=True)
class RuleRow:
    """One rule as it is drawn. path: "0.1"; takes: see `Operator`."""

    path: str
    subject: str
    operator: str
    value: str
    subjects: list[tuple[str, list[tuple[str, str]]]]
    operators: list[tuple[str, str]]
    takes: str
    error: str
    lists: list[tuple[str, str]]
    is_group = False

    @property
    def focus_id(self) -> str:
        return f"rule-{self.path}-subject"


@dataclass(frozen=True)
class GroupRow:
    path: str
    join: str
    may_nest: bool
    error: str
    rows: list["RuleRow | GroupRow"] = field(default_factory=list)
    joins = JOIN_LABELS
    is_group = True

    @property
    def focus_id(self) -> str:
        return f"rule{self.path}-add"

    @property
    def prefix(self) -> str:
        return f"{self.path}." if self.path else ""

    @property
    def dotted(self) -> str:
        return f".{self.path}" if self.path else ""

    @property
    def has_error(self) -> bool:
        return bool(self.error) or any(
            row.has_error if isinstance(row, GroupRow) else row.error for row in self.rows
        )


def rules_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """The rules that the form's fields hold, as JSON; not checked."""
    found: dict[tuple[int, ...], dict[str, str]] = {(): {}}
    for name in data:
        if match := _NAME.fullmatch(name):
            path = tuple(int(step) for step in match[1].split(".")[1:])
            found.setdefault(path, {})[match[2]] = data[name]
    return _gathered((), found)


def _gathered(path: tuple[int, ...], found: dict[tuple[int, ...], dict[str, str]]) -> dict[str, Any]:
    parts = found[path]
    if "subject" in parts:
        return {name: parts.get(name, "") for name in ("subject", "operator", "value")}
    inner = sorted(each for each in found if len(each) == len(path) + 1 and each[:-1] == path)
    join = parts.get("join", "and")
    return {"join": join if join in JOINS else "and", "rules": [_gathered(each, found) for each in inner]}


def edited(raw: dict[str, Any], deed: str) -> dict[str, Any]:
    """The rules after a press of "add-rule:PATH", "add-group:PATH" or "remove:PATH"; else no change."""
    verb, _, path = deed.partition(":")
    steps = [int(step) for step in path.split(".") if step.isdecimal() and step.isascii()][:DEPTH_LIMIT]
    try:
        if verb == "add-rule":
            _group_at(raw, steps)["rules"].append(dict(NEW_RULE))
        elif verb == "add-group" and len(steps) < DEPTH_LIMIT - 1:
            _group_at(raw, steps)["rules"].append({"join": "or", "rules": [dict(NEW_RULE)]})
        elif verb == "remove" and steps:
            del _group_at(raw, steps[:-1])["rules"][steps[-1]]
    except (IndexError, KeyError):
        return raw  # the button stood on a page older than the rules
    return raw


def focus_after(raw: dict[str, Any], deed: str) -> str:
    """The id of the element to go on from after the press of a button; "" where it is the same as before."""
    verb, _, path = deed.partition(":")
    if verb == "remove":
        return f"rule{path.rpartition('.')[0]}-add"
    if verb not in ("add-rule", "add-group"):
        return ""
    try:
        last = len(_group_at(raw, [int(step) for step in path.split(".") if step])["rules"]) - 1
    except (ValueError, IndexError, KeyError):
        return ""
    new = f"{path}.{last}" if path else str(last)
    return f"rule-{new}{'.0' if verb == 'add-group' else ''}-subject"


def _group_at(raw: dict[str, Any], steps: list[int]) -> dict[str, Any]:
    for step in steps:
        raw = raw["rules"][step]
    return raw


def drawn(raw: Any, vocabulary: Vocabulary, *, say_errors: bool) -> GroupRow:
    """The rules as rows for the page, each with its menu, and with what is wrong where `say_errors`."""
    try:
        return _group_row(read(raw), "", vocabulary, say_errors=say_errors)
    except RulesProblem as problem:
        return GroupRow("", "and", may_nest=True, error=problem.message)


def _group_row(group: Group, path: str, vocabulary: Vocabulary, *, say_errors: bool) -> GroupRow:
    depth = path.count(".") + 2 if path else 1
    error = "Add a rule, or remove this group." if say_errors and not group.rules else ""
    if error and not path:
        error = "Add at least one rule."
    row = GroupRow(path, group.join, may_nest=depth < DEPTH_LIMIT, error=error)
    for index, each in enumerate(group.rules):
        draw: Any = _group_row if isinstance(each, Group) else _rule_row
        row.rows.append(draw(each, f"{row.prefix}{index}", vocabulary, say_errors=say_errors))
    return row


def _rule_row(rule: Rule, path: str, vocabulary: Vocabulary, *, say_errors: bool) -> RuleRow:
    subject = vocabulary.subjects.get(rule.subject)
    operators = subject.operators if subject else {}
    operator = rule.operator if rule.operator in operators else next(iter(operators), "")
    takes = operators[operator].takes if operator else ""
    return RuleRow(
        path=path,
        subject=rule.subject,
        operator=operator,
        value="" if rule.value is None else str(rule.value),
        subjects=_subject_menu(vocabulary, rule.subject),
        operators=[(key, each.label) for key, each in operators.items()],
        takes=takes,
        error=_error(rule, vocabulary) if say_errors or not subject else "",
        lists=[(str(pk), name) for pk, name in vocabulary.lists.items()] if takes == "list" else [],
    )


def _error(rule: Rule, vocabulary: Vocabulary) -> str:
    try:
        vocabulary.resolve(rule)
    except Broken as problem:
        return str(problem)
    return ""


def _subject_menu(vocabulary: Vocabulary, chosen: str) -> list[tuple[str, list[tuple[str, str]]]]:
    keys = [(key, subject.label) for key, subject in vocabulary.subjects.items()]
    fixed = [each for each in keys if not each[0].startswith("attribute:")]
    custom = [each for each in keys if each[0].startswith("attribute:")]
    gone = (
        []
        if chosen in vocabulary.subjects
        else [("Deleted", [(chosen, chosen.removeprefix("attribute:")[:60])])]
    )
    return [*gone, ("Contact", fixed), *([("Your fields", custom)] if custom else [])]
