"""Rows of a page as a CSV file that is written while it is fetched, however many they are."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, cast

from django.http import HttpResponse, StreamingHttpResponse

from contacts.spreadsheet import defused


def csv_answer(file_name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> HttpResponse:
    """A download; texts are defused on the way, and times written in UTC, as they come."""
    answer = StreamingHttpResponse(_lines(header, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return cast(HttpResponse, answer)


class _Line:
    """A file for csv.writer that gives each line back."""

    def write(self, line: str) -> str:
        return line


def _lines(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """UTF-8 with the mark by which Excel knows it."""
    writer = csv.writer(_Line())
    yield "\ufeff" + writer.writerow(header)
    for row in rows:
        yield writer.writerow(map(_cell, row))


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return defused(value) if isinstance(value, str) else value
