"""What the rules of one workspace can speak of: its fields and lists, and today in its zone."""

import datetime
import math
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from accounts.models import Workspace
from contacts.models import CustomField, List
from contacts.segments.rules import Group, Rule, RulesProblem, Scalar
from contacts.segments.subjects import ATTRIBUTES, SUBJECTS, Clock, Operator, Subject

DAYS_LIMIT = 36_500
YEARS = range(1900, 3000)


class Broken(Exception):  # noqa: N818  (an answer, not a fault)
    """The rule makes no sense here; str() says why, and what to do."""


@dataclass(frozen=True)
class Vocabulary:
    """subjects: by key, in the order of a menu. lists: {id: name}."""

    subjects: dict[str, Subject]
    lists: dict[int, str]
    clock: Clock

    @classmethod
    def of(cls, workspace: Workspace) -> "Vocabulary":
        """Two queries: the custom fields and the lists."""
        fields = CustomField.objects.of(workspace)
        custom = [ATTRIBUTES[field.type](f"attribute:{field.key}", field.label) for field in fields]
        lists = dict(List.objects.of(workspace).values_list("pk", "name"))
        clock = Clock(timezone.now().astimezone(workspace.zone).date(), workspace.zone)
        return cls({subject.key: subject for subject in (*SUBJECTS, *custom)}, lists, clock)

    def resolve(self, rule: Rule) -> tuple[Subject, Operator, Any]:
        """What the rule is about, its operator and its value, typed.

        Raises: Broken: an unknown subject, operator or list, or a value of another type.
        """
        subject = self.subjects.get(rule.subject)
        if subject is None:
            name = rule.subject.removeprefix("attribute:")[:60]
            raise Broken(f"The field “{name}” was deleted or never existed; choose another one.")
        operator = subject.operators.get(rule.operator)
        if operator is None:
            raise Broken(f"“{subject.label}” cannot be compared in this way; choose how.")
        return subject, operator, self._value(operator.takes, rule.value)

    def in_words(self, rule: Rule) -> str:
        try:
            subject, operator, value = self.resolve(rule)
        except Broken as problem:
            return f"[{problem} Until then nobody matches]"
        return subject.in_words(operator, self._shown(operator.takes, value))

    def checked(self, group: Group) -> dict[str, Any]:
        """The rules as they are stored, their values typed.

        Raises: RulesProblem: no rule, an empty group, or a rule that makes no sense here.
        """
        if not group.rules:
            raise RulesProblem("Add at least one rule; a group without rules matches nobody.")
        return {"join": group.join, "rules": [self._checked(each) for each in group.rules]}

    def _checked(self, each: Rule | Group) -> dict[str, Any]:
        if isinstance(each, Group):
            return self.checked(each)
        try:
            _subject, _operator, value = self.resolve(each)
        except Broken as problem:
            raise RulesProblem(str(problem)) from None
        stored = str(value) if isinstance(value, datetime.date) else value
        return {"subject": each.subject, "operator": each.operator, "value": stored}

    def _value(self, takes: str, value: Scalar) -> Any:
        match takes:
            case "":
                return None
            case "text":
                return _text(value)
            case "number":
                return _number(value)
            case "date":
                return _date(value)
            case "days":
                return _days(value)
        return self._list(value)

    def _list(self, value: Scalar) -> int:
        text = str(value)
        pk = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
        if pk not in self.lists:
            raise Broken(
                "The list was deleted or never existed; choose another one." if pk else "Choose a list."
            )
        return pk

    def _shown(self, takes: str, value: Any) -> str:
        match takes:
            case "":
                return ""
            case "text":
                return f"“{value}”"
            case "days":
                return f"{value:,} days"
            case "list":
                return self.lists[value]
        return f"{value:,}" if takes == "number" else value.strftime("%-d %b %Y")


def _text(value: Scalar) -> str:
    text = value.strip() if isinstance(value, str) else "" if value is None else str(value)
    if not text:
        raise Broken("Fill in the value.")
    return text


def _number(value: Scalar) -> int | float:
    text = _text(value).replace(" ", "")
    try:
        number = float(text if text.count(",") != 1 or "." in text else text.replace(",", "."))
    except ValueError:
        raise Broken(f"“{text[:40]}” is not a number.") from None
    if not math.isfinite(number) or abs(number) > 1e15:
        raise Broken("This number is too large.")
    return int(number) if number.is_integer() else number


def _date(value: Scalar) -> datetime.date:
    try:
        date = datetime.date.fromisoformat(_text(value))
    except ValueError:
        raise Broken("Choose a date, as in 2024-12-31.") from None
    if date.year not in YEARS:
        raise Broken("Choose a date between 1900 and 2999.")
    return date


def _days(value: Scalar) -> int:
    number = _number(value)
    if not isinstance(number, int) or not 0 <= number <= DAYS_LIMIT:
        raise Broken(f"Give a whole number of days, at most {DAYS_LIMIT:,}.")
    return number
