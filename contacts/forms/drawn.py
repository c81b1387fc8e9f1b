"""Rules as the builder draws them: rows with their menus, the widgets of their values, and what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contacts.segments.condition import Operator, raw_of
from contacts.segments.inputs import Broken, Input
from contacts.segments.rules import DEPTH_LIMIT, Group, Rule, RulesProblem, read
from contacts.segments.vocabulary import Vocabulary

MENU_LIMIT: Final = 1000  # things in the menu of one input; what is chosen beyond them is kept
SEARCHED_FROM: Final = 20  # conditions or choices, above which there is something to search them by
JOIN_LABELS: Final = (("and", "all of these"), ("or", "any of these"), ("none", "none of these"))
Menu = list[tuple[str, list[tuple[str, str]]]]


@dataclass(frozen=True)
class InputRow:
    """One widget. values: as text; choices: (key, label, is chosen)."""

    input: Input
    html_id: str
    name: str
    values: list[str]
    choices: list[tuple[str, str, bool]]

    @property
    def text(self) -> str:
        return "\n".join(self.values)

    @property
    def is_long(self) -> bool:
        return len(self.choices) > SEARCHED_FROM


@dataclass(frozen=True)
class RuleRow:
    """One rule as it is drawn. path: "0.1"."""

    path: str
    subject: str
    operator: str
    subjects: Menu
    operators: list[tuple[str, str]]
    inputs: list[InputRow]
    error: str
    is_first: bool
    is_last: bool
    is_group = False

    @property
    def focus_id(self) -> str:
        return f"rule-{self.path}-subject"

    @property
    def is_wide(self) -> bool:
        """Whether its values need a line of their own."""
        return len(self.inputs) > 1

    @property
    def is_searched(self) -> bool:
        return sum(len(menu) for _, menu in self.subjects) > SEARCHED_FROM


@dataclass(frozen=True)
class GroupRow:
    path: str
    join: str
    may_nest: bool
    error: str
    is_first: bool = True
    is_last: bool = True
    rows: list["RuleRow | GroupRow"] = field(default_factory=list)
    joins = JOIN_LABELS
    is_group = True

    @property
    def focus_id(self) -> str:
        return f"group-{self.path}-join"

    @property
    def add_html_id(self) -> str:
        return f"group-{self.path}-add"

    @property
    def prefix(self) -> str:
        return f"{self.path}." if self.path else ""

    @property
    def dotted(self) -> str:
        return f".{self.path}" if self.path else ""


class _Drawer:
    def __init__(self, vocabulary: Vocabulary, *, say_errors: bool) -> None:
        self.vocabulary, self.say_errors = vocabulary, say_errors
        self.menu = _menu(vocabulary)

    def group(self, group: Group, path: str, *, is_first: bool = True, is_last: bool = True) -> GroupRow:
        depth = path.count(".") + 2 if path else 1
        error = "Add a rule, or remove this group." if self.say_errors and not group.rules else ""
        if error and not path:
            error = "Add at least one rule."
        row = GroupRow(path, group.join, depth < DEPTH_LIMIT, error, is_first, is_last)
        for index, each in enumerate(group.rules):
            draw: Any = self.group if isinstance(each, Group) else self.rule
            # At the end of an inner group there is still a way out of it.
            first, last = not path and index == 0, not path and index == len(group.rules) - 1
            row.rows.append(draw(each, f"{row.prefix}{index}", is_first=first, is_last=last))
        return row

    def rule(self, rule: Rule, path: str, *, is_first: bool, is_last: bool) -> RuleRow:
        condition = self.vocabulary.conditions.get(rule.subject)
        operators: Mapping[str, Operator] = condition.operators if condition else {}
        operator = rule.operator if rule.operator in operators else next(iter(operators), "")
        inputs = operators[operator].inputs if operator else ()
        gone = (
            [] if condition else [("Deleted", [(rule.subject, rule.subject.removeprefix("attribute:")[:60])])]
        )
        return RuleRow(
            path=path,
            subject=rule.subject,
            operator=operator,
            subjects=[*gone, *self.menu],
            operators=[(key, each.label) for key, each in operators.items()],
            inputs=[self.input(each, rule, path) for each in inputs],
            error=self.error(rule) if self.say_errors or not condition else "",
            is_first=is_first,
            is_last=is_last,
        )

    def input(self, each: Input, rule: Rule, path: str) -> InputRow:
        dotted = f".{each.name}" if each.name else ""
        values = _texts(raw_of(rule.value, each.name))
        return InputRow(
            input=each,
            html_id=f"rule-{path}-value{dotted}",
            name=f"rule.{path}.value{dotted}",
            values=values,
            choices=_choices(each, values, self.vocabulary),
        )

    def error(self, rule: Rule) -> str:
        try:
            self.vocabulary.resolve(rule)
        except Broken as problem:
            return str(problem)
        return ""


def drawn(raw: Any, vocabulary: Vocabulary, *, say_errors: bool) -> GroupRow:
    """The rules as rows for the page, each with its menu, and with what is wrong where `say_errors`."""
    try:
        return _Drawer(vocabulary, say_errors=say_errors).group(read(raw), "")
    except RulesProblem as problem:
        return GroupRow("", "and", may_nest=True, error=problem.message)


def _menu(vocabulary: Vocabulary) -> Menu:
    groups: dict[str, list[tuple[str, str]]] = {}
    for key, condition in vocabulary.conditions.items():
        groups.setdefault(condition.group, []).append((key, condition.label))
    return list(groups.items())


def _texts(raw: Any) -> list[str]:
    held = raw if isinstance(raw, list) else [raw]
    return [str(each) for each in held if each not in (None, "")]


def _choices(each: Input, values: list[str], vocabulary: Vocabulary) -> list[tuple[str, str, bool]]:
    ask = getattr(each, "choices", None)
    if ask is None:
        return []
    found = [(str(key), label, str(key) in values) for key, label in ask(vocabulary).items()]
    return found[:MENU_LIMIT] + [choice for choice in found[MENU_LIMIT:] if choice[2]]
