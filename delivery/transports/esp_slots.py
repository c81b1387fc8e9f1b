"""A mailing's body in an ESP's own template language: static text once, a placeholder where each has its own.

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
BRACES: Final = re.compile(r"\\*\{\{+|[\\{]+\Z|\A\}+")


@dataclass(frozen=True)
class Syntax:
    """placeholder: with the name in place of {}; unsafe: literal text that is not left to the ESP."""

    placeholder: str
    unsafe: re.Pattern[str]
    is_key_whole: bool = False  # the merge data has the placeholder itself for a key, not the name


SYNTAXES: Final = {
    "amazon_ses": Syntax("{{{%s}}}", BRACES),  # Handlebars; three braces: not escaped a second time
    "mailgun": Syntax("%%recipient.%s%%", re.compile(r"%(?=[A-Za-z_])")),
    "sendgrid": Syntax("-%s-", NOTHING, is_key_whole=True),  # any text may be one
    "sparkpost": Syntax("{{{%s}}}", BRACES),
    "unisender_go": Syntax("{{%s}}", BRACES),
}


@dataclass
class Form:
    """The skeleton as an ESP's template; values gives one letter's data for it."""

    syntax: Syntax
    marker: str
    subject: str = ""
    text: str = ""
    html: str = ""
    _literals: dict[str, str] = field(default_factory=dict)  # {key: text}

    def values(self, letter: Letter) -> dict[str, str]:
        own = {self._key(place): value for place, value in enumerate(letter.slots)}
        return {**self._literals, **own}

    def add(self, pieces: Sequence[str | int]) -> str:
        return "".join(
            self._literal(piece) if isinstance(piece, str) else self._placeholder(piece) for piece in pieces
        )

    def _literal(self, text: str) -> str:
        return self.syntax.unsafe.sub(self._put_aside, text)

    def _put_aside(self, found: re.Match[str]) -> str:
        known = list(self._literals.values())
        at = known.index(found[0]) if found[0] in known else len(known)
        self._literals[self._key(f"l{at}")] = found[0]
        return self._placeholder(f"l{at}")

    def _key(self, place: int | str) -> str:
        return self._placeholder(place) if self.syntax.is_key_whole else f"{self.marker}{place}"

    def _placeholder(self, place: int | str) -> str:
        return self.syntax.placeholder % f"{self.marker}{place}"


def form_of(provider: str, skeleton: Skeleton) -> Form:
    """The same for every call of a mailing."""
    digest = hmac.digest(
        settings.SECRET_KEY.encode(), b"volley.slots%d" % skeleton.mailing_id, hashlib.sha256
    )
    form = Form(SYNTAXES[provider], f"v{digest.hex()[:8]}_")
    form.subject, form.text, form.html = map(form.add, (skeleton.subject, skeleton.text, skeleton.html))
    return form


def texts_of(provider: str, skeleton: Skeleton, letter: Letter) -> tuple[str, str, str]:
    """The finished subject, HTML and text of one recipient."""
    subject, html, text = (
        "".join(piece if isinstance(piece, str) else letter.slots[piece] for piece in pieces)
        for pieces in (skeleton.subject, skeleton.html, skeleton.text)
    )
    if provider == "brevo" and not html:  # it takes no message without HTML
        html = f"<pre>{escape(text)}</pre>"
    return subject, html, text


def size_of(*texts: str) -> int:
    """Octets of them in a JSON body."""
    return len(json.dumps(texts))
