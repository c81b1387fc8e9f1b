"""What somebody pasted instead of a file: rows of a spreadsheet, or addresses as mail programs list them."""

import csv
import io
import re
from collections.abc import Iterator

Piece = tuple[str, str]  # name and address


def as_rows(text: str) -> str:
    """The text as a file's: a list of addresses becomes a row for each, whatever stands between them."""
    pieces = [] if "\t" in text else list(_pieces(text))
    if sum("@" in address for _name, address in pieces) * 3 <= len(pieces) * 2:
        return text
    has_names = any(name for name, _address in pieces)
    written = io.StringIO()
    writer = csv.writer(written)
    if has_names:
        writer.writerow(["E-mail", "Name"])
    writer.writerows([address, name] if has_names else [address] for name, address in pieces)
    return written.getvalue()


def _pieces(text: str) -> Iterator[Piece]:
    """Everybody; what is neither name nor address stands as an address, to be refused with its text."""
    for group in re.split(r"[;\r\n]", text):
        before: list[str] = []  # perhaps of a name with a comma in it: Doe, Ann <ann@example.com>
        for part in group.split(","):
            name, bracket, address = part.partition("<")
            if bracket:
                yield _name(*before, name), address.partition(">")[0].strip()
            elif "@" in part:
                yield from _alone(*before, part)
            else:
                before.append(part)
                continue
            before = []
        yield from _alone(*before)


def _name(*parts: str) -> str:
    return " ".join(", ".join(part.strip() for part in parts).replace('"', "").split())


def _alone(*parts: str) -> Iterator[Piece]:
    return (("", part.strip()) for part in parts if part.strip())
