"""One row of a file as a person, or the reason why it is none."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contacts.importing import addresses, values
from contacts.importing.reader import Reading, Record, is_unreadable, readable

NAME_LIMIT: Final = 120  # characters, as the column
TEXT_SHOWN: Final = 500  # characters kept of a refused row
NAME_ROLES: Final = {"first_name": "first name", "last_name": "last name", "name": "name"}


@dataclass
class Person:
    """What a row says of someone; empty where it says nothing."""

    email: str
    names: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)

    def absorb(self, later: "Person") -> None:
        """Take over what a later row of the same person says, and keep what it leaves empty."""
        self.names |= later.names
        self.attributes |= later.attributes


@dataclass
class Chunk:
    """Rows read and understood. people: by address in lower case; refused: (row number, text, reason)."""

    people: dict[str, Person] = field(default_factory=dict)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    row_count: int = 0
    extra_count: int = 0

    @property
    def repeated_count(self) -> int:
        return self.row_count - len(self.refused) - len(self.people)


class Refused(ValueError):  # noqa: N818  (an answer, not a fault)
    """Why the row is not taken, as a sentence."""


def understand(
    rows: Iterable[Record], mapping: list[str], types: Mapping[str, str], reading: Reading
) -> Chunk:
    """Read rows by the mapping. types: {field key: type} of every field that the mapping names."""
    chunk = Chunk()
    for row in rows:
        chunk.row_count += 1
        chunk.extra_count += any(cell.strip() for cell in row.cells[len(mapping) :])
        try:
            person = _person(row, mapping, types, reading)
        except (Refused, addresses.NotAnAddress) as problem:
            text = reading.delimiter.join(map(readable, row.cells))[:TEXT_SHOWN]
            chunk.refused.append((row.number, text, readable(str(problem))[:300]))
            continue
        known = chunk.people.setdefault(person.email.lower(), person)
        if known is not person:
            known.absorb(person)
    return chunk


def _person(row: Record, mapping: list[str], types: Mapping[str, str], reading: Reading) -> Person:
    if row.problem:
        raise Refused(row.problem)
    cells = [(role, cell.strip()) for role, cell in zip(mapping, row.cells, strict=False) if role]
    for _role, cell in cells:
        if "\0" in cell:
            raise Refused("The row holds a NUL character, which no text can contain.")
        if is_unreadable(cell):
            raise Refused("Some characters could not be read: the row is in another encoding than the file.")
    person = Person(addresses.clean(next((cell for role, cell in cells if role == "email"), "")))
    for role, cell in cells:
        if role in NAME_ROLES:
            _take_name(person, role, " ".join(cell.split()))
        elif role != "email":
            _take_attribute(person, role.removeprefix("attribute:"), cell, types, reading.notation)
    return person


def _take_name(person: Person, role: str, text: str) -> None:
    if not text:
        return
    if role == "name":
        last, comma, first = text.partition(", ")
        first, last = (first, last) if comma else text.partition(" ")[::2]
        parts = {"first_name": first, "last_name": last}
    else:
        parts = {role: text}
    for part, value in parts.items():
        if len(value) > NAME_LIMIT:
            raise Refused(f"The {NAME_ROLES[part]} is longer than {NAME_LIMIT} characters.")
        if value:
            person.names[part] = value


def _take_attribute(person: Person, key: str, text: str, types: Mapping[str, str], notation: str) -> None:
    try:
        value = values.parse(text, types[key], notation)
    except values.NotThat as problem:
        raise Refused(f"{key}: {problem}.") from None
    if value is not None:
        person.attributes[key] = value


def as_columns(chunk: Chunk) -> Iterable[tuple[int, str, str, str, str]]:
    """(position, email, first name, last name, attributes as JSON) of each person, for COPY."""
    for position, person in enumerate(chunk.people.values()):
        names = person.names
        attributes = json.dumps(person.attributes, ensure_ascii=False)
        yield position, person.email, names.get("first_name", ""), names.get("last_name", ""), attributes
