"""Signed links in mail: who of which mailing, with a signature, in few letters; they never expire."""

import base64
import binascii
import hashlib
import hmac
from functools import cache
from typing import Any, NamedTuple

from django.conf import settings

SIGNATURE_BYTES = 16
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_UNSUBSCRIBE = b"volley.unsubscribe"
_CONFIRM = b"volley.confirm"
_MAIL = b"volley.mail"
# 96 bits, as HMACs are cut in many protocols (RFC 2404): a local part has room for 64 letters.
MAIL_SIGNATURE_BYTES = 12


@cache
def _begun(secret: str, purpose: bytes) -> tuple[Any, Any]:
    """HMAC's two hashes with the key taken in (RFC 2104 §4): going on from copies takes a quarter of the time."""
    key = hashlib.sha256(purpose + secret.encode()).digest().ljust(hashlib.sha256().block_size, b"\0")
    inner, outer = (hashlib.sha256(bytes(octet ^ pad for octet in key)) for pad in (0x36, 0x5C))
    return inner, outer


class MailTokens(NamedTuple):
    """Two names of one recipient in addresses of mail; in hexadecimal, since case may be lost on the way.

    bounce: in the return path, which every server reads. unsubscribe: where a mail to leave goes.
    """

    bounce: str
    unsubscribe: str


class Tokens(NamedTuple):
    """Two names of one recipient of one mailing, unforgeable, and neither to be had from the other.

    message: in the Message-ID, which travels on in replies, bounces and archives, and so must not unsubscribe.
    """

    unsubscribe: str
    message: str


def digest(secret: str, body: bytes, purpose: bytes) -> bytes:
    """HMAC-SHA256 with a key of its own for each purpose."""
    inner, outer = _begun(secret, purpose)
    inner, outer = inner.copy(), outer.copy()
    inner.update(body)
    outer.update(inner.digest())
    return outer.digest()


def _signatures(secret: str, body: bytes, purpose: bytes = _UNSUBSCRIBE) -> tuple[bytes, bytes]:
    """The halves of one digest, for links and for the Message-ID."""
    both = digest(secret, body, purpose)
    return both[:SIGNATURE_BYTES], both[SIGNATURE_BYTES:]


def tokens(mailing_id: int, number: int) -> Tokens:
    """Some 2 µs: one digest for both."""
    body = _body(mailing_id, number)
    link, message = _signatures(settings.SECRET_KEY, body)
    return Tokens(word(body + link), word(body + message))


def _body(mailing_id: int, number: int) -> bytes:
    return mailing_id.to_bytes(6, "big") + number.to_bytes(4, "big")


def word(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).translate(_URL_SAFE).decode().rstrip("=")


def unsubscribe_token(mailing_id: int, number: int) -> str:
    return tokens(mailing_id, number).unsubscribe


def read_token(token: str) -> tuple[int, int] | None:
    """The (mailing id, number) of a link's token signed with the key of today or an older one; else None."""
    return _read(token, half=0)


def read_message_token(token: str) -> tuple[int, int] | None:
    """The same of a Message-ID's left part."""
    return _read(token, half=1)


def confirm_token(mailing_id: int, number: int) -> str:
    """What alone confirms: it is in no header, and neither of the other two is turned into it."""
    body = _body(mailing_id, number)
    return word(body + _signatures(settings.SECRET_KEY, body, _CONFIRM)[0])


def read_confirm_token(token: str) -> tuple[int, int] | None:
    return _read(token, half=0, purpose=_CONFIRM)


def mail_tokens(mailing_id: int, number: int) -> MailTokens:
    body = _body(mailing_id, number)
    bounce, leave = _signatures(settings.SECRET_KEY, body, _MAIL)
    return MailTokens(
        (body + bounce[:MAIL_SIGNATURE_BYTES]).hex(), (body + leave[:MAIL_SIGNATURE_BYTES]).hex()
    )


def read_bounce_token(token: str) -> tuple[int, int] | None:
    return _read_mail(token, half=0)


def read_leave_token(token: str) -> tuple[int, int] | None:
    return _read_mail(token, half=1)


def _read_mail(token: str, *, half: int) -> tuple[int, int] | None:
    try:
        return _named(bytes.fromhex(token), half=half, purpose=_MAIL, size=MAIL_SIGNATURE_BYTES)
    except ValueError:
        return None


def _read(token: str, *, half: int, purpose: bytes = _UNSUBSCRIBE) -> tuple[int, int] | None:
    try:
        octets = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    return _named(octets, half=half, purpose=purpose, size=SIGNATURE_BYTES)


def _named(octets: bytes, *, half: int, purpose: bytes, size: int) -> tuple[int, int] | None:
    body, signature = octets[:10], octets[10:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(signature, _signatures(secret, body, purpose)[half][:size]):
            return int.from_bytes(body[:6], "big"), int.from_bytes(body[6:], "big")
    return None


def unsubscribe_url(token: str, base: str = "") -> str:
    """base: begins the address; "": PUBLIC_URL."""
    return f"{base or settings.PUBLIC_URL}/u/{token}/"


def preferences_url(unsubscribe_url: str) -> str:
    """The preference centre of the same link: whoever may leave may also choose."""
    base, _, rest = unsubscribe_url.rpartition("/u/")
    return f"{base}/p/{rest}" if base else "#preferences"


def address_url(token: str, base: str = "") -> str:
    return f"{base or settings.PUBLIC_URL}/address/{token}/"


def confirm_url(token: str, base: str = "") -> str:
    return f"{base or settings.PUBLIC_URL}/confirm/{token}/"


def one_click_url(unsubscribe_url: str) -> str:
    return f"{unsubscribe_url}one-click/"
