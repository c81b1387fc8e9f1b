"""How fast a file's rows are read, before anything is made of them, and what memory that takes."""

import io
import os
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import xlsxwriter
from django.core.files import File

from accounts.models import Workspace
from bench import processes
from contacts.importing import reader

COLUMNS = ("email", "first_name", "last_name", "city", "street", "zip", "points", "orders", "born", "note")
WORKBOOK_ROWS = 100_000  # at most: a spreadsheet is read ten times more slowly


def measure_reading(_workspace: Workspace, count: int) -> dict[str, object]:
    """Rows of ten cells a second, from the upload's bytes to records; MB that this process and its child rose to."""
    result: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, rows, write in (
            ("csv", count, _write_csv),
            ("quoted", count, _write_quoted),
            ("xlsx", min(count, WORKBOOK_ROWS), _write_workbook),
        ):
            path = Path(folder) / f"people.{name}"
            write(path, rows)
            result |= {f"{name}_mb": round(path.stat().st_size / 1e6, 1), **_read(name, path, rows)}
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # KB on Linux
    return result | {"unpacking_mb": round(children, 1)}


def _read(name: str, path: Path, count: int) -> dict[str, object]:
    before, began = processes.memory_mb(os.getpid()), time.monotonic()
    with path.open("rb") as uploaded, reader.unpacked(File(uploaded, name=path.name)) as plain:
        reading = reader.guess(plain.file)
        guessed = time.monotonic()
        read = sum(1 for _ in reader.rows(plain.file, reading))
        ended = time.monotonic()
    assert read == count
    return {
        f"{name}_guessed_seconds": round(guessed - began, 2),  # a workbook is unpacked meanwhile
        f"{name}_per_second": round(count / (ended - guessed)),
        f"{name}_rose_mb": round(max(0, processes.memory_mb(os.getpid()) - before), 1),
    }


def _people(count: int) -> Iterator[tuple[str, ...]]:
    yield COLUMNS
    for n in range(count):
        yield (
            f"person{n}@example.com", "Zoë", f"Example {n}", "Köln", f"{n % 999} High Street",
            f"{n % 99999:05}", str(n % 1000), str(n % 37), "1990-01-02", "",
        )  # fmt: skip


def _write_csv(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.writelines(",".join(person) + "\n" for person in _people(count))


def _write_quoted(path: Path, count: int) -> None:
    with path.open("w") as file:
        file.writelines('"' + '","'.join(person) + '"\r\n' for person in _people(count))


def _write_workbook(path: Path, count: int) -> None:
    content = io.BytesIO()
    book = xlsxwriter.Workbook(content, {"constant_memory": True})
    sheet = book.add_worksheet("People")
    for number, person in enumerate(_people(count)):
        sheet.write_row(number, 0, person)
    book.close()
    path.write_bytes(content.getvalue())
