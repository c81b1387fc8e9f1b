"""Keyed hashes of erased addresses: they tell whether an address comes back, and not what it was.

HMAC-SHA-256 under a key derived from SECRET_KEY for this alone (HKDF, RFC 5869). Without the key nobody can try
addresses against them. Marks made under an older SECRET_KEY are known as long as it stands in SECRET_KEY_FALLBACKS.
"""

import hashlib
import hmac
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

PURPOSE: Final = b"volley.erased-address"  # keeps the key apart from all else that SECRET_KEY signs


def today(workspace_id: int, email: str) -> str:
    """The mark of the address under the key of today."""
    return _mark(_derived(settings.SECRET_KEY), workspace_id, email)


def every(workspace_id: int, email: str) -> list[str]:
    """Its marks under the key of today and each older one."""
    return [_mark(_derived(secret), workspace_id, email) for secret in _secrets()]


def key_name(secret: str | None = None) -> str:
    """What a key is called beside its marks; it tells nothing of the key."""
    key = _derived(settings.SECRET_KEY if secret is None else secret)
    return hmac.digest(key, b"name", hashlib.sha256).hex()[:8]


def known_keys() -> list[str]:
    return [key_name(secret) for secret in _secrets()]


def _secrets() -> list[str]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _mark(key: bytes, workspace_id: int, email: str) -> str:
    """The workspace is hashed in, so that nobody learns whom two of them erased."""
    return hmac.digest(key, f"{workspace_id}:{email.strip().lower()}".encode(), hashlib.sha256).hex()


@cache
def _derived(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE).derive(secret.encode())
