"""Secrets of sending accounts at rest: Fernet over JSON, keys derived from SECRET_KEY and its fallbacks."""

import base64
import json
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from accounts.errors import Refusal

PURPOSE = b"volley.sending-account.secrets"  # keeps the key apart from all else that SECRET_KEY signs


class SecretsLost(Refusal):
    """They were encrypted under a SECRET_KEY that is no longer known."""

    code = "secrets_lost"


def seal(values: dict[str, str]) -> bytes:
    """Encrypt under the key of today; nothing gives b""."""
    return _fernet().encrypt(json.dumps(values).encode()) if values else b""


def unseal(sealed: bytes | memoryview) -> dict[str, str]:
    """What was sealed, under the key of today or an older one.

    Raises: SecretsLost: none of the keys fits.
    """
    if not sealed:
        return {}
    try:
        return json.loads(_fernet().decrypt(bytes(sealed)))
    except InvalidToken as error:
        raise SecretsLost(
            "The account's password or key was encrypted under another SECRET_KEY. "
            "Type it again, or put the old key into SECRET_KEY_FALLBACKS."
        ) from error


def _fernet() -> MultiFernet:
    return _from((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@cache
def _from(secret_keys: tuple[str, ...]) -> MultiFernet:
    return MultiFernet([Fernet(_derived(secret_key)) for secret_key in secret_keys])


def _derived(secret_key: str) -> bytes:
    derive = HKDF(algorithm=SHA256(), length=32, salt=None, info=PURPOSE)
    return base64.urlsafe_b64encode(derive.derive(secret_key.encode()))
