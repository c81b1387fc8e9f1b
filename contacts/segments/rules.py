"""The shape of rules: a tree of groups, read from JSON that may be hostile."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from accounts.errors import Refusal

DEPTH_LIMIT: Final = 4  # groups within groups, the outermost counted
RULE_LIMIT: Final = 50  # rules and groups in all
TEXT_LIMIT: Final = 500  # characters of one value
VALUES_LIMIT: Final = 1000  # values of one rule
RAW_LIMIT: Final = 100_000  # characters of one part as it is sent: many values may be pasted into one field
JOINS: Final = ("and", "or", "none")
Scalar = str | int | float | bool | None
Value = Scalar | list[Scalar] | dict[str, Scalar | list[Scalar]]
UNREADABLE_GROUP: Final = (
    "These rules cannot be read: a group needs “and”, “or” or “none” and a list of rules."
)
UNREADABLE_RULE: Final = "These rules cannot be read: a rule needs a subject, an operator and plain values."


class RulesProblem(Refusal):
    code = "bad_rules"


@dataclass(frozen=True)
class Rule:
    """value: what the operator takes: nothing, one value, several, or several by name."""

    subject: str
    operator: str
    value: Value = None


@dataclass(frozen=True)
class Group:
    join: str
    rules: tuple["Rule | Group", ...]


def read(raw: Any) -> Group:
    """The tree in the JSON; {} is a group without rules.

    Raises: RulesProblem: too deep, too many, or not of this shape.
    """
    group = _group(raw or {"rules": []}, depth=1)
    if count(group) > RULE_LIMIT:
        raise RulesProblem(f"A segment has at most {RULE_LIMIT} rules.")
    return group


def count(group: Group) -> int:
    """Rules and groups inside."""
    return sum(1 + (count(each) if isinstance(each, Group) else 0) for each in group.rules)


def every_rule(group: Group) -> Iterator[Rule]:
    for each in group.rules:
        if isinstance(each, Group):
            yield from every_rule(each)
        else:
            yield each


def _group(raw: Any, *, depth: int) -> Group:
    if depth > DEPTH_LIMIT:
        raise RulesProblem(f"Groups of rules go at most {DEPTH_LIMIT} deep.")
    if not isinstance(raw, dict) or not isinstance(raw.get("rules"), list):
        raise RulesProblem(UNREADABLE_GROUP)
    join = raw.get("join", "and")
    if join not in JOINS:
        raise RulesProblem(UNREADABLE_GROUP)
    if len(raw["rules"]) > RULE_LIMIT:
        raise RulesProblem(f"A segment has at most {RULE_LIMIT} rules.")
    inner = (_group(each, depth=depth + 1) if _is_group(each) else _rule(each) for each in raw["rules"])
    return Group(join, tuple(inner))


def _is_group(raw: Any) -> bool:
    return isinstance(raw, dict) and "rules" in raw


def _rule(raw: Any) -> Rule:
    if not isinstance(raw, dict):
        raise RulesProblem(UNREADABLE_RULE)
    subject, operator, value = raw.get("subject"), raw.get("operator"), raw.get("value")
    if not (isinstance(subject, str) and isinstance(operator, str)):
        raise RulesProblem(UNREADABLE_RULE)
    parts = [subject, operator, *_scalars(value)]
    if len(parts) > VALUES_LIMIT + 2:
        raise RulesProblem(f"A rule compares with at most {VALUES_LIMIT:,} values.")
    if not all(map(_is_fit, parts)):
        raise RulesProblem(UNREADABLE_RULE)
    return Rule(subject, operator, value)


def _scalars(value: Any) -> list[Any]:
    """All that the value holds, names included; what is nested deeper than a value may be stays as it is."""
    if isinstance(value, list):
        return value
    if not isinstance(value, dict):
        return [value]
    return [
        *value,
        *(part for held in value.values() for part in (held if isinstance(held, list) else [held])),
    ]


def _is_fit(part: Any) -> bool:
    """Whether it is a plain value that the database can hold: no NUL, no half of a character."""
    if isinstance(part, str):
        return (
            len(part) <= RAW_LIMIT
            and "\0" not in part
            and not any("\ud800" <= char <= "\udfff" for char in part)
        )
    return part is None or isinstance(part, int | float)
