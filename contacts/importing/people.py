"""Rows of a file as people, or the reasons why some are none; column by column, since that is quicker than row by row."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from contacts.importing import addresses
from contacts.importing.cells import NO_TIME, Fault, Fragments
from contacts.importing.reader import Record, is_unreadable, readable

NAME_LIMIT: Final = 120  # characters, as the column
TEXT_SHOWN: Final = 500  # characters kept of a refused row
NAME_ROLES: Final = {"first_name": "first name", "last_name": "last name"}
LINE: Final = "%d\t%s\t%s\t%s\t%s\t{%s}\t{%s}\n"  # twice as quick as a format
NUL: Final = "The row holds a NUL character, which no text can contain."
UNREADABLE: Final = "Some characters could not be read: the row is in another encoding than the file."
ERASED: Final = "The person asked to be erased, and is not taken in again."


@dataclass(frozen=True)
class Columns:
    """What the columns are. roles: one a column, "" for what is left out.

    fragments: of each attribute, the tags and the time of consent.
    """

    roles: Sequence[str]
    fragments: dict[int, Fragments]
    delimiter: str


@dataclass
class Chunk:
    """Rows understood. lines: the people, as COPY reads `stage.COLUMNS`; refused: (row number, text, reason)."""

    lines: list[str] = field(default_factory=list)
    refused: list[tuple[int, str, str]] = field(default_factory=list)
    row_count: int = 0
    extra_count: int = 0


def understand(
    rows: Sequence[Record], columns: Columns, erased: Callable[[list[str]], set[str]] | None = None
) -> Chunk:
    """Read rows by the columns. erased: of addresses in lower case, those that may not come back."""
    chunk = Chunk(row_count=len(rows))
    whole = [row for row in rows if not row.problem]
    table = _table(chunk, whole, len(columns.roles))
    faults: dict[int, str] = {}  # the first of each row, by its place
    _check_characters(table, columns.roles, faults)
    column = table[columns.roles.index("email")] if "email" in columns.roles else ("",) * len(whole)
    emails = _emails(column, faults)
    if erased:
        gone = erased([email.lower() for email in emails])
        faults.update((at, ERASED) for at, email in enumerate(emails) if email.lower() in gone)
    names = _names(table, columns.roles, faults)
    pieces = _fragments(table, columns, faults, len(whole))
    chunk.lines = list(
        map(LINE.__mod__, zip([row.number for row in whole], emails, *names, *pieces, strict=True))
    )
    if faults:
        chunk.lines = [line for at, line in enumerate(chunk.lines) if at not in faults]
    problems = {row.number: row.problem for row in rows if row.problem}
    problems |= {whole[at].number: reason for at, reason in faults.items()}
    if problems:
        chunk.refused = [_refusal(row, problems, columns) for row in rows if row.number in problems]
    return chunk


def _refusal(row: Record, problems: dict[int, str], columns: Columns) -> tuple[int, str, str]:
    cells = list(map(readable, row.cells))
    text = columns.delimiter.join(cells) if row.problem else as_line(cells, columns.delimiter)
    text = text[:TEXT_SHOWN]
    if problems[row.number] == ERASED:
        text = ""  # nothing of them is kept again
    return row.number, text, readable(problems[row.number])[:300]


def as_line(cells: Iterable[str], delimiter: str) -> str:
    """The cells as a file would write them: in quotation marks where one holds what stands between two."""
    marks = {delimiter, '"', "\n", "\r"}
    return delimiter.join(
        '"' + cell.replace('"', '""') + '"' if not marks.isdisjoint(cell) else cell for cell in cells
    )


def _table(chunk: Chunk, rows: list[Record], width: int) -> list[tuple[str, ...]]:
    """The cells column by column, missing ones empty, those beyond the last column counted and left out."""
    cells = [row.cells for row in rows]
    if not set(map(len, cells)) <= {width}:
        chunk.extra_count = sum(any(cell.strip() for cell in each[width:]) for each in cells)
        blank = [""] * width
        cells = [each if len(each) == width else (each + blank)[:width] for each in cells]
    return list(zip(*cells, strict=True)) if cells else [()] * width


def _check_characters(table: list[tuple[str, ...]], roles: Sequence[str], faults: dict[int, str]) -> None:
    for column, role in zip(table, roles, strict=True):
        together = "".join(column) if role else ""
        if "\0" not in together and not is_unreadable(together):
            continue
        for at, cell in enumerate(column):
            if "\0" in cell:
                faults.setdefault(at, NUL)
            elif is_unreadable(cell):
                faults.setdefault(at, UNREADABLE)


def _emails(column: Sequence[str], faults: dict[int, str]) -> list[str]:
    emails = []
    for at, cell in enumerate(column):
        try:
            emails.append(addresses.clean(cell).replace("\\", r"\\"))
        except addresses.NotAnAddress as problem:
            emails.append("")
            faults.setdefault(at, str(problem))
    return emails


def _names(
    table: list[tuple[str, ...]], roles: Sequence[str], faults: dict[int, str]
) -> tuple[list[str], list[str]]:
    """First and last names; where two columns speak of one, the later filled cell counts."""
    names = {role: [""] * len(table[0]) for role in NAME_ROLES}
    for column, role in zip(table, roles, strict=True):
        if role == "name":
            halves = [_halves(" ".join(cell.split())) for cell in column]
            for part, found in zip(NAME_ROLES, zip(*halves, strict=True), strict=True) if halves else ():
                _fill(names[part], found)
        elif role in NAME_ROLES:
            _fill(names[role], [" ".join(cell.split()) for cell in column])
    for role, words in NAME_ROLES.items():
        if max(map(len, names[role]), default=0) > NAME_LIMIT:
            for at, name in enumerate(names[role]):
                if len(name) > NAME_LIMIT:
                    faults.setdefault(at, f"The {words} is longer than {NAME_LIMIT} characters.")
        if "\\" in "".join(names[role]):
            names[role] = [name.replace("\\", r"\\") for name in names[role]]
    return names["first_name"], names["last_name"]


def _halves(name: str) -> tuple[str, str]:
    """First and last name: “Anna van Dyk” and “van Dyk, Anna” say the same."""
    last, comma, first = name.partition(", ")
    if comma:
        return first, last
    first, _space, last = name.partition(" ")
    return first, last


def _fill(names: list[str], found: Sequence[str]) -> None:
    names[:] = [new or old for new, old in zip(found, names, strict=True)]


def _fragments(
    table: list[tuple[str, ...]], columns: Columns, faults: dict[int, str], height: int
) -> tuple[list[str], list[str], list[str]]:
    """The times of consent, the insides of the attributes' JSON and those of the tags' array, row by row."""
    attributes, found_once = [], {"consent_at": [NO_TIME] * height, "tags": [""] * height}
    for index, fragments in columns.fragments.items():
        found = fragments.of(table[index])
        if fragments.have_faults:
            for at, each in enumerate(found):
                if isinstance(each, Fault):
                    faults.setdefault(at, str(each))
        if columns.roles[index] in found_once:
            found_once[columns.roles[index]] = found
        else:
            attributes.append(found)
    inside = [",".join(filter(None, row)) for row in zip(*attributes, strict=True)] or [""] * height
    return found_once["consent_at"], inside, found_once["tags"]
