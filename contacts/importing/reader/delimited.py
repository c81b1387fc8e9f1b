"""Lines to rows, in C for nearly all of them, and a row for a line where a quotation mark is out of place.

A cell may hold line ends only where it is quoted by the book (RFC 4180): its quotation marks, the doubled ones
too, are then even in number where the row ends. On one line, what is quoted loosely is read as csv reads it.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import count, repeat
from typing import Final

from contacts.importing.reader.lines import LINE_LIMIT
from contacts.importing.reader.shapes import Record

ROW_LIMIT: Final = 16_000_000  # characters that a quotation mark may wait for the one that closes it
LINES_LIMIT: Final = 1_000_000  # and lines: however short, each takes some 60 bytes
SHOWN: Final = 500  # characters kept of what cannot be read
_END: Final = "\0end of line\0"  # as a further line, it is swallowed by a quotation mark that is open


def parse(blocks: Iterable[list[str]], delimiter: str, *, lines_before: int = 0) -> Iterator[Record]:
    """Stream every row that is not blank, what cannot be read with its problem.

    lines_before: of the file, that the blocks leave out. Cost: 2 µs a row of ten cells, each line read twice at most.
    """
    parser = _Parser(delimiter, lines_before)
    for lines in blocks:
        yield from parser.read(lines)
    yield from parser.read([], is_last=True)


class _Parser:
    """Rows and lines read so far, and the lines from a quotation mark on that is still open."""

    def __init__(self, delimiter: str, line: int) -> None:
        self.delimiter = delimiter
        self.line = line
        self.number = 0
        self.held: list[str] = []
        self.held_size = self.held_quotes = 0

    def read(self, lines: list[str], *, is_last: bool = False) -> Iterator[Record]:
        found = None if self.held else self._quickly(lines)
        if found is None:
            yield from self._carefully(lines, is_last=is_last)
            return
        self.line += len(lines)
        numbers = count(self.number + 1)
        self.number += len(found)
        for record in map(Record, numbers, found, repeat(""), map(len, lines)):
            if any(map(str.strip, record.cells)):
                yield record

    def _quickly(self, lines: list[str]) -> list[list[str]] | None:
        """The cells of every line, None where not each line is a row of its own."""
        if max(map(len, lines), default=0) > LINE_LIMIT:
            return None
        if any(marks & 1 for marks in set(map(str.count, lines, repeat('"')))):
            return None
        try:
            found = self._cells(lines)
        except csv.Error:
            return None
        return found if len(found) == len(lines) else None

    def _carefully(self, lines: list[str], *, is_last: bool) -> Iterator[Record]:
        waiting = deque(lines)
        while waiting or (is_last and self.held):
            if waiting:
                self._hold(waiting.popleft())
                if self._is_open():
                    continue
            record = self._row()
            if record is None:  # the first line alone is at fault; the others may well be rows
                waiting.extendleft(reversed(self.held[1:]))
                del self.held[1:]
                record = self._problem(
                    f"A quotation mark opens and is not closed in line {self.line + 1:,}.", 1
                )
            self.held_size = self.held_quotes = 0
            self.held.clear()
            if record.problem or any(map(str.strip, record.cells)):
                yield record

    def _hold(self, line: str) -> None:
        self.held.append(line)
        self.held_size += len(line)
        self.held_quotes += line.count('"')

    def _is_open(self) -> bool:
        """Whether the row may go on: its quotation mark is not closed, nor hopeless."""
        if not self.held_quotes & 1 or self.held_size > ROW_LIMIT or len(self.held[-1]) > LINE_LIMIT:
            return False
        if len(self.held) > LINES_LIMIT:
            return False
        return len(self.held) > 1 or self._opens(self.held[0])

    def _opens(self, line: str) -> bool:
        """Whether a cell is open where the line ends; a mark amid a cell, as in 5'6", opens none."""
        try:
            return len(self._cells([line, _END])) == 1
        except csv.Error:
            return False

    def _row(self) -> Record | None:
        """The lines held as one row, None when they are not quoted as one."""
        line_count = len(self.held)
        if line_count == 1 and self.held_size > LINE_LIMIT:
            return self._problem(f"Line {self.line + 1:,} is longer than {LINE_LIMIT:,} characters.", 1)
        try:
            found = self._cells(self.held, strict=line_count > 1)
        except csv.Error as error:
            if "field limit" not in str(error):
                return None
            longest = f"{csv.field_size_limit():,} characters"
            return self._problem(f"A cell of line {self.line + 1:,} is longer than {longest}.", line_count)
        if len(found) > 1 or (line_count == 1 and self.held_quotes & 1 and self._opens(self.held[0])):
            return None
        if self.held_size > LINE_LIMIT:
            first = self.line + 1
            return self._problem(
                f"The row of lines {first:,} to {self.line + line_count:,} is longer than {LINE_LIMIT:,} characters.",
                line_count,
            )
        self.number += 1
        self.line += line_count
        return Record(self.number, found[0] if found else [], size=self.held_size)

    def _problem(self, words: str, line_count: int) -> Record:
        self.number += 1
        self.line += line_count
        return Record(self.number, [self.held[0][:SHOWN].rstrip("\r\n")], words, SHOWN)

    def _cells(self, lines: list[str], *, strict: bool = False) -> list[list[str]]:
        return list(csv.reader(lines, delimiter=self.delimiter, skipinitialspace=True, strict=strict))
