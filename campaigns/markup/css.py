"""Styles read only so far as to say what could hide an element: in doubt, they do."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from selectolax.lexbor import LexborNode, SelectolaxError

RULE_LIMIT: Final = 200  # selectors that hide something; each is tried on each element
DEPTH_LIMIT: Final = 8  # of rules within rules
# Style sheets from here bring letters, and hide nothing.
_FONT_HOSTS: Final = frozenset({"fonts.googleapis.com", "fonts.bunny.net", "use.typekit.net"})

_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_STYLE: Final = re.compile(r"<style\b[^>]*>(.*?)(?:</style|\Z)", re.DOTALL | re.IGNORECASE)
_LINKED: Final = re.compile(r"<link\b[^>]*>", re.IGNORECASE)
_URL: Final = re.compile(r"https?://[^\s\"')>]+", re.IGNORECASE)
_IMPORT: Final = re.compile(r"@import[^;]*", re.IGNORECASE)
_INNERMOST: Final = re.compile(r"(?<![^{}])([^{}]*+)\{([^{}]*+)\}")
_BESIDE: Final = re.compile(
    r"::?(?:before|after|first-line|first-letter|marker|selection|placeholder)\b", re.IGNORECASE
)
_PSEUDO: Final = re.compile(r"::?[\w-]+(?:\([^()]*\))?")
_SIBLING: Final = re.compile(r"[+~]")
_ATTRIBUTE: Final = re.compile(r"\[\s*([\w|-]+)[^\]]*\]")

_LENGTH: Final = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([a-z%]*)")
_COLOR: Final = re.compile(r"#[0-9a-f]{3,8}\b|rgb\([^)]*\)|\bwhite\b|\bblack\b")
_CALM: Final = frozenset({"none", "auto", "normal", "visible", "initial", "1", "currentcolor"})
_SIZES: Final = frozenset({"width", "height", "max-width", "max-height", "line-height"})
_SHIFTS: Final = re.compile(
    r"text-indent|left|right|top|bottom|inset|translate|margin.*|padding.*|word-spacing"
)
_TRICKS: Final = re.compile(
    r"all|transform|scale|zoom|clip|clip-path|filter|mask.*|animation.*|content|content-visibility|pointer-events|"
    r"mso-hide|-webkit-(?:text-fill-color|transform|filter|mask.*|clip-path|animation.*)"
)
_FAR: Final = 500  # pixels; further aside than a message is wide
LEAST: Final = 6  # pixels of a letter that can be read
ALIKE: Final = 24  # of 255 in each of red, green and blue


class Said(NamedTuple):
    """What a style says of letters; "" and None: nothing."""

    color: str
    background: str
    is_legible: bool | None


def says(style: str) -> Said:
    color = background = ""
    is_legible = None
    for name, value in _declarations(style):
        if name == "color":
            color = _color(value)
        elif name in ("background", "background-color"):
            background = _color(value) or background
        elif name in ("font", "font-size"):
            size = _LENGTH.search(value) if name == "font-size" else _font_size(value)
            is_legible = is_legible if size is None else not _is_tiny(size)
    return Said(color, background, is_legible)


def are_alike(color: str, background: str) -> bool:
    pairs = [(int(color[i : i + 2], 16), int(background[i : i + 2], 16)) for i in (1, 3, 5)]
    return all(abs(one - other) < ALIKE for one, other in pairs)


def hides(style: str) -> bool:
    """Whether declarations hide their element, or could."""
    return any(_hides(name, value) for name, value in _declarations(style))


def covers(style: str) -> bool:
    """Whether it may lay its element over others."""
    return any(name == "position" and value in ("absolute", "fixed") for name, value in _declarations(style))


def _hides(name: str, value: str) -> bool:
    if "\\" in name + value:  # an escape may spell anything
        return True
    if name == "display":
        return value == "none"
    if name == "visibility":
        return value in ("hidden", "collapse")
    if name == "opacity":
        number = _LENGTH.fullmatch(value)
        return not number or float(number[1]) < (50 if number[2] else 0.5)
    if name == "position":
        return value in ("absolute", "fixed")
    if name == "color":
        return value == "transparent" or "a(" in value or (len(value) in (5, 9) and value[0] == "#")
    if name in _SIZES:
        return "(" in value or any(map(_is_nothing, _LENGTH.finditer(value)))
    if _SHIFTS.fullmatch(name):
        return "(" in value or any(map(_is_far, _LENGTH.finditer(value)))
    return bool(_TRICKS.fullmatch(name)) and value not in _CALM


def _is_nothing(size: re.Match[str]) -> bool:
    return float(size[1]) <= (1 if size[2] in ("px", "pt") else 0.1)


def _is_far(size: re.Match[str]) -> bool:
    number = float(size[1]) * (1 if size[2] in ("px", "pt", "") else 10)
    return number <= -2 or (number >= _FAR and size[2] != "%")


def _is_tiny(size: re.Match[str]) -> bool:
    match size[2]:
        case "%":
            return float(size[1]) < 40
        case "em" | "rem" | "ex" | "ch":
            return float(size[1]) < 0.4
        case _:
            return float(size[1]) < LEAST


def _font_size(value: str) -> re.Match[str] | None:
    """Of the shorthand: the first length with a unit, or a bare nought."""
    return next((size for size in _LENGTH.finditer(value) if size[2] or float(size[1]) == 0), None)


def _color(value: str) -> str:
    """As #rrggbb, or "" where it is not known."""
    found = _COLOR.search(value)
    word = {"white": "#ffffff", "black": "#000000"}.get(found[0], found[0]) if found else ""
    if word.startswith("rgb"):
        numbers = [min(int(number), 255) for number in re.findall(r"\d+", word)][:3]
        return "#" + "".join(f"{number:02x}" for number in numbers) if len(numbers) == 3 else ""
    if len(word) in (4, 5):
        word = "#" + "".join(letter * 2 for letter in word[1:])
    return word[:7] if len(word) >= 7 else ""


