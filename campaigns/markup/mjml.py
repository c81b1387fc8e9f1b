"""MJML to HTML. Our own scan comes first: mrml names no lines, and takes elements that are closed by others."""

import re
from typing import Final

import mrml

from campaigns.markup.lifted import Lifted
from delivery.liquid import TemplateProblem

DEPTH_LIMIT: Final = 100  # mrml recurses: far deeper would end the process
_VOID: Final = "area base br col embed hr img input link meta source track wbr"
VOID: Final = frozenset(_VOID.split())  # HTML's elements that are never closed
HEAD: Final = "mjml mj-head mj-attributes mj-all mj-class mj-breakpoint mj-font mj-preview mj-style mj-title"
BODY: Final = (
    "mj-body mj-accordion mj-accordion-element mj-accordion-text mj-accordion-title mj-button mj-carousel "
    "mj-carousel-image mj-column mj-divider mj-group mj-hero mj-image mj-navbar mj-navbar-link mj-raw "
    "mj-section mj-social mj-social-element mj-spacer mj-table mj-text mj-wrapper"
)
KNOWN: Final = frozenset(f"{HEAD} {BODY}".split())
# Where a merge tag may stand among elements, as <mj-raw>; and where it may not stand at all.
_CONTAINERS: Final = "mj-head mj-body mj-wrapper mj-section mj-group mj-column mj-hero"
_CLOSED: Final = "mjml mj-attributes mj-social mj-navbar mj-accordion mj-accordion-element mj-carousel"
CONTAINERS: Final = frozenset(_CONTAINERS.split())
CLOSED: Final = frozenset(_CLOSED.split())

_TOKEN: Final = re.compile(
    r"<!--.*?(?P<ended>-->|\Z)"
    r"|<(?P<close>/?)(?P<name>[A-Za-z][^\s/>\"'<]*+)"
    r"(?P<rest>(?:[^>\"'<]++|\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z))*+)(?P<end>>?)"
    r"|<",
    re.DOTALL,
)
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
_UNQUOTED: Final = re.compile(r"([\w:-]+)\s*=\s*(?![\"'\s])")
_POSITION: Final = re.compile(r"position (\d+):")


def to_html(lifted: Lifted) -> str:
    """The HTML, with the placeholders in their places.

    Raises: TemplateProblem: with the line that is wrong.
    """
    source = _Scan(lifted).run()
    options = mrml.ParserOptions(include_loader=mrml.noop_loader())
    # Without fonts of its own: naming Roboto in a stack would let recipients load it from Google.
    output = mrml.RenderOptions(fonts={})
    try:
        return mrml.to_html(source, parser_options=options, render_options=output).content
    except OSError as error:
        found = _POSITION.search(str(error))
        words = str(error).replace(" in root template", "").partition(" at position")[0]
        line = None
        if found:
            line = lifted.line(source.encode()[: int(found[1])].decode(errors="ignore"), len(source))
        raise problem(f"This MJML cannot be read: {words}.", line) from error


def problem(words: str, line: int | None = None) -> TemplateProblem:
    return TemplateProblem(f"Line {line}: {words}" if line else words, field="content", line=line)


class _Scan:
    """One pass over the elements: they are known, closed in order, and merge tags stand where they may."""

    def __init__(self, lifted: Lifted) -> None:
        self.lifted = lifted
        self.text = lifted.text.removeprefix("\ufeff").strip()
        self.skipped = lifted.text[: lifted.text.find(self.text)].count("\n") if self.text else 0
        self.open: list[tuple[str, int]] = []
        self.seen: set[str] = set()

    def run(self) -> str:
        parts, at = [], 0
        for token in _TOKEN.finditer(self.text):
            parts += [self._between(at, token.start()), self._spaced(token)]
            at = token.end()
            if token["name"]:
                self._element(token)
            elif not token[0].startswith("<!--"):
                raise self._problem("“<” begins no tag here; write &lt; for the sign itself.", token.start())
            elif not token["ended"]:
                raise self._problem("this comment is never closed; end it with -->.", token.start())
        parts.append(self._between(at, len(self.text)))
        if self.open:
            name, start = self.open[-1]
            raise self._problem(f"<{name}> is never closed; add </{name}>.", start)
        if not {"mjml", "mj-body"} <= self.seen:
            raise problem(
                "This is no MJML: it begins with <mjml> and holds an <mj-body>. To write HTML, choose HTML."
            )
        return "".join(parts)

    def _between(self, start: int, end: int) -> str:
        text, inside = self.text[start:end], self.open[-1][0] if self.open else ""
        tag = self.lifted.placeholder.search(text)
        if not tag or inside not in CONTAINERS | CLOSED | {""}:
            return text
        if inside in CONTAINERS:
            return self.lifted.placeholder.sub(r"<mj-raw>\g<0></mj-raw>", text)
        where = f"directly inside <{inside}>" if inside else "outside <mjml>"
        raise self._problem(f"a merge tag cannot stand {where}; move it into <mj-body>.", start + tag.start())

    def _spaced(self, token: re.Match[str]) -> str:
        """The tag, with its merge tags among the attributes as attributes of their own."""
        if not token["name"] or not self.lifted.placeholder.search(token["rest"]):
            return token[0]
        pieces = _QUOTED.split(token["rest"])
        if token["name"].lower().startswith("mj") and any(map(self.lifted.placeholder.search, pieces)):
            words = f"a merge tag cannot stand among the attributes of <{token['name']}>; write it inside a value."
            raise self._problem(words, token.start())
        bare = [self.lifted.placeholder.sub(r" \g<0> ", piece) for piece in pieces]
        quoted = [*_QUOTED.findall(token["rest"]), ""]
        rest = "".join(text for pair in zip(bare, quoted, strict=True) for text in pair)
        return f"<{token['close']}{token['name']}{rest}{token['end']}"

    def _element(self, token: re.Match[str]) -> None:
        name, at = token["name"].lower(), token.start()
        self._check(token, name, at)
        if token["close"]:
            self._close(name, at)
        elif name not in VOID and not token["rest"].endswith("/"):
            self.open.append((name, at))
            if len(self.open) > DEPTH_LIMIT:
                raise self._problem(f"elements are nested more than {DEPTH_LIMIT} deep.", at)
        self.seen.add(name)

    def _check(self, token: re.Match[str], name: str, at: int) -> None:
        if name == "mj-include":
            raise self._problem("<mj-include> is not possible here; paste what it would include.", at)
        if name.startswith("mj-") and name not in KNOWN:
            raise self._problem(f"there is no element <{name}>.", at)
        if not token["end"]:
            raise self._problem(
                f"the tag <{name} is not closed with “>”, or a quotation mark is missing.", at
            )
        bare = _UNQUOTED.search(_QUOTED.sub('""', token["rest"]))
        if bare:
            raise self._problem(f"put the value of “{bare[1]}” in quotation marks.", at)
        if not self.open and not token["close"] and name != "mjml":
            raise self._problem("MJML begins with <mjml>. To write HTML, choose HTML.", at)

    def _close(self, name: str, at: int) -> None:
        if not self.open:
            raise self._problem(f"</{name}> closes nothing.", at)
        opened, start = self.open.pop()
        if opened != name:
            line = self._line(start)
            raise self._problem(
                f"</{name}> stands where </{opened}> should: <{opened}> of line {line} is open.", at
            )

    def _line(self, at: int) -> int:
        return self.lifted.line(self.text, at) + self.skipped

    def _problem(self, words: str, at: int) -> TemplateProblem:
        return problem(words, self._line(at))
