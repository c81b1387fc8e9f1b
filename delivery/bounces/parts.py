"""A message cut into its parts, whatever it is: bounded in depth, number and size, since anybody may send one.

The standard library's parser takes minutes for some hostile messages and recurses as deeply as they nest.
"""

import base64
import binascii
import quopri
import re
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser
from functools import cached_property
from typing import Final

MOST_BYTES: Final = 4_000_000  # of a message; what it is and whom it concerns stands at its beginning
MOST_HEADER_BYTES: Final = 200_000
MOST_PARTS: Final = 100
DEEPEST: Final = 6
_END_OF_HEADERS: Final = re.compile(rb"\r?\n[ \t]*\r?\n")
_CHARSETS: Final = re.compile(
    r"(utf|iso|windows|cp\d|koi|big5|gb|euc|shift|s?jis|ks_c|us-ascii|ascii|mac|latin)", re.ASCII
)
_HEADERS: Final = BytesHeaderParser()


class Part:
    """One part, or a whole message: headers, and the body undecoded."""

    def __init__(self, octets: bytes) -> None:
        octets = octets.lstrip(b"\r\n")
        end = _END_OF_HEADERS.search(octets, 0, MOST_HEADER_BYTES)
        head, self.body = (
            (octets[: end.start()], octets[end.end() :]) if end else (octets[:MOST_HEADER_BYTES], b"")
        )
        self.headers: Message = _HEADERS.parsebytes(head + b"\n\n")
        self.children: list[Part] = []

    @cached_property
    def type(self) -> str:
        return self.headers.get_content_type()

    def header(self, name: str) -> str:
        """A header in one line, its encoded words decoded; "" where there is none."""
        return _readable(str(self.headers.get(name, "")))

    def all(self, *names: str) -> list[str]:
        """Each value of these headers."""
        return [_readable(str(value)) for name in names for value in self.headers.get_all(name, [])]

    @cached_property
    def octets(self) -> bytes:
        """The body, its transfer encoding undone as far as it goes."""
        encoding = str(self.headers.get("Content-Transfer-Encoding", "")).strip().lower()
        if encoding == "quoted-printable":
            return quopri.decodestring(self.body)
        if encoding == "base64":
            letters = re.sub(rb"[^A-Za-z0-9+/]", b"", self.body)
            try:
                return base64.b64decode(letters[: len(letters) // 4 * 4])
            except binascii.Error:
                return self.body
        return self.body

    @cached_property
    def text(self) -> str:
        """The body as text with plain line ends; what the charset cannot read is replaced."""
        return (
            _decoded(self.octets, self.headers.get_content_charset() or "")
            .replace("\r\n", "\n")
            .replace("\r", "\n")
        )


def cut(source: bytes) -> tuple[Part, list[Part]]:
    """The message, and its leaves in order: of a plain message itself. A returned message within is one leaf."""
    message = Part(source[:MOST_BYTES])
    leaves: list[Part] = []
    _collect(message, leaves, 0)
    return message, leaves


def _collect(part: Part, leaves: list[Part], depth: int) -> None:
    boundary = part.headers.get_boundary() if part.type.startswith("multipart/") else None
    pieces = _between(part.body, boundary) if boundary and depth < DEEPEST else []
    if not pieces:
        if part.type.startswith("multipart/"):  # and no boundary in it: then it is a text
            part.type = "text/plain"
        leaves.append(part)
    for piece in pieces:
        if len(leaves) < MOST_PARTS:
            part.children.append(Part(b"\n" + piece if piece[:1] in b"\r\n" else piece))
            _collect(part.children[-1], leaves, depth + 1)


def _between(body: bytes, boundary: str) -> list[bytes]:
    """What stands between the boundary's lines; a closing one may be missing."""
    line = re.compile(
        rb"(?:^|\n)--" + re.escape(boundary.encode("utf-8", "replace")) + rb"(--)?[ \t]*\r?(?=\n|$)"
    )
    pieces: list[bytes] = []
    start: int | None = None
    for found in line.finditer(body):
        if start is not None:
            pieces.append(body[start : found.start()])
        start = None if found[1] else found.end()
        if start is None or len(pieces) > MOST_PARTS:
            return pieces
    return [*pieces, body[start:]] if start is not None else pieces


def _decoded(octets: bytes, charset: str) -> str:
    """Most that say otherwise are UTF-8 all the same; of ISO-2022 and UTF-16 the bytes are valid UTF-8, too."""
    try:
        if not charset.lower().startswith(("iso-2022", "utf-16", "utf-7", "hz")):
            return octets.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if _CHARSETS.match(charset.lower()):
        try:
            return octets.decode(charset, "replace")
        except (LookupError, ValueError):
            pass
    return octets.decode("latin-1")


def _readable(value: str) -> str:
    value = " ".join(value.split())[:2_000]
    if "=?" not in value:
        return value
    try:
        found = decode_header(value)
    except (ValueError, binascii.Error):
        return value
    return "".join(
        each if isinstance(each, str) else _decoded(each, charset or "") for each, charset in found
    )