def _declarations(style: str) -> Iterator[tuple[str, str]]:
    for declaration in _COMMENT.sub("", style).lower().split(";"):
        name, _, value = declaration.partition(":")
        yield name.strip(), value.partition("!")[0].strip()


class Rules:
    """What the style sheets of a page hide, on any screen and in any state."""

    def __init__(self, html: str, document: LexborNode, placeholder: re.Pattern[str]) -> None:
        self.cover = False  # whether anything may be laid over the rest
        self._hide_all = _is_fetched(html)
        self._hidden: set[int] = set()
        selectors: set[str] = set()
        css = _COMMENT.sub("", "\n".join(_STYLE.findall(html)))
        css += "}" * css.count("{")  # what is never closed ends at the end
        for _level in range(DEPTH_LIMIT):
            for rule in _INNERMOST.finditer(css):
                self.cover |= covers(rule[2])
                if placeholder.search(rule[0]) or hides(rule[2]) or says(rule[2]).is_legible is False:
                    selectors.update(_broadened(rule[1].rpartition(";")[2]))
            css = _INNERMOST.sub(";", css)
        if _INNERMOST.search(css) or len(selectors) > RULE_LIMIT or any(map(placeholder.search, selectors)):
            self._hide_all = True
            return
        for selector in selectors:
            self._find(selector, document)

    def _find(self, selector: str, document: LexborNode) -> None:
        try:
            self._hidden.update(node.mem_id for node in document.css(selector))
        except SelectolaxError:
            self._hide_all = True

    def hide(self, node: LexborNode) -> bool:
        return self._hide_all or node.mem_id in self._hidden


def _broadened(selectors: str) -> Iterator[str]:
    """The selectors of a rule, without what depends on states, on values that a merge tag fills, or on neighbours."""
    if selectors.strip().startswith("@"):
        return
    selectors = _BESIDE.sub("\0", selectors)
    while _PSEUDO.search(selectors):
        selectors = _PSEUDO.sub("", selectors)
    for selector in selectors.split(","):
        if "\0" not in selector:  # what stands before or after an element hides nothing of it
            yield _SIBLING.split(_ATTRIBUTE.sub(r"[\1]", selector))[-1].strip() or "*"


def _is_fetched(html: str) -> bool:
    """Whether a style sheet of elsewhere is used that could say anything."""
    used = [link[0] for link in _LINKED.finditer(html) if "stylesheet" in link[0].lower()]
    used += [rule[0] for rule in _IMPORT.finditer(html)]
    hosts = [{urlsplit(url).hostname for url in _URL.findall(each)} for each in used]
    return any(not each or each - _FONT_HOSTS for each in hosts)
