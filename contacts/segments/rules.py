"""The shape of rules: a tree of groups, read from JSON that may be hostile."""

from dataclasses import dataclass
from typing import Any, Final

from accounts.errors import Refusal

DEPTH_LIMIT: Final = 3  # groups within groups, the outermost counted
RULE_LIMIT: Final = 50  # rules and groups in all
TEXT_LIMIT: Final = 500  # characters of one value
JOINS: Final = ("and", "or")
Scalar = str | int | float | bool | None


class RulesProblem(Refusal):
    code = "bad_rules"


@dataclass(frozen=True)
class Rule:
    subject: str
    operator: str
    value: Scalar = None


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


def _group(raw: Any, *, depth: int) -> Group:
    if depth > DEPTH_LIMIT:
        raise RulesProblem(f"Groups of rules go at most {DEPTH_LIMIT} deep.")
    if (
        not isinstance(raw, dict)
        or not isinstance(raw.get("rules"), list)
        or raw.get("join", "and") not in JOINS
    ):
        raise RulesProblem("These rules cannot be read: a group needs “and” or “or” and a list of rules.")
    if len(raw["rules"]) > RULE_LIMIT:
        raise RulesProblem(f"A segment has at most {RULE_LIMIT} rules.")
    inner = (_group(each, depth=depth + 1) if _is_group(each) else _rule(each) for each in raw["rules"])
    return Group(raw.get("join", "and"), tuple(inner))


def _is_group(raw: Any) -> bool:
    return isinstance(raw, dict) and "rules" in raw


def _rule(raw: Any) -> Rule:
    parts = (raw.get("subject"), raw.get("operator")) if isinstance(raw, dict) else (None, None)
    value = raw.get("value") if isinstance(raw, dict) else None
    texts = [*parts, *([value] if isinstance(value, str) else [])]
    if not all(isinstance(text, str) and len(text) <= TEXT_LIMIT and _is_plain(text) for text in texts):
        raise RulesProblem(
            "These rules cannot be read: a rule needs a subject, an operator and a short value."
        )
    if value is not None and not isinstance(value, str | int | float | bool):
        raise RulesProblem("These rules cannot be read: a value is a text, a number, or yes or no.")
    return Rule(str(parts[0]), str(parts[1]), value)


def _is_plain(text: str) -> bool:
    """Whether the database can hold it: no NUL, no half of a character."""
    return "\0" not in text and not any("\ud800" <= char <= "\udfff" for char in text)
