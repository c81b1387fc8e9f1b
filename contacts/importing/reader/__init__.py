"""How a file that somebody uploaded reads: what kind it is, how it is written, and its rows as a stream."""

from contacts.importing.reader.guessing import guess
from contacts.importing.reader.pasted import as_rows
from contacts.importing.reader.rows import chunk, header_and_sample, opened, records, rows, sheets
from contacts.importing.reader.shapes import (
    ADDRESS,
    COLUMN_LIMIT,
    DELIMITERS,
    ENCODINGS,
    NotAFile,
    Reading,
    Record,
    is_unreadable,
    readable,
)
from contacts.importing.reader.unpacking import unpacked

__all__ = [
    "ADDRESS",
    "COLUMN_LIMIT",
    "DELIMITERS",
    "ENCODINGS",
    "NotAFile",
    "Reading",
    "Record",
    "as_rows",
    "chunk",
    "guess",
    "header_and_sample",
    "is_unreadable",
    "opened",
    "readable",
    "records",
    "rows",
    "sheets",
    "unpacked",
]
