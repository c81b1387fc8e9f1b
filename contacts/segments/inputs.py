"""The kinds of value that a condition takes: how each is read from rules, said in words, and stored.

The widget of each is in templates/contacts/_segment_input.html, by its kind.
"""

import datetime
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from accounts.ids import id_in
from contacts.segments.rules import TEXT_LIMIT, VALUES_LIMIT

if TYPE_CHECKING:
    from contacts.segments.vocabulary import Vocabulary

DAYS_LIMIT: Final = 36_500
TIMES_LIMIT: Final = 1000
YEARS: Final = range(1900, 3000)
SAID: Final = 5  # of several values in words; the rest is counted


class Broken(Exception):  # noqa: N818  (an answer, not a fault)
    """The rule makes no sense here; str() says why, and what to do."""


Choices = Mapping[Any, str]  # {what is stored: what is shown}, in the order of a menu


@dataclass(frozen=True)
class Input:
    """name: its key in the rule's value; "" where the operator takes this one alone. label: for whoever cannot see."""

    name: str = ""
    label: str = "Value"
    before: str = ""  # words in front of the widget, and behind it
    after: str = ""
    blank: str = ""  # what leaving it open means ("any list"); "": it must be filled in

    kind: ClassVar[str] = "text"

    def read(self, raw: Any, vocabulary: "Vocabulary") -> Any:
        """The typed value; None where it was left open. Raises: Broken."""
        if raw in ("", None, []):
            if self.blank:
                return None
            raise Broken(self.missing)
        return self._read(raw[0] if isinstance(raw, list) and not self.takes_many else raw, vocabulary)

    def shown(self, value: Any, vocabulary: "Vocabulary") -> str:
        return self.blank if value is None else self._shown(value, vocabulary)

    def stored(self, value: Any) -> Any:
        return value

    takes_many: ClassVar[bool] = False
    missing: ClassVar[str] = "Fill in the value."

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> Any:
        return _text(raw)

    def _shown(self, value: Any, vocabulary: "Vocabulary") -> str:
        return f"“{value}”"


class Text(Input):
    pass


@dataclass(frozen=True)
class Texts(Input):
    """Several texts, pasted one a line; split: what else may stand between them."""

    split: str = r"[\r\n]+"

    kind: ClassVar = "texts"
    takes_many: ClassVar = True
    missing: ClassVar = "Give at least one value, one a line."

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> list[str]:
        held = raw if isinstance(raw, list) else [raw]
        parts = [part.strip() for text in held for part in re.split(self.split, str(text))]
        found = list(dict.fromkeys(part for part in parts if part))
        if not found:
            raise Broken(self.missing)
        if len(found) > VALUES_LIMIT:
            raise Broken(f"These are {len(found):,} values; a rule takes at most {VALUES_LIMIT:,}.")
        return [_text(each) for each in found]

    def _shown(self, value: list[str], vocabulary: "Vocabulary") -> str:
        return _listed([f"“{each}”" for each in value])


class Number(Input):
    kind = "number"

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> int | float:
        return _number(raw)

    def _shown(self, value: float, vocabulary: "Vocabulary") -> str:
        return f"{value:,}"


class Date(Input):
    kind = "date"
    missing = "Choose a date."

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> datetime.date:
        try:
            date = datetime.date.fromisoformat(_text(raw))
        except ValueError:
            raise Broken("Choose a date, as in 2024-12-31.") from None
        if date.year not in YEARS:
            raise Broken("Choose a date between 1900 and 2999.")
        return date

    def stored(self, value: datetime.date | None) -> str | None:
        return str(value) if value else None

    def _shown(self, value: datetime.date, vocabulary: "Vocabulary") -> str:
        return value.strftime("%-d %b %Y")


@dataclass(frozen=True)
class Whole(Input):
    """A whole number of something: days, times."""

    unit: str = "day"
    least: int = 0
    most: int = DAYS_LIMIT

    kind: ClassVar = "whole"

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> int:
        number = _number(raw)
        if not isinstance(number, int) or not self.least <= number <= self.most:
            least = f"from {self.least} to" if self.least else "at most"
            raise Broken(f"Give a whole number of {self.unit}s, {least} {self.most:,}.")
        return number

    def _shown(self, value: int, vocabulary: "Vocabulary") -> str:
        return f"{value:,} {self.unit}{'' if value == 1 else 's'}"


@dataclass(frozen=True)
class One(Input):
    """One of the workspace's own things. choices: what there is, asked once for each `Vocabulary`."""

    choices: "Callable[[Vocabulary], Choices]" = lambda _vocabulary: {}
    thing: str = "list"  # for what is said when it is gone

    kind: ClassVar = "one"

    @property
    def missing(self) -> str:  # type: ignore[override]
        return f"Choose {'an' if self.thing[0] in 'aeiou' else 'a'} {self.thing}."

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> Any:
        return _chosen(raw, self.choices(vocabulary), self.thing)

    def _shown(self, value: Any, vocabulary: "Vocabulary") -> str:
        return self.choices(vocabulary)[value]


@dataclass(frozen=True)
class Some(One):
    """One or more of them."""

    kind: ClassVar = "some"
    takes_many: ClassVar = True

    @property
    def missing(self) -> str:  # type: ignore[override]
        return f"Choose at least one {self.thing}."

    def _read(self, raw: Any, vocabulary: "Vocabulary") -> list[Any]:
        choices = self.choices(vocabulary)
        found = [_chosen(each, choices, self.thing) for each in (raw if isinstance(raw, list) else [raw])]
        return list(dict.fromkeys(found))

    def _shown(self, value: list[Any], vocabulary: "Vocabulary") -> str:
        choices = self.choices(vocabulary)
        return _listed([choices[each] for each in value])


def _chosen(raw: Any, choices: Choices, thing: str) -> Any:
    """The key that is meant: forms send ids as text."""
    text = str(raw)
    for key in (text, id_in(text)):
        if key in choices:
            return key
    raise Broken(f"The {thing} was deleted or never existed; choose another one.")


def _listed(words: list[str]) -> str:
    more = len(words) - SAID
    return f"{', '.join(words[:SAID])} and {more:,} more" if more > 0 else ", ".join(words)


def _text(value: Any) -> str:
    text = value.strip() if isinstance(value, str) else str(value)
    if not text:
        raise Broken("Fill in the value.")
    if len(text) > TEXT_LIMIT:
        raise Broken(f"“{text[:40]}…” is too long; a value has at most {TEXT_LIMIT} characters.")
    return text


def _number(value: Any) -> int | float:
    text = _text(value).replace(" ", "")
    try:
        number = float(text if text.count(",") != 1 or "." in text else text.replace(",", "."))
    except ValueError:
        raise Broken(f"“{text[:40]}” is not a number.") from None
    if not math.isfinite(number) or abs(number) > 1e15:
        raise Broken("This number is too large.")
    return int(number) if number.is_integer() else number
