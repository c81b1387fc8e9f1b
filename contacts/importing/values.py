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
# 12/31, as Mailchimp keeps birthdays; 31.12. as German has it; --12-31 as vCards and Volley do, defused or not.
_DAY_AND_MONTH = re.compile(r"(\d{1,2})/(\d{1,2})", re.ASCII)
_DAY_BEFORE_MONTH = re.compile(r"(\d{1,2})\. ?(\d{1,2})\.", re.ASCII)
_NO_YEAR = re.compile(r"'?--(\d\d)-?(\d\d)", re.ASCII)
YEARLESS: Final = "--"  # a date without a year begins so, "--MM-DD" (ISO 8601:2000, vCard)
_ANY_LEAP_YEAR = 2000
# A time of day behind a date: 2024-01-31T09:05:00Z, 1/31/2024 9:05 PM.
_CLOCK = re.compile(
    r"(?P<day>[^\sT]+)[T\s]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[ap])\.?m\.?)?\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.ASCII | re.IGNORECASE,
)
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
        return _date_without_year(text, notation)
    try:
        date = datetime.date(year, month, day)
    except ValueError:
        raise NotThat(f"“{text[:60]}” is not a date in this notation") from None
    if date.year not in YEARS:
        raise NotThat(f"“{text[:60]}” is not a date between 1900 and 2999")
    return date.isoformat()


def _date_without_year(text: str, notation: str) -> str:
    """As "--MM-DD"; "12.31" without a point behind it is a number."""
    if match := _NO_YEAR.fullmatch(text):
        month, day = map(int, match.groups())
    elif match := _DAY_AND_MONTH.fullmatch(text) or _DAY_BEFORE_MONTH.fullmatch(text):
        first, second = map(int, match.groups())
        month, day = (first, second) if notation == "us" and "/" in text else (second, first)
    else:
        raise NotThat(f"“{text[:60]}” is not a date")
    try:
        date = datetime.date(_ANY_LEAP_YEAR, month, day)
    except ValueError:
        raise NotThat(f"“{text[:60]}” is not a date in this notation") from None
    return f"{YEARLESS}{date:%m-%d}"


def moment(text: str, notation: str, zone: datetime.tzinfo) -> datetime.datetime | None:
    """The date and time in the cell, None when it holds none. zone: where no offset stands; a lone date is midnight.

    Raises: NotThat.
    """
    if text.lower() in NOTHING:
        return None
    match = _CLOCK.fullmatch(text)
    day = _date(match["day"] if match else text, notation)
    if day is None or day.startswith(YEARLESS):
        raise NotThat(f"“{text[:60]}” is not a date with a year")
    hour, minute, second = (
        (int(match[name] or 0) for name in ("hour", "minute", "second")) if match else (0, 0, 0)
    )
    if match and match["half"]:
        hour = hour % 12 + 12 * (match["half"].lower() == "p")
    try:
        found = datetime.datetime.fromisoformat(f"{day}T{hour:02}:{minute:02}:{second:02}{_offset(match)}")
    except ValueError:
        raise NotThat(f"“{text[:60]}” is not a date and time") from None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def _offset(match: re.Match[str] | None) -> str:
    offset = (match["offset"] or "") if match else ""
    return "+00:00" if offset.upper() in ("Z", "UTC", "GMT") else offset


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
    if all(_fits(cell, FieldType.DATE, notation) for cell in held) and not _may_be_fractions(held):
        return FieldType.DATE
    if all(_fits(cell, FieldType.NUMBER, notation) for cell in held) and not any(map(_is_code, held)):
        return FieldType.NUMBER
    return FieldType.CHOICE if _are_choices(held) else FieldType.TEXT


def _is_code(cell: str) -> bool:
    return bool(re.match(r"0\d|\+", cell)) or len(re.sub(r"\D", "", cell)) > 14


def _may_be_fractions(cells: list[str]) -> bool:
    """1/2, 3/4: where no number is above 12, days and months are no more likely."""
    parts = [match.groups() for cell in cells if (match := _DAY_AND_MONTH.fullmatch(cell))]
    return len(parts) == len(cells) and all(int(part) <= 12 for pair in parts for part in pair)


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
