"""Whether a value fits a custom field: the one place that forms, inline edits and imports ask."""

import datetime
import math
from collections.abc import Iterable
from typing import Any, Final

from contacts.importing import values
from contacts.models import CustomField, FieldType

OPTIONS_LIMIT: Final = 200  # of a choice
OPTION_LENGTH: Final = 100  # characters
OPTIONS_NAMED: Final = 5  # of a choice, in a message
WORDS_SHOWN: Final = 60  # characters of a value, in a message


class Unfit(ValueError):  # noqa: N818  (an answer, not a fault)
    """Why the value does not fit, as a sentence."""


def fit(field: CustomField, value: Any) -> Any:
    """The value as a contact keeps it: a choice in the option's own spelling, anything else unchanged.

    value: of the field's type, as `contacts.importing.values.parse` gives it.
    Raises: Unfit.
    """
    match field.type:
        case FieldType.CHOICE:
            return _option(field, str(value))
        case FieldType.NUMBER:
            _within(field, value, "“{0}” is {1} than {2}.", ("less", "more"))
        case FieldType.DATE if not str(value).startswith(values.YEARLESS):  # whose year nobody knows
            _within(field, value, "“{0}” is {1} than {2}.", ("earlier", "later"))
        case FieldType.TEXT if len(value) > (longest := field.limits.get("max", values.TEXT_LIMIT)):
            raise Unfit(f"This has {len(value):,} characters; at most {longest:,} are taken.")
    return value


def read(field: CustomField, text: str) -> Any:
    """What a person typed as a value that fits, None where it is none. Numbers with a point, dates as 2024-12-31.

    Raises: Unfit.
    """
    try:
        value = values.parse(text.strip(), field.type, "us")
    except values.NotThat as problem:
        said = str(problem)
        raise Unfit(f"{said[:1].upper()}{said[1:]}.") from None
    return None if value is None else fit(field, value)


def default_of(field: CustomField) -> Any:
    """What messages say of somebody without a value, of the field's type; None where nothing is set, or it is unfit."""
    try:
        return read(field, field.default) if field.default else None
    except Unfit:
        return None


def defaults(fields: Iterable[CustomField]) -> dict[str, Any]:
    """{key: default} of the fields that have one."""
    found = ((each.key, default_of(each)) for each in fields if each.default)
    return {key: value for key, value in found if value is not None}


def in_words(field: CustomField) -> str:
    """What values keep within, for the page: “from 0 to 120”; "" where nothing is set."""
    low, high = (_shown(field.limits[bound]) if bound in field.limits else "" for bound in ("min", "max"))
    if field.type == FieldType.TEXT:
        return f"at most {high} characters" if high else ""
    if low and high:
        return f"from {low} to {high}"
    return f"from {low} on" if low else f"up to {high}" if high else ""


def is_finite(number: float) -> bool:
    return math.isfinite(number) and abs(number) <= values.NUMBER_LIMIT


def _option(field: CustomField, text: str) -> str:
    wanted = text.casefold()
    for option in field.options:
        if str(option).casefold() == wanted:
            return str(option)
    named = ", ".join(f"“{each}”" for each in field.options[:OPTIONS_NAMED])
    more = f" and {len(field.options) - OPTIONS_NAMED} more" if len(field.options) > OPTIONS_NAMED else ""
    raise Unfit(f"“{text[:WORDS_SHOWN]}” is none of the options: {named}{more}.")


def _within(field: CustomField, value: Any, words: str, comparatives: tuple[str, str]) -> None:
    low, high = field.limits.get("min"), field.limits.get("max")
    if low is not None and value < low:
        raise Unfit(words.format(_shown(value), comparatives[0], _shown(low)))
    if high is not None and value > high:
        raise Unfit(words.format(_shown(value), comparatives[1], _shown(high)))


def _shown(value: Any) -> str:
    if isinstance(value, int | float):
        return f"{value:,}"
    return value.isoformat() if isinstance(value, datetime.date) else str(value)
