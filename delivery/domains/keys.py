"""Key pairs for DKIM: RSA of 2048 bits (RFC 8301 §3.2), the most that every receiver and one TXT record takes."""

import base64
import secrets

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from django.utils import timezone

from delivery.models import DkimKey, SendingDomain
from delivery.secrets import SecretsLost, seal, unseal

BITS = 2048
EXPONENT = 65537


def make(domain: SendingDomain) -> DkimKey:
    """A new pair under a selector of its own, not saved; takes a tenth of a second."""
    private = generate_private_key(EXPONENT, BITS)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return DkimKey(
        domain=domain,
        selector=_selector(),
        private_key=seal({"pem": pem.decode()}),
        public_key=base64.b64encode(public).decode(),
    )


def private_key(key: DkimKey) -> RSAPrivateKey:
    """Raises: SecretsLost: it was sealed under a SECRET_KEY that is no longer known."""
    try:
        pem = unseal(key.private_key)["pem"]
    except SecretsLost as error:
        raise SecretsLost(
            f"The DKIM key of {key.domain.name} was encrypted under another SECRET_KEY. Make a new key on the domain’s "
            "page, or put the old SECRET_KEY into SECRET_KEY_FALLBACKS."
        ) from error
    private = load_pem_private_key(pem.encode(), password=None)
    assert isinstance(private, RSAPrivateKey)
    return private


def _selector() -> str:
    """Its month, so that an old one is known by its name, and what no other workspace or installation has."""
    return f"volley{timezone.now():%Y%m}-{secrets.token_hex(3)}"
