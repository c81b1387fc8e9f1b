"""What the reader's parts share: how a file is written, what one row is, and the refusal of what is no file."""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from accounts.errors import Refusal

COLUMN_LIMIT: Final = 2000
ENCODINGS: Final = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Western (Windows-1252)",
    "latin-1": "Western (Latin-1)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "mac_roman": "Western (Macintosh)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
}
DELIMITERS: Final = {",": "Comma ,", ";": "Semicolon ;", "\t": "Tab", "|": "Bar |"}
# Where an address stands in a text; from its @ on, so that a long text is read once.
ADDRESS: Final = re.compile(r"(?<=[^@\s])@[^@\s]+\.[^@\s]")
_UNREADABLE: Final = re.compile("[\ud800-\udfff]")


class NotAFile(Refusal):
    """What was uploaded cannot be read as rows of text."""

    code = "unreadable_file"


@dataclass(frozen=True)
class Reading:
    """How to read a file. encoding: a key of ENCODINGS; delimiter: of DELIMITERS; notation: of NOTATIONS.

    sheet: of a workbook, which is kept as a zip with a CSV for each sheet; "" where the file is text.
    """

    encoding: str
    delimiter: str
    has_header: bool
    notation: str
    sheet: str = ""


class Record(NamedTuple):
    """One row. number: as a spreadsheet shows it, blank rows counted. problem: why it cannot be read.

    size: characters, marks between cells and all.
    """

    number: int
    cells: list[str]
    problem: str = ""
    size: int = 0


def readable(text: str) -> str:
    """The text with what cannot be stored or shown replaced by the sign for it."""
    return _UNREADABLE.sub("�", text).replace("\0", "�")


def is_unreadable(text: str) -> bool:
    """Whether the text holds bytes that are not of the chosen encoding."""
    return not text.isascii() and bool(_UNREADABLE.search(text))
