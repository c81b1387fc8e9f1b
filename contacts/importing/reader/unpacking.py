"""Has zipped and spreadsheet files unpacked by a process of its own, which has limits that no file gets over."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, Final

from django.conf import settings
from django.core.files import File

from contacts.importing.reader.shapes import NotAFile

ZIP, OLE = b"PK", b"\xd0\xcf\x11\xe0"
WAIT_SECONDS: Final = 300  # one file is unpacked at a time on a host
REFUSED: Final = 3  # the exit code after which standard error says why, in words
TOO_MUCH: Final = (
    "The file cannot be unpacked: it is damaged, or its sheets are too large. "
    "Save the sheet with the people as CSV, and upload that."
)


@contextmanager
def unpacked(file: File) -> Iterator[File]:
    """The file as the reader takes it: text as it came, a workbook as a zip with a CSV for each sheet.

    Memory stays flat here. Raises: NotAFile: it cannot be unpacked, or not within the limits.
    """
    file.seek(0)
    head = file.read(4)
    file.seek(0)
    if not head.startswith((ZIP, OLE)):
        yield file
        return
    with _on_disk(file) as packed, tempfile.TemporaryFile() as result:
        with tempfile.TemporaryDirectory() as room:  # what a killed process leaves goes with it
            _unpack(packed.name, result, room)
        yield File(result, name=file.name)


@contextmanager
def _on_disk(file: File) -> Iterator[IO[Any]]:
    if hasattr(file, "temporary_file_path"):
        yield file.file  # type: ignore[misc]
        return
    with tempfile.NamedTemporaryFile() as copy:
        for part in file.chunks():
            copy.write(part)
        copy.flush()
        yield copy


def _unpack(path: str, result: IO[bytes], room: str) -> None:
    command = [sys.executable, "-m", "contacts.importing.unpacker", path]
    try:
        done = subprocess.run(
            command,
            cwd=settings.BASE_DIR,
            env={**os.environ, "TMPDIR": room},
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=subprocess.PIPE,
            timeout=WAIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAFile(TOO_MUCH) from None
    if done.returncode == REFUSED:
        raise NotAFile(done.stderr.decode(errors="replace")[-1000:].strip())
    if done.returncode:
        raise NotAFile(TOO_MUCH)
