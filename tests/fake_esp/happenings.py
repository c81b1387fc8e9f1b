"""What may happen to a message, in one vocabulary, and the keys with which its provider tells us of it."""

import base64
import datetime
import functools
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from tests.fake_esp.messages import Message


class What(StrEnum):
    """BLOCKED: the receiving server refuses by its policy. REJECTED: the provider itself does not send."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    SOFT_BOUNCED = "soft_bounced"
    BLOCKED = "blocked"
    COMPLAINED = "complained"
    OPENED = "opened"
    CLICKED = "clicked"
    UNSUBSCRIBED = "unsubscribed"
    REJECTED = "rejected"


# What the receiving server says: basic code, enhanced code, words.
SAID: Mapping[What, tuple[int, str, str]] = {
    What.DELIVERED: (250, "2.0.0", "OK, queued as 4Z1"),
    What.DEFERRED: (421, "4.7.0", "Try again later"),
    What.BOUNCED: (550, "5.1.1", "The email account that you tried to reach does not exist"),
    What.SOFT_BOUNCED: (452, "4.2.2", "The recipient's mailbox is full"),
    What.BLOCKED: (550, "5.7.1", "Message rejected due to the sender's reputation"),
}


class Event(NamedTuple):
    """One thing that happened. The same event posted twice keeps its id; is_machine: an open by a proxy."""

    what: What
    message: Message
    at: datetime.datetime
    id: str
    url: str = "https://acme.example/spring?x=1&y=2"
    agent: str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    ip: str = "198.51.100.7"
    is_machine: bool = False

    @property
    def code(self) -> int:
        return SAID.get(self.what, (0, "", ""))[0]

    @property
    def status(self) -> str:
        return SAID.get(self.what, (0, "", ""))[1]

    @property
    def words(self) -> str:
        return SAID.get(self.what, (0, "", ""))[2]

    @property
    def said(self) -> str:
        """The whole line, "550 5.1.1 …"."""
        return f"{self.code} {self.status} {self.words}"

    @property
    def iso(self) -> str:
        """In UTC, with milliseconds and a Z."""
        return self.at.astimezone(datetime.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(what: What | str, message: Message, at: datetime.datetime | None = None, **more: Any) -> Event:
    """A new event, now or at a time."""
    return Event(What(what), message, at or datetime.datetime.now(datetime.UTC), uuid.uuid4().hex, **more)


class Post(NamedTuple):
    """One call of a webhook."""

    body: bytes
    headers: dict[str, str]

    def as_django(self) -> dict[str, Any]:
        """The keyword arguments of Django's test client: `client.post(url, **post.as_django())`."""
        given = {name: value for name, value in self.headers.items() if name != "Content-Type"}
        return {"data": self.body, "content_type": self.headers["Content-Type"], "headers": given}


class Key(NamedTuple):
    """What signs, and what the receiver must know: `known`, by the names that anymail's views take."""

    secret: str
    known: dict[str, Any]
    private: Any = None
    certificate: bytes = b""  # PEM, of SNS


def basic_key() -> Key:
    secret = f"volley:{secrets.token_hex(8)}"
    return Key(secret, {"basic_auth": [secret]})


def basic_auth(key: Key) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(key.secret.encode()).decode()}


def shared_key(name: str, secret: str = "") -> Key:
    secret = secret or secrets.token_hex(16)
    return Key(secret, {name: secret})


def hmac_hex(key: Key, data: bytes, digest: Any = hashlib.sha256) -> str:
    return hmac.new(key.secret.encode(), data, digest).hexdigest()


@functools.cache
def _elliptic() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def _rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def _public(private: Any) -> str:
    """DER in base64, as providers show it: a PEM without its frame."""
    der = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(der).decode()


def elliptic_key(name: str) -> Key:
    return Key("", {name: _public(_elliptic())}, _elliptic())


def rsa_key(name: str) -> Key:
    return Key("", {name: _public(_rsa())}, _rsa())


def certified_key() -> Key:
    """An RSA key with a certificate that it signed itself, and basic auth."""
    basic = basic_key()
    return Key(basic.secret, basic.known, _rsa(), _certificate())


@functools.cache
def _certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(_rsa().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .sign(_rsa(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def signed_elliptic(key: Key, data: bytes) -> str:
    return base64.b64encode(key.private.sign(data, ec.ECDSA(hashes.SHA256()))).decode()


def signed_rsa(key: Key, data: bytes, digest: Any = None) -> str:
    return base64.b64encode(key.private.sign(data, padding.PKCS1v15(), digest or hashes.SHA1())).decode()
