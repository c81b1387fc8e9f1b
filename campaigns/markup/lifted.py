"""Liquid lifted out of markup: a `<` in a condition is no tag, and no parser may move or escape a merge tag."""

import re
from typing import Final

_LIQUID: Final = re.compile(
    # What is never closed ends at the end, so that the search stays linear.
    r"\{%-?\s*(raw|comment)\s*-?%\}.*?(?:\{%-?\s*end\1\s*-?%\}|\Z)|\{\{.*?(?:\}\}|\Z)|\{%.*?(?:%\}|\Z)",
    re.DOTALL,
)
_WORD: Final = re.compile(r"\{%-?\s*(\w+)")
_OPENS: Final = frozenset({"if", "unless", "for", "case", "capture", "tablerow", "ifchanged"})


class Lifted:
    """text: the source with a placeholder for every merge tag, legal in text, attributes, URLs and CSS.

    Placeholders are lower-case letters and digits, since parsers lower the names of attributes.
    """

    def __init__(self, source: str) -> None:
        self.tags: list[str] = []
        self._mark = "vlq"
        while self._mark in source.lower():
            self._mark += "q"
        self.placeholder = re.compile(self._mark + r"(\d+)z")
        # As a comment, as text, or as the name of an attribute that a parser completed with a value.
        self._any = re.compile(rf'<!--{self._mark}(\d+)z-->|{self._mark}(\d+)z(?:="")?')
        self.text = _LIQUID.sub(self._lift, source)

    def _lift(self, tag: re.Match[str]) -> str:
        self.tags.append(tag[0])
        return f"{self._mark}{len(self.tags) - 1}z"

    def restore(self, text: str) -> str:
        return self._any.sub(lambda found: self.tags[int(found[1] or found[2])], text)

    def line(self, text: str, index: int) -> int:
        """The line in the source of a place in the text, or in one made of it without new line ends."""
        return self.restore(text[:index]).count("\n") + 1

    def always_prints(self, text: str, name: str) -> bool:
        """Whether the text prints the variable wherever its conditions and loops lead."""
        depth = 0
        for found in self.placeholder.finditer(text):
            tag = self.tags[int(found[1])]
            word = _WORD.match(tag)
            if word is None and depth == 0 and re.match(rf"\{{\{{-?\s*{re.escape(name)}\b", tag):
                return True
            if word and word[1] in _OPENS:
                depth += 1
            elif word and word[1].removeprefix("end") in _OPENS:
                depth -= 1
        return False
