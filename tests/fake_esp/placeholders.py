"""Each provider's placeholders, filled in as that provider does, its escaping included.

Every function takes a template and one recipient's values, and gives the text; `missing` collects the names of those
that had no value.
"""

import functools
import html
import re
from collections.abc import Callable, Mapping
from typing import Any

CURLY = re.compile(
    r"\\(?P<literal>\{\{)|\{\{\{\s*(?P<raw>[\w.$-]+)\s*\}\}\}|\{\{\s*(?P<name>[\w.$-]+)\s*\}\}|(?P<strange>\{\{)"
)
MACRO = re.compile(r"\{\{\s*(opening|closing)_(single|double|triple)_curly\(\)\s*\}\}")
MAILGUN = re.compile(r"%recipient\.([^%\s]+)%")
MAILJET = re.compile(
    r"(?P<open>\{\{|\[\[)var:(?P<name>\w+)(?::(?P<default>\"[^\"]*\"|[^}\]]*))?(?:\}\}|\]\])"
)
MANDRILL = re.compile(r"\*\|(?:(?P<how>HTML|UPPER|LOWER|TITLE):)?(?P<name>[\w-]+)\|\*", re.IGNORECASE)


class BadTemplate(ValueError):  # noqa: N818
    """The provider cannot read the template."""


def curly(template: str, values: Mapping[str, Any], missing: list[str], *, escapes: bool) -> str:
    """`{{x}}`, escaped where `escapes`, and `{{{x}}}` as it is: Handlebars, Mustachio, SparkPost, SES.

    Raises: BadTemplate: two braces that begin nothing of the kind.
    """

    def fill(found: re.Match) -> str:
        if found["literal"]:
            return "{{"
        if found["strange"]:
            raise BadTemplate(template[found.start() : found.start() + 40])
        name = found["raw"] or found["name"]
        value = _look_up(values, name, missing)
        return value if found["raw"] or not escapes else html.escape(value)

    return CURLY.sub(fill, template)


def sparkpost(template: str, values: Mapping[str, Any], missing: list[str], *, escapes: bool) -> str:
    """As `curly`, with its macros for literal braces, which stand for themselves after all else is filled in."""
    sizes, kept = {"single": 1, "double": 2, "triple": 3}, []

    def keep(found: re.Match) -> str:
        kept.append(("{" if found[1] == "opening" else "}") * sizes[found[2]])
        return f"\0{len(kept) - 1}\0"

    filled = curly(MACRO.sub(keep, template), values, missing, escapes=escapes)
    return re.sub("\0(\\d+)\0", lambda found: kept[int(found[1])], filled) if kept else filled


def mailgun(template: str, values: Mapping[str, Any], missing: list[str]) -> str:
    """`%recipient.x%`, never escaped; what has no value stays as it is."""

    def fill(found: re.Match) -> str:
        if found[1] not in values:
            missing.append(found[1])
            return found[0]
        return str(values[found[1]])

    return MAILGUN.sub(fill, template)


def sendgrid(template: str, values: Mapping[str, str | None], missing: list[str]) -> str:
    """Whatever the keys are, wherever they stand, as it is."""
    if not values:
        return template
    longest_first = sorted(values, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest_first)), lambda found: values[found[0]] or "", template)


def mailjet(template: str, values: Mapping[str, Any], missing: list[str], *, language: bool) -> str:
    """`[[var:x]]` always, `{{var:x}}` with the template language; a default may follow."""

    def fill(found: re.Match) -> str:
        if found["open"] == "{{" and not language:
            return found[0]
        if found["name"] in values:
            return str(values[found["name"]])
        if found["default"] is None:
            missing.append(found["name"])
        return (found["default"] or "").strip('"')

    if language and re.search(r"\{\{(?!var:)|\{%", template):
        raise BadTemplate("The template language knows no such expression.")
    return MAILJET.sub(fill, template)


def mandrill(template: str, values: Mapping[str, Any], missing: list[str]) -> str:
    """`*|X|*` whatever its case; what has no value stays as it is."""
    by_name = {name.upper(): value for name, value in values.items()}

    def fill(found: re.Match) -> str:
        name = found["name"].upper()
        if name not in by_name:
            missing.append(found["name"])
            return found[0]
        return _shaped(str(by_name[name]), (found["how"] or "").upper())

    return MANDRILL.sub(fill, template)


def unfilled(
    names: Callable[[str], frozenset[str]], templates: tuple[str, ...], every: list[Mapping[str, Any]]
) -> list[str]:
    """The placeholders of the templates for which one of the recipients has no value: once a call, not a message."""
    wanted = frozenset().union(*(names(template) for template in templates if template))
    gone: set[str] = set()
    for values in every:
        if not values.keys() >= wanted:
            gone |= wanted - values.keys()
    return sorted(gone)


@functools.lru_cache(maxsize=256)
def curly_names(template: str) -> frozenset[str]:
    """Raises: BadTemplate."""
    template = MACRO.sub("", template)
    for found in CURLY.finditer(template):
        if found["strange"]:
            raise BadTemplate(template[found.start() : found.start() + 40])
    return frozenset(
        (found["raw"] or found["name"]).partition(".")[0]
        for found in CURLY.finditer(template)
        if found["raw"] or found["name"]
    )


@functools.lru_cache(maxsize=256)
def mailgun_names(template: str) -> frozenset[str]:
    return frozenset(MAILGUN.findall(template))


@functools.lru_cache(maxsize=256)
def mandrill_names(template: str) -> frozenset[str]:
    return frozenset(found["name"].lower() for found in MANDRILL.finditer(template))


def _look_up(values: Mapping[str, Any], name: str, missing: list[str]) -> str:
    value: Any = values
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            missing.append(name)
            return ""
        value = value[part]
    return "" if value is None else str(value)


def _shaped(value: str, how: str) -> str:
    shapes: dict[str, Callable[[str], str]] = {
        "HTML": html.escape,
        "UPPER": str.upper,
        "LOWER": str.lower,
        "TITLE": str.title,
    }
    return shapes.get(how, str)(value)
