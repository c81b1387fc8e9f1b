"""Writes an export's rows into a file, as they come: CSV made by PostgreSQL itself, or an Excel workbook."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any, BinaryIO, Final

import xlsxwriter

from contacts.exporting.rows import Statement

SHEET_ROWS: Final = 1_048_576  # of an Excel sheet; further ones go to another sheet
CELL_LIMIT: Final = 32_767  # characters of an Excel cell
FETCH_ROWS: Final = 5_000
Told = Callable[[int], None]  # is told how many rows are written; may raise to stop


def write_csv(cursor: Any, statement: Statement, file: BinaryIO, told: Told) -> int:
    """UTF-8 with the mark by which Excel knows it. Returns how many rows. Memory stays flat."""
    file.write("\ufeff".encode() + _line(statement.titles))
    sql = cursor.mogrify(statement.sql, statement.values)
    with cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT csv)") as blocks:
        for count, block in enumerate(blocks, 1):  # a row each, as PostgreSQL sends them
            file.write(block)
            if count % FETCH_ROWS == 0:
                told(count)
    written: int = cursor.rowcount
    return written


def write_xlsx(cursor: Any, statement: Statement, file: BinaryIO, told: Told) -> int:
    """Texts are cells of text, numbers of numbers. Returns how many rows. Memory stays flat."""
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with closing(xlsxwriter.Workbook(file, options)) as book:
        sheet, at, count = _sheet(book, statement), 1, 0
        for count, row in enumerate(_rows(cursor, statement), 1):
            if at == SHEET_ROWS:
                sheet, at = _sheet(book, statement), 1
            for column, value in enumerate(row):
                _write(sheet, at, column, value)
            at += 1
            if count % FETCH_ROWS == 0:
                told(count)
    return count


def _line(cells: list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue().encode()


def _rows(cursor: Any, statement: Statement) -> Iterator[tuple[Any, ...]]:
    """Through a cursor at the server, a block at a time."""
    sql = cursor.mogrify(statement.sql, statement.values)
    cursor.execute("BEGIN READ ONLY")
    cursor.execute(f"DECLARE exported NO SCROLL CURSOR FOR {sql}")
    while True:
        cursor.execute(f"FETCH {FETCH_ROWS} FROM exported")
        block = cursor.fetchall()
        if not block:
            return
        yield from block


def _sheet(book: Any, statement: Statement) -> Any:
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, statement.titles, book.add_format({"bold": True}))
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, 0, 32)
    sheet.set_column(1, len(statement.titles) - 1, 18)
    return sheet


def _write(sheet: Any, row: int, column: int, value: Any) -> None:
    if isinstance(value, Decimal):
        sheet.write_number(row, column, float(value))
    elif value:
        sheet.write_string(row, column, value[:CELL_LIMIT])
