"""Liquid lifted out of markup: a `<` in a condition is no tag, and no parser may move or escape a merge tag."""

import re
from collections.abc import Iterator
from html import escape
from typing import Final

_LIQUID: Final = re.compile(
    # What is never closed ends at the end, so that the search stays linear.
    r"\{%-?\s*(?P<block>raw|comment)\s*-?%\}(?P<held>.*?)(?:\{%-?\s*end(?P=block)\s*-?%\}|\Z)"
    r"|\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)",
    re.DOTALL,
)
_WORD: Final = re.compile(r"\{%-?\s*(\w+)")
_OPENS: Final = frozenset({"if", "unless", "for", "case", "capture", "tablerow", "ifchanged"})
_BETWEEN: Final = frozenset({"else", "elsif", "when"})
# What is left of a comment within a comment, and the like: Liquid and we would not agree where it ends.
MISPLACED: Final = frozenset({"comment", "endcomment", "raw", "endraw", "doc", "enddoc"})


class Lifted:
    """text: the source with a placeholder for every merge tag, legal in text, attributes, URLs and CSS.

    Placeholders are lower-case letters and digits, since parsers lower the names of attributes.
    tags: what they stand for. A comment has become nothing, and raw text is HTML that shows it as it is written.
    """

    def __init__(self, source: str) -> None:
        self.tags: list[str] = []
        self.mark = "vlq"  # letters that the source holds nowhere
        while self.mark in source.lower():
            self.mark += "q"
        self.placeholder = re.compile(self.mark + r"(\d+)z")
        # As a comment, as text, or as the name of an attribute that a parser completed with a value.
        self._any = re.compile(rf'<!--{self.mark}(\d+)z-->|{self.mark}(\d+)z(?:="")?')
        # A brace that would make a merge tag with what follows: an entity was written so, or a parser left it over.
        self.brace = re.compile(rf"\{{(?=[{{%]|(?:<!--)?{self.mark}\d)")
        self.text = _LIQUID.sub(self._lift, source)

    def _lift(self, tag: re.Match[str]) -> str:
        match tag["block"]:
            case "comment":
                self.tags.append("\n" * tag[0].count("\n"))
            case "raw":
                self.tags.append(escape(tag["held"]).replace("{", "&#123;"))
            case _:
                self.tags.append(tag[0])
        return f"{self.mark}{len(self.tags) - 1}z"

    def add(self, tag: str) -> str:
        """A placeholder for a merge tag of Volley's own."""
        self.tags.append(tag)
        return f"{self.mark}{len(self.tags) - 1}z"

    def restore(self, text: str) -> str:
        """The HTML with its merge tags."""
        text = self.brace.sub("&#123;", text)
        return self._any.sub(lambda found: self.tags[int(found[1] or found[2])], text)

    def line(self, text: str, index: int) -> int:
        """The line in the source of a place in the text, or in one made of it without new line ends."""
        return self.restore(text[:index]).count("\n") + 1

    def in_order(self, text: str) -> list[int]:
        """The numbers of the merge tags that a text with placeholders holds."""
        return [int(number) for number in self.placeholder.findall(text)]

    def misplaced(self) -> int | None:
        """The number of the first tag that belongs to a comment or raw text and stands alone, or None."""
        return next((n for n in range(len(self.tags)) if self._word(n) in MISPLACED), None)

    def opens(self, number: int) -> str:
        """The word of a tag that begins a block, else ""."""
        word = self._word(number)
        return word if word in _OPENS else ""

    def goes_on(self, number: int) -> bool:
        return self._word(number) in _BETWEEN

    def ends(self, number: int) -> bool:
        word = self._word(number)
        return word.startswith("end") and word[3:] in _OPENS

    def _word(self, number: int) -> str:
        found = _WORD.match(self.tags[number])
        return found[1] if found else ""


def places(source: str) -> Iterator[int]:
    """Where each merge tag of a source begins, as they are lifted."""
    return (tag.start() for tag in _LIQUID.finditer(source))
