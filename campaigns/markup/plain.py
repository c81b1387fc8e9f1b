"""The text part: what the HTML says, read from its start to its end so that merge tags keep their order."""

import re
from collections.abc import Mapping
from html import unescape
from html.parser import HTMLParser
from typing import Final

from django.utils.translation import gettext

from campaigns.markup.lifted import Lifted
from campaigns.markup.mjml import VOID

_BLOCK_NAMES: Final = (
    "address article aside blockquote center dd div dl dt footer form h1 h2 h3 h4 h5 h6 header hr li main nav "
    "ol p pre section table tr ul"
)
_SPACED_NAMES: Final = "blockquote div h1 h2 h3 h4 h5 h6 ol p table ul"
_BLOCKS: Final = frozenset(_BLOCK_NAMES.split())
_SPACED: Final = frozenset(_SPACED_NAMES.split())
_SILENT: Final = frozenset({"head", "script", "style", "title", "textarea"})

_BRACE: Final = "{{ '{' }}"
_FOR_HTML: Final = re.compile(r"\|\s*(?:newline_to_br|escape|escape_once)\b\s*")  # filters that make markup


NO_LINKS: Final[Mapping[str, str]] = {}


def to_text(html: str, lifted: Lifted, links: Mapping[str, str] = NO_LINKS) -> str:
    """html and what is returned: with placeholders. Links become "text (address)".

    links: {placeholder: the address that it stands for}.
    """
    reader = _Reader(lifted, links)
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def with_tags(text: str, lifted: Lifted) -> str:
    """The text with its merge tags, as a text part takes them."""
    text = lifted.brace.sub(lambda _: _BRACE, text)
    return lifted.placeholder.sub(lambda found: _for_text(lifted.tags[int(found[1])]), text)


def _for_text(tag: str) -> str:
    if tag.startswith("{"):
        return _FOR_HTML.sub("", tag)
    return unescape(tag).replace("{", _BRACE)  # raw text


def footer(*, unsubscribe: bool, address: bool) -> str:
    """What the law asks for and the text lacks, below the line that mail programs take for a signature's."""
    lines = ["{{ workspace.postal_address }}"] * address
    if unsubscribe:
        lines.append(gettext("Unsubscribe") + ": {{ unsubscribe_url }}")
        lines.append(gettext("Preferences") + ": {{ preferences_url }}")
    return "\n-- \n" * bool(lines) + "".join(f"{line}\n" for line in lines)


class _Reader(HTMLParser):
    def __init__(self, lifted: Lifted, addresses: Mapping[str, str]) -> None:
        super().__init__(convert_charrefs=True)
        self.lifted, self.addresses = lifted, addresses
        self.parts: list[str] = []
        self.hidden: list[str] = []  # open elements from the one that hides what it holds
        self.ended = 2  # line ends since the last word
        self.links: list[tuple[str, int]] = []  # address, and how many parts there were before it

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if self.hidden or tag in _SILENT or _hides(given.get("style", "")):
            if tag not in VOID:
                self.hidden.append(tag)
            return
        self._break(tag)
        if tag == "li":
            self._say("- ")
        elif tag == "a":
            self.links.append((given.get("href", ""), len(self.parts)))
        elif tag == "img" and given.get("alt"):
            self._say(f"{given['alt']} ")

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:  # the parser reads <br/> as both
            return
        if self.hidden:
            if tag in self.hidden:
                while self.hidden.pop() != tag:
                    pass
        elif tag == "a" and self.links:
            self._end_link(*self.links.pop())
        else:
            self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self._say(re.sub(r"[\s\u200c\u034f]+", " ", data))

    def handle_comment(self, data: str) -> None:
        if not self.hidden and self.lifted.placeholder.fullmatch(data):
            self._say(data)

    def _say(self, text: str) -> None:
        self.parts.append(text)
        if text.strip():
            self.ended = 0

    def _break(self, tag: str) -> None:
        """End the line, and leave one free around what stands apart."""
        if tag == "br":
            self.parts.append("\n")
        elif tag in ("td", "th"):
            self.parts.append(" ")
        elif tag in _BLOCKS:
            wanted = 2 if tag in _SPACED else 1
            self.parts.append("\n" * (wanted - self.ended))
            self.ended = max(self.ended, wanted)

    def _end_link(self, address: str, start: int) -> None:
        words = " ".join("".join(self.parts[start:]).split())
        shown = address.removeprefix("mailto:").removeprefix("tel:")
        if not words:
            self._say(f"{shown} ")
        elif self.addresses.get(shown) == words:
            self.parts[start:] = [shown]
        elif shown and shown != words and not shown.startswith("#"):
            self.parts[start:] = [f"{''.join(self.parts[start:]).rstrip()} ({shown})"]


def _hides(style: str) -> bool:
    return "display:none" in style.replace(" ", "").lower()
