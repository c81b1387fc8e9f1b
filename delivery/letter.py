"""A stored message as a person reads it. Whatever stands in it, reading it does not fail."""

import binascii
import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message


@dataclass(frozen=True)
class Letter:
    """headers: decoded, in their order. unsubscribe_url: the first web link of List-Unsubscribe, or ""."""

    headers: list[tuple[str, str]]
    html: str
    text: str
    attachments: list[str]
    unsubscribe_url: str

    @property
    def from_(self) -> str:
        return self._header("from")

    @property
    def to(self) -> str:
        return self._header("to")

    def _header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")


def read(source: bytes) -> Letter:
    """Parse a message."""
    message = message_from_bytes(source, policy=policy.compat32)
    headers = [(name, decoded(str(value))) for name, value in message.items()]
    parts = [part for part in message.walk() if not part.is_multipart()]
    link = re.search(r"<(https?://[^>\s]+)>", str(message.get("List-Unsubscribe", "")))
    return Letter(
        headers,
        html=_first(parts, "text/html"),
        text=_first(parts, "text/plain"),
        attachments=[name for part in parts if (name := part.get_filename())],
        unsubscribe_url=link[1] if link else "",
    )


def header(source: bytes, name: str) -> str:
    """The first of that name, decoded; reads the headers only."""
    head = re.split(rb"\r?\n\r?\n", source, maxsplit=1)[0]
    return decoded(str(message_from_bytes(head, policy=policy.compat32).get(name, "")))


def decoded(value: str) -> str:
    """A header's value unfolded, its encoded words read where they can be."""
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", value)
    try:
        return str(make_header(decode_header(unfolded)))
    except (HeaderParseError, LookupError, ValueError, binascii.Error):
        return unfolded


def _first(parts: list[Message], kind: str) -> str:
    found = next(
        (part for part in parts if part.get_content_type() == kind and not part.get_filename()), None
    )
    if found is None:
        return ""
    octets = found.get_payload(decode=True)
    assert isinstance(octets, bytes)
    try:
        return octets.decode(found.get_content_charset("utf-8"), "replace")
    except LookupError:  # a charset that nobody knows
        return octets.decode("utf-8", "replace")
