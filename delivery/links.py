"""Signed links in mail: who of which mailing, with a signature, in few letters; they never expire."""

import base64
import hashlib
import hmac
from functools import cache

from django.conf import settings

SIGNATURE_BYTES = 16
_PURPOSE = b"volley.unsubscribe"


@cache
def _key(secret: str) -> "hmac.HMAC":
    return hmac.new(hashlib.sha256(_PURPOSE + secret.encode()).digest(), digestmod=hashlib.sha256)


def _signature(secret: str, body: bytes) -> bytes:
    signer = _key(secret).copy()
    signer.update(body)
    return signer.digest()[:SIGNATURE_BYTES]


def unsubscribe_token(mailing_id: int, number: int) -> str:
    """Name one recipient of one mailing, unforgeably; some 5 µs."""
    body = mailing_id.to_bytes(6, "big") + number.to_bytes(4, "big")
    return base64.urlsafe_b64encode(body + _signature(settings.SECRET_KEY, body)).decode().rstrip("=")


def read_token(token: str) -> tuple[int, int] | None:
    """The (mailing id, number) of a token signed with the key of today or an older one; else None."""
    try:
        octets = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    body, signature = octets[:10], octets[10:]
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        if hmac.compare_digest(signature, _signature(secret, body)):
            return int.from_bytes(body[:6], "big"), int.from_bytes(body[6:], "big")
    return None


def unsubscribe_url(token: str) -> str:
    return f"{settings.PUBLIC_URL}/u/{token}/"


def one_click_url(token: str) -> str:
    return f"{settings.PUBLIC_URL}/u/{token}/one-click/"
