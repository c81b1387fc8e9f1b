"""Reads delimited text as it comes: guesses encoding, delimiter and header, and streams numbered rows."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO, Final, cast

from django.db.models.fields.files import FieldFile

from accounts.errors import Refusal
from contacts.importing import values

SAMPLE_BYTES: Final = 256 * 1024  # what guesses look at
SAMPLE_ROWS: Final = 200
LINE_LIMIT: Final = 1_000_000  # characters; a longer line is cut, so that memory stays flat
COLUMN_LIMIT: Final = 200
ENCODINGS: Final = {
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "cp1252": "Western (Windows)",
    "cp1250": "Central European (Windows)",
    "cp1251": "Cyrillic (Windows)",
    "mac_roman": "Western (Macintosh)",
    "shift_jis": "Japanese (Shift JIS)",
    "gb18030": "Chinese (GB 18030)",
}
DELIMITERS: Final = {",": "Comma ,", ";": "Semicolon ;", "\t": "Tab", "|": "Bar |"}
# What other files begin with. An .xlsx is a zip.
SIGNATURES: Final = (
    (b"PK\x03\x04", "an Excel or other zipped document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel or Word document"),
    (b"\x89PNG", "a picture"), (b"GIF8", "a picture"), (b"\xff\xd8\xff", "a picture"),
    (b"%PDF", "a PDF document"), (b"\x1f\x8b", "a compressed file"),
)  # fmt: skip
_END: Final = (
    "\0end of file\0"  # fed to the CSV reader as a last line: swallowed by a quote that never closes
)
_UNREADABLE = re.compile("[\ud800-\udfff]")
ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class NotAFile(Refusal):
    """What was uploaded cannot be read as rows of text."""

    code = "unreadable_file"


@dataclass(frozen=True)
class Reading:
    """How to read a file. encoding: a key of ENCODINGS; delimiter: of DELIMITERS; notation: of NOTATIONS."""

    encoding: str
    delimiter: str
    has_header: bool
    notation: str


@dataclass(frozen=True, slots=True)
class Record:
    """One row. number: as a spreadsheet shows it, blank rows counted. problem: why it cannot be read."""

    number: int
    cells: list[str]
    problem: str = ""


def guess(raw: BinaryIO) -> Reading:
    """Guess how the file reads, from its whole length for the encoding and its first rows for the rest.

    Raises: NotAFile: empty, not text, or without a row of data.
    """
    raw.seek(0)
    head = raw.read(SAMPLE_BYTES)
    _check_is_text(head)
    encoding = _encoding(raw, head)
    text = head.decode(encoding, errors="replace")
    delimiter = max(DELIMITERS, key=lambda each: _regularity(text, each))
    rows = list(islice(_sample_rows(text, delimiter), SAMPLE_ROWS))
    has_header = bool(rows) and not any(ADDRESS.search(cell) for cell in rows[0])
    if len(rows) <= has_header:
        raise NotAFile(
            "The file has no rows of data. Its first row names the columns; each further row is a person."
        )
    if max(map(len, rows)) > COLUMN_LIMIT:
        raise NotAFile(f"The file has more than {COLUMN_LIMIT} columns. Leave out those that are not needed.")
    return Reading(encoding, delimiter, has_header, values.guess_notation(rows[has_header:], delimiter))


@contextmanager
def opened(file: FieldFile) -> Iterator[BinaryIO]:
    """The uploaded file's bytes, from wherever uploads are kept."""
    with file.storage.open(file.name or "", "rb") as opened_file:
        yield cast(BinaryIO, opened_file.file)


def rows(raw: BinaryIO, reading: Reading) -> Iterator[Record]:
    """Stream the rows of data: the header and blank rows left out, memory flat whatever the file holds."""
    found = records(raw, reading)
    if reading.has_header:
        next(found, None)
    return found


def records(raw: BinaryIO, reading: Reading) -> Iterator[Record]:
    """Stream every row that is not blank, unreadable ones with their problem."""
    raw.seek(0)
    byte_wise = reading.encoding in ("utf-8-sig", "cp1252", "cp1250", "cp1251", "mac_roman")
    errors = "surrogateescape" if byte_wise else "replace"
    text = io.TextIOWrapper(raw, encoding=_codec(raw, reading.encoding), errors=errors, newline="")
    try:
        yield from _parse(_lines(text), reading)
    finally:
        text.detach()  # the caller closes what it opened


