"""What a column's cells become on their way to the database; each different cell is understood once."""

import datetime
import json
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring
from typing import Any, Final

from contacts import fitting
from contacts.importing import values
from contacts.models import CustomField, FieldType
from contacts.spreadsheet import split_tags

KNOWN_LIMIT: Final = 20_000  # cells remembered of a column: memory stays flat
OPTION_LIMIT: Final = 50  # new ones of a choice in an import; more different texts are no choice
TAG_LENGTH: Final = 60  # characters
TAG_LIMIT: Final = 500  # different tags of a file; more are a sign that the column holds something else
NO_TIME: Final = r"\N"  # NULL in COPY's text format
# The file's clock may be of another zone: what is later by less is taken as now.
ELSEWHERE: Final = datetime.timedelta(days=1)


class Fault(str):
    """Why a cell refuses its row, as a sentence."""

    __slots__ = ()


class TooMany(Exception):  # noqa: N818  (an answer, not a fault)
    """A column holds more different values than a choice, or than a column of tags, may have."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Fragments:
    """A column's cells as pieces of COPY lines: `"city":"Paris"` of an attribute, `1,7` of tags, a time."""

    have_faults = False

    def __init__(self) -> None:
        self._known = _Known(self)

    def of(self, cells: Sequence[str]) -> list[str]:
        if len(self._known) > KNOWN_LIMIT:
            self._known.clear()
        return list(map(self._known.__getitem__, cells))

    def understand(self, cell: str) -> str:
        raise NotImplementedError

    def fault(self, reason: str) -> Fault:
        self.have_faults = True
        return Fault(reason)


class _Known(dict[str, str]):
    """Cells already understood."""

    def __init__(self, fragments: Fragments) -> None:
        super().__init__()
        self._fragments = fragments

    def __missing__(self, cell: str) -> str:
        known = self[cell] = self._fragments.understand(cell.strip())
        return known


class Attribute(Fragments):
    """A custom field's values. label: how refusals name it. within: the field whose limits hold, if any are set."""

    def __init__(
        self, key: str, *, label: str, kind: str, notation: str, within: CustomField | None = None
    ) -> None:
        super().__init__()
        self.key, self.label = key, label
        self._kind, self._notation, self._within = kind, notation, within
        self._start = json.dumps(key) + ":"

    def understand(self, cell: str) -> str:
        try:
            value = self.value(cell)
            if value is not None and self._within:
                value = fitting.fit(self._within, value)
        except values.NotThat as problem:
            return self.fault(f"{self.label}: {problem}.")
        except fitting.Unfit as problem:
            return self.fault(f"{self.label}: {problem}")
        if value is None:
            return ""
        text = encode_basestring(value) if isinstance(value, str) else json.dumps(value)
        return self._start + (text.replace("\\", r"\\") if "\\" in text else text)

    def value(self, cell: str) -> Any:
        return values.parse(cell, self._kind, self._notation)


class Choice(Attribute):
    """Values of a choice that is there: another case takes the option's spelling.

    grows: other texts become options, gathered in `more`; else they are refused.
    """

    def __init__(self, key: str, *, label: str, options: Iterable[str], grows: bool = False) -> None:
        super().__init__(key, label=label, kind=FieldType.CHOICE, notation="")
        self.options = {option.casefold(): option for option in options}
        self.more: list[str] = []
        self._grows = grows

    def value(self, cell: str) -> str | None:
        if not cell or cell.casefold() in self.options:
            return self.options.get(cell.casefold())
        if cell.lower() in values.NOTHING:
            return None
        if not self._grows:
            raise values.NotThat(
                f"“{cell[:60]}” is none of its options ({self._some_options()}). "
                "Add it to the field, or let the import add new options"
            )
        return self._grown(cell)

    def _grown(self, cell: str) -> str:
        if len(cell) > fitting.OPTION_LENGTH:
            raise values.NotThat(
                f"“{cell[:60]}…” is longer than the {fitting.OPTION_LENGTH} characters of an option"
            )
        if len(self.more) >= OPTION_LIMIT or len(self.options) >= fitting.OPTIONS_LIMIT:
            raise values.NotThat(
                f"“{cell[:60]}” would be one option too many: an import adds at most {OPTION_LIMIT} to a field, "
                f"which has at most {fitting.OPTIONS_LIMIT}"
            )
        self.more.append(cell)
        self.options[cell.casefold()] = cell
        return cell

    def _some_options(self) -> str:
        some = [option[:20] for option in self.options.values()][:3]
        more = len(self.options) - len(some)
        return ", ".join(some) + (f" and {more} more" if more else "")


class NewChoice(Choice):
    """Values of a choice that the import makes: its options are gathered, the first spelling of each.

    Raises: TooMany: they are too many, or too long, for a choice.
    """

    def __init__(self, key: str, *, label: str) -> None:
        super().__init__(key, label=label, options=())

    def value(self, cell: str) -> str | None:
        if not cell or cell.lower() in values.NOTHING:
            return None
        option = self.options.setdefault(cell.casefold(), cell)
        if len(self.options) > OPTION_LIMIT or len(cell) > fitting.OPTION_LENGTH:
            raise TooMany(self.key)
        return option


class Moments(Fragments):
    """Times of consent; those without an offset are of the zone, a date without a time is its midnight."""

    def __init__(self, *, notation: str, zone: datetime.tzinfo, now: datetime.datetime) -> None:
        super().__init__()
        self._notation, self._zone, self._now = notation, zone, now

    def understand(self, cell: str) -> str:
        try:
            found = values.moment(cell, self._notation, self._zone)
        except values.NotThat as problem:
            return self.fault(f"Consent date: {problem}.")
        if found is None:
            return NO_TIME
        if found > self._now + ELSEWHERE:
            return self.fault(f"Consent date: “{cell[:60]}” is in the future.")
        return min(found, self._now).isoformat()


class Tags(Fragments):
    """Cells of tags, with a comma or a semicolon between two: places in `names`, counted from 1.

    Raises: TooMany: it cannot be a column of tags.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[str, int] = {}
        self.names: list[str] = []

    def understand(self, cell: str) -> str:
        names = split_tags(cell)
        if long := next((name for name in names if len(name) > TAG_LENGTH), ""):
            return self.fault(f"The tag “{long[:60]}…” is longer than {TAG_LENGTH} characters.")
        return ",".join(str(self._place(name)) for name in names)

    def _place(self, name: str) -> int:
        place = self._places.setdefault(name.casefold(), len(self.names) + 1)
        if place > len(self.names):
            self.names.append(name)
        if place > TAG_LIMIT:
            raise TooMany("tags")
        return place


def more_options_of(fragments: Mapping[int, Fragments]) -> dict[str, list[str]]:
    """{key: new options by the alphabet} of the choices that were there before and grow."""
    grown = (each for each in fragments.values() if isinstance(each, Choice) and each.more)
    return {each.key: sorted(each.more, key=str.casefold) for each in grown}


def options_of(fragments: Mapping[int, Fragments]) -> dict[str, list[str]]:
    """{key: options by the alphabet} of the choices that the import makes."""
    made = (each for each in fragments.values() if isinstance(each, NewChoice))
    return {each.key: sorted(each.options.values(), key=str.casefold) for each in made}
