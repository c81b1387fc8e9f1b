"""A process of its own that unpacks one upload to standard output: `python -m contacts.importing.unpacker FILE`.

The only file of a ZIP comes out as it is; a workbook as a zip with a CSV for each sheet, named as the sheet. What is
small and unpacks to something enormous meets a limit of this process, and no worker or web server. It knows nothing
of Django, so that it starts at once.
"""

import csv
import datetime
import fcntl
import io
import resource
import shutil
import sys
import tempfile
import zipfile
import zlib
from typing import IO, Any, Final

from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

MEMORY_BYTES: Final = (
    1_500 * 2**20
)  # a sheet is read as a whole: Excel's million rows of ten cells take 1.2 GB
CPU_SECONDS: Final = 120
TEXT_BYTES: Final = 300 * 2**20  # of a zipped file, as of one that is not zipped
SHEET_BYTES: Final = 1_000 * 2**20  # of a workbook's parts together, unpacked
WRITTEN_BYTES: Final = 1_000 * 2**20  # of what comes out
RATIO_LIMIT: Final = 500  # DEFLATE can do 1,032; sheets do 10 to 100
ENTRY_LIMIT: Final = 10_000
SHEET_LIMIT: Final = 100
REFUSED: Final = 3  # the exit code; standard error says why in words
BLOCK: Final = 256 * 1024
OLE: Final = b"\xd0\xcf\x11\xe0"
JUNK: Final = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini", "._")
DOCUMENTS: Final = {"word/": "a Word document", "ppt/": "a PowerPoint document"}


class Refused(Exception):  # noqa: N818  (an answer, not a fault)
    """Why the file is not unpacked, in words for a person."""


def main(path: str) -> int:
    with open(__file__) as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # one at a time: each may take much memory
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
        resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN_BYTES, WRITTEN_BYTES))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        try:
            unpack(path, sys.stdout.buffer)
        except Refused as reason:
            sys.stderr.write(str(reason))
            return REFUSED
        except PasswordError:
            sys.stderr.write("The workbook is protected by a password. Save it without one, and upload that.")
            return REFUSED
        except (CalamineError, zipfile.BadZipFile, zlib.error, EOFError):
            sys.stderr.write("The file is damaged: it cannot be unpacked. Save or export it again.")
            return REFUSED
    return 0


def unpack(path: str, out: IO[bytes]) -> None:
    with open(path, "rb") as source:
        is_zip = source.read(2) == b"PK"
    if not is_zip:
        write_sheets(path, out)
        return
    with zipfile.ZipFile(path) as archive:
        if is_workbook(archive):
            check_parts(archive)
            write_sheets(path, out)
            return
        member = only_file(archive)
        with tempfile.NamedTemporaryFile() as inner:
            copy_out(archive, member, inner, TEXT_BYTES)
            inner.seek(0)
            unpack_inner(inner, out)


def unpack_inner(inner: IO[bytes], out: IO[bytes]) -> None:
    head = inner.read(4)
    inner.seek(0)
    if head == OLE:
        write_sheets(inner.name, out)
    elif head.startswith(b"PK"):
        with zipfile.ZipFile(inner.name) as archive:
            if not is_workbook(archive):
                raise Refused(
                    "The ZIP holds another ZIP. Unpack it first, and upload the file with the people."
                )
            check_parts(archive)
        write_sheets(inner.name, out)
    else:
        shutil.copyfileobj(inner, out, BLOCK)


def is_workbook(archive: zipfile.ZipFile) -> bool:
    """Raises: Refused: it is another kind of document, or of far too many parts."""
    names = archive.namelist()
    if len(names) > ENTRY_LIMIT:
        raise Refused(f"The archive holds {len(names):,} files; at most {ENTRY_LIMIT:,} are looked at.")
    for folder, kind in DOCUMENTS.items():
        if any(name.startswith(folder) for name in names):
            raise Refused(
                f"This seems to be {kind}. Save the people in it as CSV or Excel file, and upload that."
            )
    return any(name.startswith("xl/") for name in names) or {"mimetype", "content.xml"} <= set(names)


def check_parts(archive: zipfile.ZipFile) -> None:
    """Unpack each part to nothing, and stop where it becomes too much: what an archive says of itself may be false."""
    parts = archive.infolist()
    said = sum(part.file_size for part in parts)
    if said > SHEET_BYTES:
        raise Refused(
            f"The workbook unpacks to {said // 2**20:,} MB, more than {SHEET_BYTES // 2**20:,}. "
            "Save the sheet with the people as CSV, and upload that."
        )
    left = SHEET_BYTES
    for part in parts:
        left -= measured(archive, part, left)


