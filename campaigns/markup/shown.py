"""Whether every recipient would see the content's own unsubscribe link and postal address, whoever they are.

Read once, when content is compiled, from the page with its placeholders: merge tags print text only, so elements are
where they are for everybody, and what a condition takes away is known. Whatever is in doubt does not count: Volley's
own footer comes then. Not known here: what style sheets say of colors, and what only Outlook reads in comments.
"""

import re
from typing import Final, NamedTuple

from selectolax.lexbor import LexborHTMLParser, LexborNode

from campaigns.markup.css import Rules, are_alike, covers, hides, says
from campaigns.markup.lifted import Lifted
from campaigns.markup.mjml import problem
from delivery.liquid import TemplateProblem

_LINK: Final = re.compile(r"\{\{-?\s*unsubscribe_url\s*(?:\|\s*(?:escape|strip)\s*)*-?\}\}")
_ADDRESS: Final = re.compile(
    r"\{\{-?\s*workspace\.postal_address\s*(?:\|\s*(?:escape|strip|newline_to_br)\s*)*-?\}\}"
)
_GAP: Final = "\ufffc"  # stands for whatever a merge tag prints: part of a word, for all we know
_AT_LINK, _AT_ADDRESS = "\ufdd1", "\ufdd2"
_BLANKS: Final = re.compile(r"\s*")
_LINK_ALONE: Final = re.compile(rf"(?<![^\s(<]){_AT_LINK}(?![^\s)>.,;])")
_FLOW_NAMES: Final = (
    "a abbr address article aside b big blockquote body br caption center cite code dd del div dl dt em figcaption "
    "figure font footer h1 h2 h3 h4 h5 h6 head header html i ins li main mark nav ol p pre q s section small span strong "
    "sub sup table tbody td tfoot th thead time tr tt u ul wbr"
)
_FLOW: Final = frozenset(_FLOW_NAMES.split())  # elements that show what they hold
# Attributes that a merge tag may fill without a change to how an element looks.
_CALM: Final = frozenset({"href", "aria-label", "title", "lang", "dir", "target", "rel", "role", "name"})
# Attributes that say what a style could.
_SAYS: Final = {"bgcolor": "background", "color": "color", "text": "color"}
_HIDING: Final = frozenset({"hidden", "popover", "inert"})


class Shown(NamedTuple):
    """What the content itself shows to everybody."""

    unsubscribe: bool
    address: bool


class _Look(NamedTuple):
    """How an element's words appear. is_plain: nothing around them hides them, or could."""

    is_plain: bool = True
    is_legible: bool = True
    color: str = "#000000"
    background: str = "#ffffff"
    leaves: bool = False  # inside the unsubscribe link


class _Place(NamedTuple):
    """Where a merge tag stands: between the elements in a node (slot ""), or in a slot of it such as an attribute."""

    node: int
    slot: str
    look: _Look

    @property
    def is_open(self) -> bool:
        """Whether it stands where elements may begin and end without a change to what is seen."""
        return not self.slot and self.look.is_plain


def in_page(html: str, lifted: Lifted, postal_address: str) -> Shown:
    """html: a whole page as a parser wrote it, with placeholders.

    Raises: TemplateProblem: a condition tears elements apart, and what follows could be lost in them.
    """
    page = _Page(html, lifted)
    page.read()
    if page.is_torn or page.is_covered:
        return Shown(unsubscribe=False, address=False)
    return Shown(page.has_link, page.has_address or _holds(" ".join(page.words), postal_address))