def header_and_sample(raw: BinaryIO, reading: Reading) -> tuple[list[str], list[list[str]]]:
    """The header's cells (empty without one) and the first rows of data, for the preview and the guesses."""
    first = [
        [readable(cell) for cell in each.cells] for each in islice(records(raw, reading), SAMPLE_ROWS + 1)
    ]
    return (first[0], first[1:]) if reading.has_header and first else ([], first)


def readable(text: str) -> str:
    """The text with what cannot be stored or shown replaced by the sign for it."""
    return _UNREADABLE.sub("�", text).replace("\0", "�")


def is_unreadable(text: str) -> bool:
    """Whether the text holds bytes that are not of the chosen encoding."""
    return not text.isascii() and bool(_UNREADABLE.search(text))


def _codec(raw: BinaryIO, encoding: str) -> str:
    """The codec for the encoding, after its mark where it has one; UTF-16 without a mark is little-endian."""
    if encoding != "utf-16":
        return encoding
    mark = raw.read(2)
    if mark not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raw.seek(0)
    return "utf-16-be" if mark == codecs.BOM_UTF16_BE else "utf-16-le"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(LINE_LIMIT):
        yield line
    yield _END


def _parse(lines: Iterable[str], reading: Reading) -> Iterator[Record]:
    reader, number = csv.reader(lines, delimiter=reading.delimiter), 0
    while True:
        number, first_line = number + 1, reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(number, [], _unreadable(error, first_line, reader.line_num))
            continue
        if cells and cells[-1].endswith(_END):
            cells[-1] = cells[-1].removesuffix(_END)
            if cells != [""]:
                yield Record(number, cells, _swallowed(first_line, reader.line_num - 1))
            return
        if any(map(str.strip, cells)):
            yield Record(number, cells)


def _unreadable(error: csv.Error, first: int, last: int) -> str:
    if "field limit" in str(error) and first == last:
        return f"A cell of line {first:,} is longer than {csv.field_size_limit():,} characters."
    return _swallowed(first, last)


def _swallowed(first: int, last: int) -> str:
    where = (
        f"line {first:,}"
        if last <= first
        else f"line {first:,}, so lines {first:,} to {last:,} read as one cell"
    )
    return f"A quotation mark opens and is not closed in {where}."


def _check_is_text(head: bytes) -> None:
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        raise NotAFile("The file is empty. Export it again, or choose another one.")
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            raise NotAFile(
                f"This seems to be {kind}. Open it in your spreadsheet program and save it as CSV."
            )
    control = sum(head.count(bytes([code])) for code in range(32) if code not in (9, 10, 12, 13))
    if control > len(head) / 20 and not _is_utf16(head):
        raise NotAFile("This is not a text file. Save it as CSV in the program it comes from.")


def _is_utf16(head: bytes) -> bool:
    """Whether there is its mark, or every second byte is nearly always zero."""
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return marked or (head[1::2].count(0) > len(head) / 3 and not head[::2].count(0))


def _encoding(raw: BinaryIO, head: bytes) -> str:
    """UTF-8 when the file is, or nearly: a few broken bytes among many characters do not make it another."""
    if _is_utf16(head):
        return "utf-16"
    raw.seek(0)
    decoder, good, broken = codecs.getincrementaldecoder("utf-8-sig")(errors="replace"), 0, 0
    while block := raw.read(1_000_000):
        text = decoder.decode(block)
        if not text.isascii():
            lost = text.count("�")
            good, broken = good + sum(not char.isascii() for char in text) - lost, broken + lost
    return "utf-8-sig" if broken * 10 <= good or head.startswith(codecs.BOM_UTF8) else "cp1252"


def _sample_rows(text: str, delimiter: str) -> Iterator[list[str]]:
    lines = text.splitlines(keepends=True)
    reading = Reading("utf-8-sig", delimiter, has_header=False, notation="us")
    return (record.cells for record in _parse([*lines, _END], reading) if record.cells)


def _regularity(text: str, delimiter: str) -> tuple[float, int]:
    """How much a text looks delimited by it: the share of rows of the commonest width, then that width."""
    widths = Counter(len(cells) for cells in islice(_sample_rows(text, delimiter), 50))
    wide = [(count, width) for width, count in widths.items() if width > 1]
    count, width = max(wide, default=(0, 1))
    return count / max(1, widths.total()), width
