"""DKIM keys in DNS (RFC 6376 §3.6): whether what stands there is the key that signs, and what is wrong with it."""

import base64
import binascii
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from delivery.domains.dmarc import tags_of
from delivery.domains.findings import Finding
from delivery.domains.lookup import Dns
from delivery.models import DkimKey

FEWEST_BITS = 1024  # RFC 8301 §3.2: fewer verify nowhere


def check_own(key: DkimKey, dns: Dns, *, is_first: bool = False) -> Finding:
    """A key of ours against its record. Only the one that signs is required; is_first: before any has."""
    signs = (is_first or key.signs_from is not None) and key.retired_at is None
    label = "DKIM" if signs else "DKIM, old key" if key.retired_at else "DKIM, next key"
    finding = Finding("dkim", label, key.host, wanted=key.record, required=signs)
    answer = dns.ask(key.host, "TXT")
    finding.found, finding.ttl = answer.records, answer.ttl
    if answer.failed:
        finding.mark("unknown", f"The key could not be read: {answer.failed}.")
    elif not answer.records:
        finding.mark("wrong", f"There is no record at {key.host} yet. Set this one.")
    elif len(answer.records) > 1:
        finding.mark("wrong", _several(answer.records, key.public_key))
    else:
        state, sentence = _compare(answer.records[0], key.public_key)
        finding.mark(state, sentence)  # type: ignore[arg-type]
        if state == "good" and tags_of(answer.records[0]).get("t", "").lower().startswith("y"):
            finding.mark("warning", "t=y says that the domain only tests DKIM; receivers may then ignore it.")
    return finding


def check_other(selector: str, domain: str, dns: Dns) -> Finding:
    """Somebody else's key, an ESP's or a server's: a key must stand there; which one, only they know."""
    host = f"{selector}._domainkey.{domain}"
    finding = Finding("dkim_other", "DKIM of your provider", host, required=True)
    answer = dns.ask(host, "TXT")
    finding.found, finding.ttl = answer.records, answer.ttl
    tags = tags_of(answer.records[0]) if len(answer.records) == 1 else {}
    if answer.failed:
        finding.mark("unknown", f"The key could not be read: {answer.failed}.")
    elif not answer.records:
        finding.mark("wrong", "There is no key. Set the record that your provider shows for this selector.")
    elif len(answer.records) > 1:
        finding.mark("wrong", f"{len(answer.records)} records stand here, and one must.")
    elif "p" not in tags:
        finding.mark("wrong", "The record holds no key (p=).")
    elif not tags["p"]:
        finding.mark("wrong", "The key is revoked: its p= is empty (RFC 6376 §3.6.1).")
    else:
        finding.mark("good", "A key stands here.")
        _judge_bits(finding, tags)
    return finding


def _judge_bits(finding: Finding, tags: dict[str, str]) -> None:
    if tags.get("k", "rsa").lower() != "rsa":
        return
    bits = _bits(_plain(tags["p"]))
    if bits is None:
        finding.mark("wrong", "The key cannot be read; it may be cut off. Copy it again.")
    elif bits < FEWEST_BITS:
        finding.mark(
            "wrong", f"The key has {bits} bits; receivers take {FEWEST_BITS} or more (RFC 8301 §3.2)."
        )


def _bits(key: str) -> int | None:
    try:
        public = load_der_public_key(base64.b64decode(key, validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return public.key_size if isinstance(public, RSAPublicKey) else None


def _several(records: list[str], wanted: str) -> str:
    """Whether one record's pieces were set as records of their own, in whatever order they came."""
    pieces = [_plain(re.sub(r"^.*p=", "", record)) for record in records]
    if all(piece and piece in wanted for piece in pieces) and sum(map(len, pieces)) >= len(wanted):
        return (
            f"The key was split into {len(records)} records. It must be one TXT record; "
            "split within it, in strings of at most 255 characters, where your provider asks for it."
        )
    return f"{len(records)} records stand here, and one must; receivers take any of them. Delete the others."


def _compare(record: str, wanted: str) -> tuple[str, str]:
    tags = tags_of(record)
    found = tags.get("p")
    if tags.get("v", "DKIM1") != "DKIM1":
        return "wrong", f"It begins with v={tags['v']}; only v=DKIM1 counts (RFC 6376 §3.6.1)."
    if found is None:
        if wanted in _plain(record):
            return "wrong", "The key stands there without “p=” before it. Copy the value again, all of it."
        return "wrong", "The record holds no key (p=). Replace it by this one."
    if not found:
        return "wrong", "The key is revoked: its p= is empty (RFC 6376 §3.6.1). Set this value again."
    if tags.get("k", "rsa").lower() != "rsa":
        return "wrong", f"It says k={tags['k']}; the key is k=rsa."
    if "h" in tags and "sha256" not in tags["h"].lower().split(":"):
        return "wrong", f"h={tags['h']} forbids SHA-256, which the signatures use. Leave h= out."
    if "".join(found.split()) == wanted:
        return "good", "The key is in place."
    plain = _plain(found)
    if plain == wanted:
        return (
            "wrong",
            "The key is split wrongly: quotes or backslashes became a part of it. Set it without them.",
        )
    if wanted.startswith(plain):
        return "wrong", (
            f"The key is cut off after {len(plain)} of {len(wanted)} characters. Where your DNS takes 255 in "
            "one piece, give it in several quoted pieces within one record."
        )
    if plain in wanted or wanted in plain:
        return "wrong", "Only a part of the key stands there, or more than the key. Copy the value again."
    return "wrong", "Another key stands there than the one that signs. Replace it by this one."


def _plain(text: str) -> str:
    return re.sub(r"[\s\"'\\]", "", text)
