"""Bytes of a mail message, quickly: header words, addresses, quoted-printable pieces.

RFC 5322 (lines, headers), 2047 (encoded words), 2045 §6.7 (quoted-printable). All line ends are CRLF.
"""

import base64
import binascii
import re
from email.utils import formatdate
from functools import lru_cache

import idna

SOFT_BREAK = b"=\r\n"
# Octets of UTF-8 in one encoded word: 39 give 52 of base64, so that the first one fits a line of 76 behind
# "Subject: ", too (RFC 2047 §2).
WORD_OCTETS = 39
FOLD_AT = 76
_PLAIN_SLOT = re.compile(r"(?!\.)[ !-<>-~]{0,59}[!-<>-~]")  # ASCII without "=", no dot first, no blank last
_PLAIN_NAME = re.compile(r"(?=.{1,64}\Z)[A-Za-z0-9]+( [A-Za-z0-9]+)*")
_PLAIN_HEADER = re.compile(r"[ -~]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+")


def quoted_printable(text: str) -> bytes:
    """Encode text as lines of at most 76 octets; blanks at the end of a line are kept by encoding them.

    No line begins with a dot: it stands encoded on a line of its own, so that SMTP need not double it later.
    """
    octets = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    encoded = binascii.b2a_qp(octets, quotetabs=False, istext=True).replace(b"\n", b"\r\n")
    if encoded.startswith(b"."):
        encoded = b"=2E=\r\n" + encoded[1:]
    while b"\r\n." in encoded:
        encoded = encoded.replace(b"\r\n.", b"\r\n=2E=\r\n")
    return encoded


def slot(value: str) -> bytes:
    """Encode what stands in a slot: it begins and ends at the start of a line, so neighbours need not know it."""
    if _PLAIN_SLOT.fullmatch(value):
        return value.encode("ascii") + SOFT_BREAK
    return at_line_start(quoted_printable(value))


def at_line_start(encoded: bytes) -> bytes:
    """Close an encoded piece with a soft break unless it ends a line already."""
    return encoded if not encoded or encoded.endswith(b"\n") else encoded + SOFT_BREAK


@lru_cache(maxsize=4096)
def header_text(text: str) -> bytes:
    """An unstructured header's value, folded; line breaks in it become blanks, so none can add a header."""
    text = " ".join(text.split())
    if _PLAIN_HEADER.fullmatch(text) and "=?" not in text:
        return text.encode("ascii") if len(text) <= FOLD_AT - 12 else _fold(text)
    return _encoded_words(text)


def unfolded(head: bytes) -> dict[str, str]:
    """Header lines by name, each value on one line, encoded words as they are."""
    lines = head.decode("utf-8", "replace").replace("\r\n ", " ").split("\r\n")
    return {
        name: " ".join(value.split()) for name, _, value in (line.partition(":") for line in lines if line)
    }


def _fold(text: str) -> bytes:
    lines, line = [], ""
    for word in text.split(" "):
        if line and len(line) + len(word) + 1 > FOLD_AT - 12:
            lines.append(line)
            line = ""
        line = f"{line} {word}" if line else word
    lines.append(line)
    if any(len(line) > 900 for line in lines):  # a "word" over the limit of 998 octets
        return _encoded_words(text)
    return "\r\n ".join(lines).encode("ascii")


def _encoded_words(text: str) -> bytes:
    words, piece = [], b""
    for character in text:
        octets = character.encode("utf-8", "replace")
        if len(piece) + len(octets) > WORD_OCTETS:
            words.append(piece)
            piece = b""
        piece += octets
    words.append(piece)
    return b"\r\n ".join(b"=?utf-8?b?" + base64.b64encode(word) + b"?=" for word in words)


def address(email: str) -> str:
    """The address as it goes on the wire: the domain in ASCII (IDNA 2008), the local part as it is."""
    if email.isascii():
        return email
    local, _, domain = email.rpartition("@")
    try:
        return f"{local}@{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return email


def mailbox(name: str, email: str) -> bytes:
    """`Name <address>` for From, To and Reply-To."""
    phrase = name.encode("ascii") if _PLAIN_NAME.fullmatch(name) else phrase_of(name)
    octets = address(email).encode("utf-8")
    return phrase + b"\r\n <" + octets + b">" if phrase else octets


@lru_cache(maxsize=4096)
def phrase_of(name: str) -> bytes:
    """A display name, quoted or in encoded words where it has to be (RFC 5322 §3.2.5, 2047 §5)."""
    name = " ".join(name.split())
    if name.isascii() and len(name) <= FOLD_AT - 12 and _PLAIN_HEADER.fullmatch(name) and "=?" not in name:
        word = name if _ATOMS.fullmatch(name) or not name else '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
        return word.encode("ascii")
    return _encoded_words(name)


def date(timestamp: float) -> bytes:
    return formatdate(timestamp).encode("ascii")
