"""What a cell means: numbers, dates and yes or no as people write them in several countries."""

import datetime
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from contacts.models import FieldType

NOTATIONS: Final = {
    "us": "1,234.56 · m/d/y",
    "uk": "1,234.56 · d/m/y",
    "eu": "1.234,56 · d/m/y",
}
TEXT_LIMIT: Final = 2000  # characters of one text value
NUMBER_LIMIT: Final = 1e15  # beyond, a number is not stored exactly
# A column is guessed to be a choice of at most so many texts, so long, with so many cells for each on average.
CHOICES: Final = 8
CHOICE_LENGTH: Final = 40  # characters
CHOICE_CELLS: Final = 5
YEARS: Final = range(1900, 3000)
TRUE: Final = frozenset(
    (
        "yes",
        "y",
        "true",
        "ja",
        "j",
        "wahr",
        "oui",
        "vrai",
        "si",
        "sí",
        "sì",
        "sim",
        "tak",
        "da",
        "да",
        "はい",
        "是",
        "x",
    )
)
FALSE: Final = frozenset(
    ("no", "n", "false", "nein", "falsch", "non", "faux", "não", "nie", "нет", "いいえ", "否")
)
NOTHING: Final = frozenset(("", "-", "–", "n/a", "na", "null", "none", "#n/v", "#n/a", "nan", "0000-00-00"))
_DIGITS = re.compile(r"-?\d+", re.ASCII)
_DECIMAL = re.compile(r"-?\d*\.?\d+", re.ASCII)
_GROUPED = {
    separator: re.compile(rf"-?\d{{1,3}}({re.escape(separator)}\d{{3}})+", re.ASCII) for separator in ",."
}
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?", re.ASCII)
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:[T ].*)?", re.ASCII)
Value = str | int | float | bool


class NotThat(ValueError):  # noqa: N818  (an answer, not a fault)
    """The cell does not hold what the field's type asks for; str() says so in words."""


def parse(text: str, kind: str, notation: str) -> Value | None:
    """The cell as a value of the field's type, None when it holds none.

    Raises: NotThat: it holds something else.
    """
    return PARSERS[kind](text, notation)


def _text(text: str, _notation: str) -> str | None:
    if len(text) > TEXT_LIMIT:
        raise NotThat(f"a text of {len(text):,} characters is longer than {TEXT_LIMIT:,}")
    return text or None


def _number(text: str, notation: str) -> int | float | None:
    if text.lower() in NOTHING:
        return None
    plain = re.sub(r"[\s'’€$£%]", "", text)
    number = _with_point(plain, notation)
    if len(number) > 24 or not (_DIGITS.fullmatch(number) or _DECIMAL.fullmatch(number)):
        raise NotThat(f"“{text[:60]}” is not a number")
    value = float(number)
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _with_point(plain: str, notation: str) -> str:
    """The digits with a point before the decimals, if any, and without marks between thousands."""
    thousands, decimal = (".", ",") if notation == "eu" else (",", ".")
    if thousands in plain and decimal in plain and plain.rindex(thousands) > plain.rindex(decimal):
        thousands, decimal = (
            decimal,
            thousands,
        )  # 1.234,56 in a file of the other notation can mean one thing only
    elif decimal not in plain and not _GROUPED[thousands].fullmatch(plain):
        decimal, thousands = thousands, decimal
    return plain.replace(thousands, "").replace(decimal, ".")


def _date(text: str, notation: str) -> str | None:
    if text.lower() in NOTHING:
        return None
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day = map(int, match.groups())
    elif match := _YEAR_LAST.fullmatch(text):
        first, mark, second, year = int(match[1]), match[2], int(match[3]), int(match[4])
        month, day = (first, second) if notation == "us" and mark != "." else (second, first)
        year += (2000 if year < 70 else 1900) if len(match[4]) == 2 else 0
    else:
        raise NotThat(f"“{text[:60]}” is not a date")
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        raise NotThat(f"“{text[:60]}” is not a date in this notation") from None
    if date.year not in YEARS:
        raise NotThat(f"“{text[:60]}” is not a date between 1900 and 2999")
    return date.isoformat()


def _boolean(text: str, _notation: str) -> bool | None:
    word = text.lower()
    if word in NOTHING:
        return None
    if word in TRUE or word == "1":
        return True
    if word in FALSE or word == "0":
        return False
    raise NotThat(f"“{text[:60]}” is neither yes nor no")


PARSERS: Final[dict[str, Callable[[str, str], Any]]] = {
    FieldType.TEXT: _text,
    FieldType.NUMBER: _number,
    FieldType.DATE: _date,
    FieldType.BOOLEAN: _boolean,
    FieldType.CHOICE: _text,
}


def guess_type(cells: Iterable[str], notation: str) -> FieldType:
    """The narrowest type that every cell fits; text where a number would lose something, such as 01234.

    A choice where a handful of short texts stand again and again, each at least twice.
    """
    held = [cell for cell in cells if cell.lower() not in NOTHING]
    if not held:
        return FieldType.TEXT
    if all(cell.lower() in TRUE | FALSE for cell in held):
        return FieldType.BOOLEAN
    if all(_fits(cell, FieldType.DATE, notation) for cell in held):
        return FieldType.DATE
    if all(_fits(cell, FieldType.NUMBER, notation) for cell in held) and not any(map(_is_code, held)):
        return FieldType.NUMBER
    return FieldType.CHOICE if _are_choices(held) else FieldType.TEXT


def _is_code(cell: str) -> bool:
    return bool(re.match(r"0\d|\+", cell)) or len(re.sub(r"\D", "", cell)) > 14


def _are_choices(cells: list[str]) -> bool:
    times = Counter(cell.casefold() for cell in cells)
    few = 2 <= len(times) <= CHOICES and len(cells) >= CHOICE_CELLS * len(times)
    return few and min(times.values()) > 1 and max(map(len, times)) <= CHOICE_LENGTH


def _fits(cell: str, kind: FieldType, notation: str) -> bool:
    try:
        return parse(cell, kind, notation) is not None
    except NotThat:
        return False


def guess_notation(rows: Iterable[list[str]], delimiter: str) -> str:
    """A semicolon between cells: the comma was needed for decimals. 31/12: the day comes first."""
    if delimiter == ";":
        return "eu"
    for cell in (cell.strip() for row in rows for cell in row):
        match = _YEAR_LAST.fullmatch(cell)
        if match and match[2] != "." and int(match[1]) > 12:
            return "uk"
    return "us"
