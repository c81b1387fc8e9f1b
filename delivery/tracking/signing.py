"""The two parts of a tracked address: whose message it stands in, and where it leads. Both are signed.

`/c/<person>/<link>` and `/o/<person>.gif`. All that a redirect needs stands in the address, so that it works with
database and Redis away; and only what we have written into a message leads anywhere.
"""

import base64
import hmac
from typing import Final, NamedTuple

from django.conf import settings

from delivery.links import digest, word

SIGNATURE_BYTES: Final = 12
MARK_BYTES: Final = 16
_PERSON, _LINK, _HERE = b"volley.tracked", b"volley.link", b"volley.here"


class Person(NamedTuple):
    """number: in the ledger; 0: whoever got the mailing, as nobody is to be told apart."""

    mailing_id: int
    number: int


class Target(NamedTuple):
    """url: "" where nobody who reads the message can come. label: which of the mailing's links it was made from, from
    1, where each recipient has another; 0: the address names itself."""

    url: str
    label: int = 0


def person_token(mailing_id: int, number: int) -> str:
    """30 characters; some 2 µs."""
    body = mailing_id.to_bytes(6, "big") + number.to_bytes(4, "big")
    return word(body + digest(settings.SECRET_KEY, body, _PERSON)[:SIGNATURE_BYTES])


def read_person(token: str) -> Person | None:
    octets = _octets(token)
    body, signature = octets[:10], octets[10:]
    if not _is_ours(body, signature, _PERSON):
        return None
    return Person(int.from_bytes(body[:6], "big"), int.from_bytes(body[6:], "big"))


def link_part(mailing_id: int, target: Target) -> str:
    """Good in that mailing's messages only."""
    body = target.label.to_bytes(2, "big") + target.url.encode()
    return word(
        digest(settings.SECRET_KEY, mailing_id.to_bytes(6, "big") + body, _LINK)[:SIGNATURE_BYTES] + body
    )


def read_link(mailing_id: int, part: str) -> Target | None:
    octets = _octets(part)
    signature, body = octets[:SIGNATURE_BYTES], octets[SIGNATURE_BYTES:]
    if not _is_ours(mailing_id.to_bytes(6, "big") + body, signature, _LINK):
        return None
    return Target(body[2:].decode(), int.from_bytes(body[:2], "big"))


def mark() -> str:
    """What this installation answers at /.well-known/volley, and no other does."""
    return digest(settings.SECRET_KEY, b"", _HERE)[:MARK_BYTES].hex()


def _is_ours(body: bytes, signature: bytes, purpose: bytes) -> bool:
    """Signed with the key of today or an older one."""
    return len(signature) == SIGNATURE_BYTES and any(
        hmac.compare_digest(signature, digest(secret, body, purpose)[:SIGNATURE_BYTES])
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    )


def _octets(text: str) -> bytes:
    """b"" for what is no word of ours; two spellings of the same octets are not both right."""
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return b""
    return octets if word(octets) == text else b""
