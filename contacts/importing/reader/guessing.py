"""Guesses how a file is written; the person sees each guess beside examples and corrects it."""

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import BinaryIO, Final

import charset_normalizer

from contacts.importing import values
from contacts.importing.reader import delimited, rows
from contacts.importing.reader.lines import utf16_of
from contacts.importing.reader.shapes import ADDRESS, COLUMN_LIMIT, DELIMITERS, NotAFile, Reading

SAMPLE_BYTES: Final = 256 * 1024  # what guesses look at
SAMPLE_ROWS: Final = 200
# What other files begin with.
SIGNATURES: Final = (
    (b"\x89PNG", "a picture"), (b"GIF8", "a picture"), (b"\xff\xd8\xff", "a picture"),
    (b"%PDF", "a PDF document"), (b"\x1f\x8b", "a compressed file other than a ZIP"),
    (b"7z\xbc\xaf\x27\x1c", "a compressed file other than a ZIP"), (b"Rar!", "a compressed file other than a ZIP"),
    (b"{\\rtf", "a Word document"), (b"PAR1", "a Parquet file"), (b"SQLite format 3", "a data base"),
)  # fmt: skip
_HIGH_RUNS: Final = re.compile(rb"[\x80-\xff]+")
# Letters of the Macintosh that stand for punctuation, a control sign or a rare letter in Windows-1252.
_MACINTOSH: Final = re.compile(rb"[a-zA-Z][\x87\x88\x8a\x8d-\x90\x9a\x9d-\x9f]|[\x8a\x8e\x9a\x9f][a-z]")
_WESTERN: Final = re.compile(rb"[\xc0-\xff]")


def guess(raw: BinaryIO) -> Reading:
    """Guess how the file reads, from its whole length for the encoding and its first rows for the rest.

    Raises: NotAFile: empty, not text, without a row of data, or with more than COLUMN_LIMIT columns.
    """
    if names := rows.sheets(raw):
        return _of_workbook(raw, names)
    raw.seek(0)
    head = raw.read(SAMPLE_BYTES)
    _check_is_text(head)
    encoding = _encoding(raw, head)
    text = _decoded(head, encoding)
    delimiter = _said(text) or max(DELIMITERS, key=lambda each: _regularity(text, each))
    return _completed(raw, Reading(encoding, delimiter, has_header=False, notation="us"))


def _of_workbook(raw: BinaryIO, names: list[str]) -> Reading:
    """The first sheet in which addresses stand, else the first one that is not blank."""
    best, most = None, -1
    for name in names:
        reading = Reading("utf-8-sig", ",", has_header=False, notation="us", sheet=name)
        found = _sample(raw, reading)
        score = 2 * _has_addresses(found) + bool(found)
        if score > most:
            best, most = reading, score
    assert best is not None
    return _completed(raw, best)


def _completed(raw: BinaryIO, reading: Reading) -> Reading:
    found = _sample(raw, reading)
    has_header = bool(found) and not any(ADDRESS.search(cell) for cell in found[0])
    if len(found) <= has_header:
        raise NotAFile(
            "The file has no rows of data. Its first row names the columns; each further row is a person."
        )
    header, sample = rows.header_and_sample(raw, replace(reading, has_header=has_header))
    width = len(header) or max(map(len, sample), default=0)
    if width > COLUMN_LIMIT:
        raise NotAFile(
            f"The file has {width:,} columns; at most {COLUMN_LIMIT:,} can be imported. Leave out those not needed."
        )
    notation = values.guess_notation(found[has_header:], reading.delimiter)
    return replace(reading, has_header=has_header, notation=notation)


def _sample(raw: BinaryIO, reading: Reading) -> list[list[str]]:
    return [row.cells for row in rows.chunk(rows.records(raw, reading), SAMPLE_ROWS)]


def _has_addresses(found: Iterable[list[str]]) -> bool:
    return any(ADDRESS.search(cell) for row in found for cell in row)


def _check_is_text(head: bytes) -> None:
    if not head.strip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"):
        raise NotAFile("The file is empty. Export it again, or choose another one.")
    for signature, kind in SIGNATURES:
        if head.startswith(signature):
            raise NotAFile(
                f"This seems to be {kind}. Save what is in it as CSV or Excel file, and upload that."
            )
    control = sum(head.count(bytes([code])) for code in range(32) if code not in (9, 10, 12, 13))
    if control > len(head) / 20 and not utf16_of(head):
        raise NotAFile("This is not a text file. Save it as CSV in the program it comes from.")


def _encoding(raw: BinaryIO, head: bytes) -> str:
    """UTF-8 when the file is, or nearly: some broken bytes do not make it another."""
    if utf16_of(head):
        return "utf-16"
    good, broken = _as_utf8(raw)
    if broken * 2 <= good or head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    return _one_byte(head) if _HIGH_RUNS.search(head) else "cp1252"


def _as_utf8(raw: BinaryIO) -> tuple[int, int]:
    """How many characters outside ASCII, and how many broken bytes; a cut at the end breaks nothing."""
    raw.seek(0)
    decoder, good, broken = codecs.getincrementaldecoder("utf-8-sig")(errors="replace"), 0, 0
    while block := raw.read(1_000_000):
        text = decoder.decode(block)
        if not text.isascii():
            lost = text.count("�")
            good += len(text) - len(text.encode("ascii", "ignore")) - lost
            broken += lost
    return good, broken


def _one_byte(head: bytes) -> str:
    """Western unless the letters say otherwise: its words have a letter outside ASCII here and there, no runs."""
    lengths = [len(run) for run in _HIGH_RUNS.findall(head)]
    if sum(length for length in lengths if length > 2) * 2 > sum(lengths):
        found = charset_normalizer.from_bytes(head, cp_isolation=["cp1251", "shift_jis", "gb18030"]).best()
        return found.encoding if found else "cp1252"
    if len(_MACINTOSH.findall(head)) > len(_WESTERN.findall(head)):
        return "mac_roman"
    return "cp1252"


def _decoded(head: bytes, encoding: str) -> str:
    codec = utf16_of(head) or encoding
    return codecs.getincrementaldecoder(codec)(errors="replace").decode(head).removeprefix("\ufeff")


def _said(text: str) -> str:
    """What Excel's own first line says stands between cells."""
    line = rows.SEPARATOR_LINE.match(text)
    return line[1] if line and line[1] in DELIMITERS else ""


def _regularity(text: str, delimiter: str) -> tuple[float, int]:
    """How much a text looks delimited by it: the share of rows of the commonest width, then that width."""
    widths = Counter(len(cells) for cells in islice(_rows(text, delimiter), 50))
    wide = [(count, width) for width, count in widths.items() if width > 1]
    count, width = max(wide, default=(0, 1))
    return count / max(1, widths.total()), width


def _rows(text: str, delimiter: str) -> Iterator[list[str]]:
    lines = re.split(r"(?<=\n)|(?<=\r)(?!\n)", text[:100_000])
    return (row.cells for row in delimited.parse([lines], delimiter) if not row.problem)
