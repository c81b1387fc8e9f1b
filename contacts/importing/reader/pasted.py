"""What somebody pasted instead of a file: rows of a spreadsheet, or addresses as mail programs list them."""

import csv
import io
import re
from typing import Final

from contacts.importing.reader.shapes import ADDRESS

# "Ann" <ann@example.com>, Doe, Ann <ann@example.com>, or an address alone.
# The lengths keep a hostile text from being looked at again and again.
_PIECE: Final = re.compile(
    r"""\s* (?: "(?P<quoted>[^"\n]{0,150})"\s*<(?P<of_quoted>[^<>\n]{0,320})>
          | (?P<alone>[^\s,;<>"]{1,320}@[^\s,;<>"]{1,320})(?=\s*(?:[,;\n]|\Z))
          | (?P<name>[^<>;\n@"]{0,150})<(?P<of_name>[^<>\n]{0,320})>
          | (?P<other>[^,;\n]*) ) [^\S\n]* (?:[,;\n]|\Z)""",
    re.VERBOSE,
)


def as_rows(text: str) -> str:
    """The text as a file's: a list of addresses becomes a row for each, whatever stands between them."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    people = _people(text) if "\t" not in text else []
    addresses = sum(bool(ADDRESS.search(address)) for _name, address in people)
    if addresses * 3 <= len(people) * 2:
        return text
    has_names = any(name for name, _address in people)
    written = io.StringIO()
    writer = csv.writer(written)
    if has_names:
        writer.writerow(["E-mail", "Name"])
    writer.writerows([address, name] if has_names else [address] for name, address in people)
    return written.getvalue()


def _people(text: str) -> list[tuple[str, str]]:
    """(name, address) of every piece; what is neither stands as an address, to be refused with its text."""
    found = []
    for piece in _PIECE.finditer(text):
        name = piece["quoted"] or piece["name"] or ""
        address = piece["of_quoted"] or piece["of_name"] or piece["alone"] or piece["other"] or ""
        if address.strip():
            found.append((" ".join(name.split()), address.strip()))
    return found
