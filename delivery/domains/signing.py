"""DKIM signatures (RFC 6376): rsa-sha256, relaxed/relaxed, made of a message's pieces as the mold gives them.

A third of a millisecond of processor time a message, nearly all of it RSA; dkimpy's own way takes some fifty times that.
"""

import base64
import re
from functools import lru_cache
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from delivery.domains import keys
from delivery.domains.naming import names_above
from delivery.models import DkimKey, SendingAccount, SendingDomain
from delivery.providers import PROVIDERS

# RFC 8058 §4 asks for both List-Unsubscribe headers; From stands twice, so that no second one can be added
# (RFC 6376 §8.15).
SIGNED = (
    b"from from reply-to to subject date message-id mime-version content-type content-transfer-encoding "
    b"list-unsubscribe list-unsubscribe-post list-id feedback-id"
).split()
LARGE = 256  # octets, from which on a piece's canonical form is worth remembering: the static ones come again
_PADDING, _HASH = PKCS1v15(), SHA256()
_BLANKS = re.compile(rb"[ \t]+")
_BLANKS_AT_END = re.compile(rb"[ \t]+(?=\r\n)")


class Signer:
    """Signs for one domain with one key. Immutable: for any number of threads."""

    def __init__(self, domain: str, selector: str, private_key: RSAPrivateKey) -> None:
        self._key = private_key
        self._start = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=%b;\r\n s=%b; h=" % (
            domain.encode(),
            selector.encode(),
        )

    def sign(self, pieces: list[bytes]) -> bytes:
        """The header to stand before the message. pieces: with CRLF line ends; a line ends where a piece does,
        or goes on in the next.
        """
        head, body = _split(pieces)
        found = _headers(head)
        names = [name for name in SIGNED if name in found]
        canonical = [
            name + b":" + found[name] + b"\r\n" for at, name in enumerate(names) if name not in names[:at]
        ]
        digest = base64.b64encode(sha256(_body(body)).digest())
        start = b"%b%b;\r\n bh=%b;\r\n b=" % (self._start, b":\r\n  ".join(_lines(names)), digest)
        canonical.append(b"dkim-signature:" + _value(start.partition(b":")[2]))
        signature = base64.b64encode(self._key.sign(b"".join(canonical), _PADDING, _HASH))
        return start + b"\r\n ".join(signature[at : at + 72] for at in range(0, len(signature), 72)) + b"\r\n"


def signer_for(account: SendingAccount, sender: str) -> Signer | None:
    """Who signs what leaves by this account from this address; None: nobody here.

    An ESP signs what it sends itself. A domain signs for those below it, which alignment allows (RFC 9989 §4.4.1).
    Raises: SecretsLost: the key was sealed under a SECRET_KEY that is no longer known.
    """
    if PROVIDERS[account.provider].is_esp:
        return None
    names = names_above(sender.rpartition("@")[2])
    known = SendingDomain.objects.filter(workspace_id=account.workspace_id, name__in=names)
    for domain in sorted(known, key=lambda each: len(each.name), reverse=True):
        if not domain.signs:  # the nearest one's word holds
            return None
        key = DkimKey.objects.filter(domain=domain, signs_from__isnull=False, retired_at=None).first()
        if key:
            return Signer(domain.name, key.selector, keys.private_key(key))
    return None


def _split(pieces: list[bytes]) -> tuple[bytes, list[bytes]]:
    """The headers, and the body behind the empty line."""
    head = b""
    for at, piece in enumerate(pieces):
        head += piece
        end = head.find(b"\r\n\r\n")
        if end >= 0:
            return head[: end + 2], [head[end + 4 :], *pieces[at + 1 :]]
    return head, []


def _headers(head: bytes) -> dict[bytes, bytes]:
    """{name in lower case: its relaxed value}; of several with one name the last, which is the first to be signed."""
    found = {}
    for line in head.replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ").split(b"\r\n"):
        name, _, value = line.partition(b":")
        found[name.strip().lower()] = _value(value)
    return found


def _value(value: bytes) -> bytes:
    """RFC 6376 §3.4.2, of a header's value, folded or not."""
    return b" ".join(value.split())


def _body(pieces: list[bytes]) -> bytes:
    """RFC 6376 §3.4.4. Pieces end lines as a rule, so that each can be done on its own."""
    if not all(piece.endswith(b"\n") for piece in pieces if piece):
        pieces = [b"".join(pieces)]
    body = b"".join(_relaxed_once(piece) if len(piece) >= LARGE else _relaxed(piece) for piece in pieces)
    if body.endswith(b"\r\n\r\n") or not body.endswith(b"\r\n"):
        body = body.rstrip(b"\r\n")
        body = body + b"\r\n" if body else b""
    return b"" if body == b"\r\n" else body


def _relaxed(piece: bytes) -> bytes:
    if b"  " in piece or b"\t" in piece or b" \r\n" in piece:
        return _BLANKS.sub(b" ", _BLANKS_AT_END.sub(b"", piece))
    return piece


_relaxed_once = lru_cache(maxsize=64)(_relaxed)


def _lines(names: list[bytes]) -> list[bytes]:
    """The names with colons between them, on lines of at most 70 octets."""
    lines = [names[0]]
    for name in names[1:]:
        if len(lines[-1]) + len(name) < 70:
            lines[-1] += b":" + name
        else:
            lines.append(name)
    return lines
