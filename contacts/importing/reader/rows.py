"""The rows of a stored file, as the reading says: text as it came, or a workbook's sheets as CSV in a zip."""

import codecs
import re
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO, Final, cast

from django.db.models.fields.files import FieldFile

from contacts.importing.reader import delimited, lines
from contacts.importing.reader.shapes import Reading, Record, readable

SAMPLE_ROWS: Final = 200
HEAD_BYTES: Final = 64 * 1024  # tell whether quotation marks are written \"
CHUNK_CHARACTERS: Final = 10_000_000
ZIP: Final = b"PK\x03\x04"
# Excel's own first line, which it does not show as a row.
SEPARATOR_LINE: Final = re.compile(r'"?sep=([^\r\n]?)"?[\r\n]*', re.IGNORECASE)
_BACKSLASHED: Final = re.compile(r'(?<!\\)\\"')
_BACKSLASHED_INSIDE: Final = re.compile(r'(?<!\\)\\"[^,;\t|\r\n]')
_DOUBLED_INSIDE: Final = re.compile(r'[^,;\t|\r\n"]""[^,;\t|\r\n"]')


@contextmanager
def opened(file: FieldFile) -> Iterator[BinaryIO]:
    """The uploaded file's bytes, from wherever uploads are kept."""
    with file.storage.open(file.name or "", "rb") as opened_file:
        yield cast(BinaryIO, opened_file.file)


def sheets(raw: BinaryIO) -> list[str]:
    """The names of a workbook's sheets in its order; none where the file is text."""
    raw.seek(0)
    if raw.read(len(ZIP)) != ZIP:
        return []
    with zipfile.ZipFile(raw) as kept:
        return kept.namelist()


def rows(raw: BinaryIO, reading: Reading) -> Iterator[Record]:
    """Stream the rows of data: the header and blank rows left out, memory flat whatever the file holds."""
    found = records(raw, reading)
    if reading.has_header:
        next(found, None)
    return found


def records(raw: BinaryIO, reading: Reading) -> Iterator[Record]:
    """Stream every row that is not blank, unreadable ones with their problem."""
    if not reading.sheet:
        yield from _of_text(raw, reading)
        return
    with zipfile.ZipFile(raw) as kept, kept.open(reading.sheet) as sheet:
        yield from delimited.parse(lines.blocks(cast(BinaryIO, sheet), "utf-8"), ",")


def chunk(found: Iterator[Record], count: int) -> list[Record]:
    """The next rows, at most so many, fewer where they are long; none at the end."""
    taken: list[Record] = []
    size = 0
    for record in islice(found, count):
        taken.append(record)
        size += record.size
        if size > CHUNK_CHARACTERS:
            break
    return taken


def header_and_sample(raw: BinaryIO, reading: Reading) -> tuple[list[str], list[list[str]]]:
    """The header's cells (empty without one) and the first rows of data, for the preview and the guesses."""
    first = chunk(records(raw, reading), SAMPLE_ROWS + 1)
    header = first.pop(0) if reading.has_header and first else None
    sample = [list(map(readable, each.cells)) for each in first if not each.problem]
    if header is None or header.problem:
        return [], sample
    names = list(map(readable, header.cells))
    return _told_apart(names[: _width([names, *sample])]), sample


def _width(found: Iterable[list[str]]) -> int:
    """The columns up to the last one in which anything stands: spreadsheets leave empty ones at the end."""
    return max((place for row in found for place, cell in enumerate(row, 1) if cell.strip()), default=0)


def _told_apart(header: Iterable[str]) -> list[str]:
    """The names, those met before with a number behind."""
    taken: set[str] = set()
    numbers: Counter[str] = Counter()  # the last one behind each name: thousands may be called alike
    names = []
    for name in map(str.strip, header):
        apart = name
        while apart and apart.casefold() in taken:
            numbers[name] += 1
            apart = f"{name} {numbers[name] + 1}"
        taken.add(apart.casefold())
        names.append(apart)
    return names


def _of_text(raw: BinaryIO, reading: Reading) -> Iterator[Record]:
    is_backslashed = _is_backslashed(raw, reading.encoding)
    found = lines.blocks(raw, reading.encoding)
    first = next(found, [])
    left_out = 1 if first and SEPARATOR_LINE.fullmatch(first[0]) else 0
    everything = _all(first[left_out:], found)
    if is_backslashed:
        everything = ([_BACKSLASHED.sub('""', line) for line in block] for block in everything)
    yield from delimited.parse(everything, reading.delimiter, lines_before=left_out)


def _all(first: list[str], others: Iterable[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from others


def _is_backslashed(raw: BinaryIO, encoding: str) -> bool:
    """Whether quotation marks inside cells are written with a backslash, as databases do, and not doubled."""
    raw.seek(0)
    codec = lines.codec_of(raw, encoding)
    text = codecs.getincrementaldecoder(codec)(errors="replace").decode(raw.read(HEAD_BYTES))
    return bool(_BACKSLASHED_INSIDE.search(text)) and not _DOUBLED_INSIDE.search(text)
