"""What each column of a file is taken as, while the page shows some of very many.

What was chosen for the columns that are not shown travels in one field of the form, as far as it is no guess.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from accounts.ids import id_in
from contacts.importing.columns import Column

SHOWN: Final = 100  # columns of a page; two thousand take a browser ten seconds
KEPT: Final = "kept"
NEW: Final = "new:"
LABEL_LENGTH: Final = 80


@dataclass(frozen=True)
class Choice:
    """role: as in `Column.guess`; label: the name of the field it would make."""

    role: str
    label: str


Choices = dict[int, Choice]  # by the index of the column, for each column


def guessed(columns: Sequence[Column], earlier: Mapping[str, Any]) -> Choices:
    """What the columns begin as: what was chosen before the last check, else as guessed."""
    return {
        each.index: Choice(
            earlier.get(f"column_{each.index}", each.guess), earlier.get(f"label_{each.index}", each.label)
        )
        for each in columns
    }


def sent(data: Mapping[str, Any], begin: Choices) -> Choices:
    """What a form holds: of the columns it showed, of the others as they were kept, else as they began."""
    found = begin | {index: each for index, each in _read(data.get(KEPT, "")).items() if index in begin}
    shown = {
        index: Choice(data[f"column_{index}"], data.get(f"label_{index}", each.label))
        for index, each in found.items()
        if f"column_{index}" in data
    }
    return found | shown


def kept(held: Choices, begin: Choices, shown: Sequence[Column]) -> str:
    """The choices for columns that are not shown, for the form to carry along."""
    seen = {each.index for each in shown}
    others = {index: each for index, each in held.items() if index not in seen and each != begin[index]}
    return json.dumps({index: [each.role, each.label] for index, each in others.items()})


def _read(text: str) -> Choices:
    """Whatever somebody sends; what makes no sense is left out."""
    try:
        raw = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    found: Choices = {}
    for key, value in raw.items() if isinstance(raw, dict) else ():
        index = 0 if key == "0" else id_in(key)
        match value:
            case [str(role), str(label)] if index is not None:
                found[index] = Choice(role, label[:LABEL_LENGTH].replace("\0", ""))
    return found


def without_new(held: Choices) -> Choices:
    """With every column left out that would make a field."""
    return {
        index: Choice("", each.label) if each.role.startswith(NEW) else each for index, each in held.items()
    }


@dataclass(frozen=True)
class Window:
    """The columns that a page shows. find: words of their names; first: how many that fit stand before them."""

    found: Sequence[Column]
    find: str
    first: int
    is_wide: bool  # more columns than a page shows

    @property
    def shown(self) -> Sequence[Column]:
        return self.found[self.first : self.first + SHOWN]

    @property
    def last(self) -> int:
        return self.first + len(self.shown)

    @property
    def back(self) -> str:
        """The deed that shows the columns before these; "" where there are none."""
        return f"page:{max(0, self.first - SHOWN)}" if self.first else ""

    @property
    def on(self) -> str:
        return f"page:{self.last}" if self.last < len(self.found) else ""


def window(columns: Sequence[Column], data: Mapping[str, Any]) -> Window:
    """The page of columns that is asked for; of very many, those that were recognized come first."""
    is_wide = len(columns) > SHOWN
    find = data.get("find", "").strip() if is_wide else ""
    found = [each for each in columns if find.casefold() in each.label.casefold()]
    if is_wide:
        found.sort(key=lambda each: not each.guess or each.guess.startswith(NEW))
    deed = data.get("deed", "")
    asked = deed.removeprefix("page:") if deed.startswith("page:") else data.get("first", "")
    first = 0 if deed == "find" else id_in(asked) or 0
    return Window(found, find, first if first < len(found) else 0, is_wide)