class _Page:
    """One walk over the elements in their order, with the blocks of merge tags that are open."""

    def __init__(self, html: str, lifted: Lifted) -> None:
        self.lifted = lifted
        self.expected = lifted.in_order(html)
        root = LexborHTMLParser(html).root
        assert root is not None
        assert root.parent is not None
        self.document = root.parent
        self.rules = Rules(html, self.document, lifted.placeholder)
        self.looks: dict[int, _Look] = {self.document.mem_id: _Look()}
        self.numbers: list[int] = []  # of the merge tags so far
        self.blocks: list[tuple[str, _Place]] = []  # that are open: word, and where it began
        self.words: list[str] = []  # that everybody sees
        self.has_link = self.has_address = self.is_torn = False
        self.is_covered = self.rules.cover
        self.is_partial = False  # inside `<!--[if !mso]><!-->`: some programs leave it out

    def read(self) -> None:
        for node in self.document.traverse(include_text=True):
            if node.is_comment_node:
                self._comment(node, node.comment_content or "")
            elif node.is_text_node:
                self._text(node, node.text_content or "")
            elif node.is_element_node:
                self._element(node)
        if self.numbers != self.expected or self.blocks:
            raise torn()

    def _element(self, node: LexborNode) -> None:
        if any(word == "capture" for word, _place in self.blocks):
            raise problem("{% capture %} keeps words and no elements; write those where they are shown.")
        around = self._around(node)
        for name, value in node.attributes.items():
            self._tags(name, _Place(node.mem_id, "names", around))
            self._tags(value or "", _Place(node.mem_id, f"value of {name}", around))
        self.looks[node.mem_id] = self._look(node, around)

    def _look(self, node: LexborNode, around: _Look) -> _Look:
        style = node.attributes.get("style") or ""
        self.is_covered |= covers(style)
        given = [f"{_SAYS[name]}:{value}" for name, value in node.attributes.items() if name in _SAYS]
        said = says(";".join([*given, style]))
        return _Look(
            is_plain=around.is_plain and self._is_plain(node, style),
            is_legible=around.is_legible if said.is_legible is None else said.is_legible,
            color=said.color or ("#0000ee" if node.tag == "a" else around.color),
            background=said.background or around.background,
            leaves=around.leaves or self._leaves(node),
        )

    def _is_plain(self, node: LexborNode, style: str) -> bool:
        filled = self.lifted.placeholder
        return (
            node.tag in _FLOW
            and _HIDING.isdisjoint(node.attributes)
            and not any(
                filled.search(name) or (name not in _CALM and filled.search(value or ""))
                for name, value in node.attributes.items()
            )
            and not hides(style)
            and not self.rules.hide(node)
        )

    def _leaves(self, node: LexborNode) -> bool:
        href = (node.attributes.get("href") or "").strip() if node.tag == "a" else ""
        return self._is_sure and self._is_tag(href, _LINK)

    def _text(self, node: LexborNode, text: str) -> None:
        look = self._around(node)
        self._tags(text, _Place(node.mem_id, "text", look))
        if self._is_sure and _is_seen(look):
            self.words.append(text)
            self.has_link |= look.leaves and any(map(str.isalnum, text))

    def _comment(self, node: LexborNode, comment: str) -> None:
        look = self._around(node)
        if self.lifted.placeholder.fullmatch(comment) and node.parent:
            self._tags(comment, _Place(node.parent.mem_id, "", look))
            self.has_address |= self._is_sure and _is_seen(look) and self._is_tag(comment, _ADDRESS)
            return
        self._tags(comment, _Place(node.mem_id, "comment", look))
        begins, ends = comment.lstrip().startswith("[if"), "endif]" in comment
        if begins != ends:
            self.is_partial = begins

    def _tags(self, text: str, place: _Place) -> None:
        """Open and close blocks."""
        for number in self.lifted.in_order(text):
            self.numbers.append(number)
            word, ends = self.lifted.opens(number), self.lifted.ends(number)
            if word:
                self.blocks.append((word, place))
            elif ends or self.lifted.goes_on(number):
                self._meet(place)
            if ends:
                self.blocks.pop()

    def _meet(self, place: _Place) -> None:
        """A block may begin in one element and go on in another only where neither it nor what is around it hides."""
        began = self.blocks[-1][1] if self.blocks else None
        if began and began[:2] == place[:2]:
            return
        if not (began and began.is_open and place.is_open):
            raise torn()
        self.is_torn = True

    @property
    def _is_sure(self) -> bool:
        return not (self.blocks or self.is_partial)

    def _is_tag(self, placeholder: str, tag: re.Pattern[str]) -> bool:
        found = self.lifted.placeholder.fullmatch(placeholder)
        return bool(found and tag.fullmatch(self.lifted.tags[int(found[1])]))

    def _around(self, node: LexborNode) -> _Look:
        return self.looks[node.parent.mem_id] if node.parent else _Look()


def _is_seen(look: _Look) -> bool:
    return look.is_plain and look.is_legible and not are_alike(look.color, look.background)


def torn() -> TemplateProblem:
    return problem(
        "A merge tag begins in one place and ends in another, such as inside a tag and after it. "
        "Keep {% if %} and {% endif %} on the same level."
    )


def in_text(text: str, lifted: Lifted, postal_address: str) -> Shown:
    """text: the text part, with placeholders."""
    sure = _for_everybody(text, lifted)
    address = _AT_ADDRESS in sure or _holds(sure, postal_address)
    return Shown(bool(_LINK_ALONE.search(sure)), address)


def _for_everybody(text: str, lifted: Lifted) -> str:
    """What stands outside of blocks, with marks for the link and the address."""
    parts, at, depth = [""], 0, 0
    for found in lifted.placeholder.finditer(text):
        number = int(found[1])
        tag, outer = lifted.tags[number], depth
        depth += bool(lifted.opens(number)) - lifted.ends(number)
        if outer == 0:
            parts.append(text[at : found.start()].rstrip() if tag[2:3] == "-" else text[at : found.start()])
        if outer == depth == 0:
            parts.append(
                _AT_LINK if _LINK.fullmatch(tag) else _AT_ADDRESS if _ADDRESS.fullmatch(tag) else _GAP
            )
        else:
            parts.append(_GAP)
        at = found.end()
        if tag[-3:-2] == "-":  # it takes the blanks beside it away
            blanks = _BLANKS.match(text, at)
            at = blanks.end() if blanks else at
    return "".join([*parts, text[at:]])


def _holds(text: str, address: str) -> bool:
    words = _words(address)
    return bool(words) and f" {words} " in f" {_words(text)} "


def _words(text: str) -> str:
    return " ".join(text.replace(",", " ").split())
