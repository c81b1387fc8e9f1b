"""What every condition of a rule is: a key, a label, operators with what they take, and SQL.

A condition is always true or false, never NULL, so that "is not" also finds those who have no value at all.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import Q

from contacts.segments.inputs import Input

if TYPE_CHECKING:
    from contacts.segments.vocabulary import Vocabulary


@dataclass(frozen=True)
class Operator:
    """label: as in a menu and in a sentence. inputs: what it takes; a lone one without a name is the value itself."""

    label: str
    inputs: tuple[Input, ...] = ()

    @property
    def takes_one(self) -> bool:
        return len(self.inputs) == 1 and not self.inputs[0].name

    def read(self, raw: Any, vocabulary: "Vocabulary") -> Any:
        """The value of each input, typed. Raises: Broken."""
        if self.takes_one:
            return self.inputs[0].read(raw_of(raw, ""), vocabulary)
        return {each.name: each.read(raw_of(raw, each.name), vocabulary) for each in self.inputs} or None

    def stored(self, value: Any) -> Any:
        if self.takes_one:
            return self.inputs[0].stored(value)
        return {each.name: each.stored(value[each.name]) for each in self.inputs} or None


def raw_of(raw: Any, name: str) -> Any:
    """What the rule holds for an input; None where it holds values of another shape, as after another choice."""
    if isinstance(raw, dict):
        return raw.get(name) if name else None
    return None if name else raw


class Condition:
    """key: as in the rules; label: as the person knows it; group: of the menu."""

    group: ClassVar[str] = "Contact"
    operators: dict[str, Operator]

    def __init__(self, key: str, label: str) -> None:
        self.key, self.label = key, label

    def compile(self, operator: str, value: Any, vocabulary: "Vocabulary") -> Q:
        """Whom it finds. Raises: Broken."""
        raise NotImplementedError

    def in_words(self, operator: Operator, value: Any, vocabulary: "Vocabulary") -> str:
        return " ".join([self.label, operator.label, *said(operator, value, vocabulary)])


def said(operator: Operator, value: Any, vocabulary: "Vocabulary") -> list[str]:
    """The values in words, each between the words of its input."""
    words = []
    for each in operator.inputs:
        typed = value if operator.takes_one else value[each.name]
        words += [each.before, each.shown(typed, vocabulary), each.after]
    return [word for word in words if word]
