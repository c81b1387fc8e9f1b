"""A mailing's text in an ESP's own template language: what all have once, a placeholder where each has its own.

A placeholder's name cannot be guessed, so that nothing in a contact's data or in the content is taken for one.
Literal text that could mean something to the ESP becomes a slot itself, whose value is the same for everybody.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Final

from django.conf import settings

from delivery.transports.base import Letter, Skeleton

NOTHING: Final = re.compile(r"(?!)")
# Braces that open a tag, a backslash that escapes one, and what would join a tag's own braces from outside.
BRACES: Final = re.compile(r"[\\{]*\{\{|[\\{]+\Z|\A\}+")
# Mailgun's own, whole, and what would become one between the percent signs of ours.
_JOINED: Final = r"(?:[^%\s]+%|(?:recipient[^%\s]*|[\w.]+)\Z)"
PERCENTS: Final = re.compile(rf"%[A-Za-z_][^%\s]*%?{_JOINED}*|\A{_JOINED}+")


@dataclass(frozen=True)
class Syntax:
    """placeholder: with the name in place of %s; unsafe: literal text that is not left to the ESP.

    is_everywhere: it looks for placeholders in every message, in one that goes alone, too.
    is_key_whole: the merge data has the placeholder itself for a key, not the name.
    """

    placeholder: str
    unsafe: re.Pattern[str]
    is_everywhere: bool = True
    is_key_whole: bool = False


SYNTAXES: Final = {
    # Handlebars; three braces: nothing is escaped a second time.
    "amazon_ses": Syntax("{{{%s}}}", BRACES, is_everywhere=False),
    "mailgun": Syntax("%%recipient.%s%%", PERCENTS),
    "sendgrid": Syntax("-%s-", NOTHING, is_everywhere=False, is_key_whole=True),  # any text may be one
    "sparkpost": Syntax("{{{%s}}}", BRACES),
    "unisender_go": Syntax("{{%s}}", BRACES),
}
# Those that take finished messages and look for placeholders in them all the same.
LITERALS: Final = {
    "brevo": Syntax("{{params.%s}}", re.compile(r"\{\{+|\{[%#]")),
    "mailersend": Syntax("{{ %s }}", re.compile(r"\{\{+|\{[%#]")),
    "mailjet": Syntax("[[var:%s]]", re.compile(r"\[\[+")),
}


@dataclass
class Form:
    """The skeleton as an ESP's template; values gives one letter's data for it. literals: {key: text}, of everybody."""

    syntax: Syntax
    marker: str
    subject: str = ""
    text: str = ""
    html: str = ""
    literals: dict[str, str] = field(default_factory=dict)

    def values(self, letter: Letter) -> dict[str, str]:
        own = {self._key(place): value for place, value in enumerate(letter.slots)}
        return {**self.literals, **own}

    def add(self, pieces: Sequence[str | int]) -> str:
        return "".join(
            self._literal(piece) if isinstance(piece, str) else self._placeholder(piece) for piece in pieces
        )

    def _literal(self, text: str) -> str:
        return self.syntax.unsafe.sub(self._put_aside, text)

    def _put_aside(self, found: re.Match[str]) -> str:
        known = list(self.literals.values())
        at = known.index(found[0]) if found[0] in known else len(known)
        self.literals[self._key(f"l{at}")] = found[0]
        return self._placeholder(f"l{at}")

    def _key(self, place: int | str) -> str:
        return self._placeholder(place) if self.syntax.is_key_whole else f"{self.marker}{place}"

    def _placeholder(self, place: int | str) -> str:
        return self.syntax.placeholder % f"{self.marker}{place}"


def form_of(provider: str, skeleton: Skeleton) -> Form:
    """The same for every call of a mailing."""
    form = Form(SYNTAXES[provider], _marker(skeleton))
    form.subject, form.text, form.html = map(form.add, (skeleton.subject, skeleton.text, skeleton.html))
    return form


def _marker(skeleton: Skeleton) -> str:
    digest = hmac.digest(
        settings.SECRET_KEY.encode(), b"volley.slots%d" % skeleton.mailing_id, hashlib.sha256
    )
    return f"v{digest.hex()[:8]}_"


def texts_of(provider: str, skeleton: Skeleton, letter: Letter) -> tuple[str, str, str, dict[str, str]]:
    """The finished subject, HTML and text of one recipient, and the data for what stands aside in them."""
    subject, html, text = (
        "".join(piece if isinstance(piece, str) else letter.slots[piece] for piece in pieces)
        for pieces in (skeleton.subject, skeleton.html, skeleton.text)
    )
    if provider == "brevo" and not html.strip():  # it takes no message without HTML
        html = f"<pre>{escape(text)}</pre>"
    if provider not in LITERALS:
        return subject, html, text, {}
    form = Form(LITERALS[provider], _marker(skeleton))
    if provider != "mailjet":  # it leaves subjects alone
        subject = form.add([subject])
    return subject, form.add([html]), form.add([text]), form.literals


def size_of(*texts: str) -> int:
    """Octets of them in a JSON body."""
    return len(json.dumps(texts))