def measured(archive: zipfile.ZipFile, part: zipfile.ZipInfo, limit: int) -> int:
    if part.file_size > 2**20 and part.file_size > RATIO_LIMIT * max(1, part.compress_size):
        raise Refused("The file unpacks to more than 500 times its size, as no list of people does.")
    size = 0
    with opened(archive, part) as packed:
        while block := packed.read(BLOCK):
            size += len(block)
            if size > limit:
                raise Refused(f"The file unpacks to more than {SHEET_BYTES // 2**20:,} MB.")
    return size


def only_file(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    files = [each for each in archive.infolist() if not each.is_dir() and not is_junk(each.filename)]
    if not files:
        raise Refused("The ZIP is empty. Put the file with the people into it.")
    if len(files) > 1:
        names = ", ".join(f"“{each.filename[:60]}”" for each in files[:5])
        more = f" and {len(files) - 5:,} more" if len(files) > 5 else ""
        raise Refused(f"The ZIP holds {len(files):,} files: {names}{more}. Upload the one with the people.")
    return files[0]


def is_junk(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(JUNK)


def copy_out(archive: zipfile.ZipFile, member: zipfile.ZipInfo, out: IO[bytes], limit: int) -> None:
    size = member.file_size  # as the archive says, which may be false
    if size <= limit:
        size = 0
        with opened(archive, member) as packed:
            while size <= limit and (block := packed.read(BLOCK)):
                size += len(block)
                out.write(block)
        out.flush()
    if size > limit:
        raise Refused(f"The file in the ZIP has more than {limit // 2**20:,} MB. Split it.")


def opened(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    if member.flag_bits & 1:
        raise Refused("The ZIP is protected by a password. Make one without, and upload that.")
    try:
        return archive.open(member)
    except (NotImplementedError, RuntimeError):
        raise Refused("The ZIP is packed in an unusual way. Make it again with another program.") from None


# --- Workbooks ----------------------------------------------------------------------------------------


def write_sheets(path: str, out: IO[bytes]) -> None:
    """A zip with a CSV for each sheet that is shown; blank rows stay, so that rows keep their numbers."""
    book = CalamineWorkbook.from_path(path)
    shown = [each.name for each in book.sheets_metadata if is_shown(each)]
    if not shown:
        raise Refused("The workbook has no sheet that is shown.")
    taken: set[str] = set()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number, name in enumerate(shown[:SHEET_LIMIT], 1):
            title = title_of(name, number, taken)
            with archive.open(title, "w", force_zip64=True) as member:
                write_rows(book.get_sheet_by_name(name), member)


def is_shown(sheet: Any) -> bool:
    return sheet.typ == SheetTypeEnum.WorkSheet and sheet.visible == SheetVisibleEnum.Visible


def title_of(name: str, number: int, taken: set[str]) -> str:
    """A name for the sheet that it has alone, and that a form can send."""
    title = " ".join("".join(char for char in name if char.isprintable() and char != "/").split())[:100]
    title = title if title and title not in taken else f"{title[:80]} ({number})".strip()
    taken.add(title)
    return title


def write_rows(sheet: CalamineSheet, member: IO[bytes]) -> None:
    with io.TextIOWrapper(member, encoding="utf-8", errors="replace", newline="") as text:
        writer = csv.writer(text)
        for row in sheet.iter_rows():
            is_blank = all(cell == "" for cell in row)
            writer.writerow([] if is_blank else [as_text(cell) for cell in row])


def as_text(cell: Any) -> str:
    """A cell as a person would type it: dates as ISO has them, whole numbers without a point, yes and no."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return of_number(cell)
    if isinstance(cell, datetime.datetime):
        midnight = cell.time() == datetime.time()
        return cell.date().isoformat() if midnight else cell.replace(microsecond=0).isoformat(" ")
    if isinstance(cell, datetime.time):
        return cell.isoformat("minutes" if not cell.second else "seconds")
    return str(cell)


def of_number(number: float) -> str:
    if number.is_integer() and abs(number) < 1e22:
        return str(int(number))
    return format(number, ".15g") if 1e-5 < abs(number) < 1e15 else repr(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
