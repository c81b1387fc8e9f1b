"""Text in the cells of a spreadsheet: formulas made harmless, and several tags in one cell.

Tags stand one after the other with "; " between them. One that holds a comma, a semicolon or a quotation mark is put
in quotation marks, those in it doubled (as RFC 4180 does with cells); what exports write so, imports read back.
"""

import re
from typing import Final

# Spreadsheets run what begins with one of these, also behind blanks or a quotation mark (OWASP, CSV injection).
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
_TAG: Final = re.compile(r'\s*"((?:[^"]|"")*)"\s*(?=[,;]|$)|([^,;]+)')
_NEEDS_MARKS: Final = re.compile('[,;"]')


def defused(text: str) -> str:
    """The text, with an apostrophe before it where a spreadsheet would run it."""
    return f"'{text}" if text.lstrip(' "').startswith(FORMULA) else text


def quoted_tag(name: str) -> str:
    """A tag among others on one line."""
    return '"{}"'.format(name.replace('"', '""')) if _NEEDS_MARKS.search(name) else name


def tag_cell(name: str) -> str:
    """The same in a file. Of a name that begins with an apostrophe itself only one that was put there is taken off."""
    return quoted_tag(f"'{name}" if _would_run(name) else name)


def split_tags(text: str) -> list[str]:
    """The tags in a cell, each once whatever its case, with a comma or a semicolon between two."""
    names: dict[str, str] = {}
    for quoted, plain in _TAG.findall(text):
        name = " ".join((quoted.replace('""', '"') or plain).split())
        if name.startswith("'") and _would_run(name[1:]):
            name = name[1:]
        if name:
            names.setdefault(name.casefold(), name)
    return list(names.values())


def _would_run(name: str) -> bool:
    return name.lstrip(" \"'").startswith(FORMULA)
