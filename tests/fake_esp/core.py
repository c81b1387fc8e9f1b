"""What all dialects share: a request, an answer, the account that is asked, and what a call took."""

import base64
import binascii
import email.header
import functools
import hashlib
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic_core import from_json

from tests.fake_esp.messages import Message

MEGABYTE = 1_000_000
# name@domain.tld in ASCII, with no space or separator in it.
ADDRESS = re.compile(r"[!-~]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
MAILBOX = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<name>[^<>"]*?))\s*<(?P<address>[^<>]*)>\s*')

ONE_OF_LIST = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^",])+')


class Answer(NamedTuple):
    """body: text or octets as they are, anything else as JSON."""

    status: int = 200
    body: Any = ""
    headers: Mapping[str, str] = {}


class Refused(Exception):  # noqa: N818
    """The call is refused as a whole, and nothing taken."""

    def __init__(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(str(body))
        self.answer = Answer(status, body, headers or {})


class Reply(NamedTuple):
    """to: the addresses of those for whom something was taken; render: gives the message of the one at an index, only
    when somebody wants to read it, so that taking a thousand is cheap.

    refused: {address: why}, of a call that was taken. unfilled: placeholders for which some recipient has no value.
    """

    answer: Answer
    to: Sequence[str] = ()
    render: Callable[[int], Message] | None = None
    refused: Mapping[str, str] = {}
    unfilled: Sequence[str] = ()


@dataclass
class Request:
    """path: after the dialect's own beginning, without the query; headers: by their names in lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @functools.cached_property
    def json(self) -> Any:
        """Raises: ValueError."""
        return from_json(self.body)  # of long texts seven times as fast as the standard library's

    @functools.cached_property
    def form(self) -> dict[str, list[str]]:
        """A form's fields, of either encoding."""
        kind = self.headers.get("content-type", "")
        fields: dict[str, list[str]] = {}
        for name, value in _multipart(self.body, kind) if "multipart" in kind else _urlencoded(self.body):
            fields.setdefault(name, []).append(value)
        return fields

    @property
    def asked(self) -> dict[str, str]:
        """The query's fields."""
        return dict(urllib.parse.parse_qsl(self.query))

    @property
    def basic(self) -> tuple[str, str]:
        """User and password."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return "", ""
        user, _, password = base64.b64decode(value).decode().partition(":")
        return user, password

    @property
    def bearer(self) -> str:
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value if scheme.lower() == "bearer" else ""


@dataclass
class Account:
    """key: any is right where None. domains: those verified to send from; all where None.

    refused: {address: why not}. is_enterprise: on MailerSend's plan that allows headers; looks: at one of its bulk jobs
    before it is done. streams: Postmark's. lists: its suppression lists by name, of entries as it writes them; a key
    that may_read none is good for sending alone. quota: what SES says of it, in place of plenty.
    """

    key: str | None = None
    domains: set[str] | None = None
    refused: dict[str, Literal["invalid", "suppressed"]] = field(default_factory=dict)
    is_enterprise: bool = False
    looks: int = 0
    streams: set[str] = field(default_factory=lambda: {"outbound", "broadcast"})
    answers: dict[str, tuple[str, Answer]] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    may_read: bool = True
    quota: dict[str, float] = field(default_factory=dict)
    is_sandbox: bool = False
    counter: int = 0

    def knows(self, key: str) -> bool:
        return bool(key) and self.key in (None, key)

    def may_send_from(self, address: str) -> bool:
        return self.domains is None or address.rpartition("@")[2].lower() in self.domains

    def refusal(self, address: str) -> str | None:
        """Why this address gets nothing: "invalid", also by its looks, or "suppressed"."""
        if not ADDRESS.fullmatch(address):
            return "invalid"
        return self.refused.get(address.lower()) if self.refused else None

    def refusals(self, addresses: Iterable[str]) -> dict[str, str]:
        """{address: why} of those among many that get nothing."""
        looks_right, refused = ADDRESS.fullmatch, self.refused
        wrong = {address: "invalid" for address in addresses if not looks_right(address)}
        return (
            wrong | {each: why for each in addresses if (why := refused.get(each.lower()))}
            if refused
            else wrong
        )

    def number(self, count: int = 1) -> int:
        """The first of so many new numbers."""
        self.counter += count
        return self.counter - count + 1

    def once(self, key: str, payload: bytes, conflict: Answer) -> Answer | None:
        """The answer that this key had before; `remember` keeps it.

        Raises: Refused: another payload under the same key.
        """
        digest, answer = self.answers.get(key, ("", None))
        if answer and digest != hashlib.sha256(payload).hexdigest():
            raise Refused(*conflict)
        return answer

    def remember(self, key: str, payload: bytes, answer: Answer) -> None:
        self.answers[key] = (hashlib.sha256(payload).hexdigest(), answer)


def page_of(entries: list[dict[str, Any]], start: int, count: int, most: int) -> list[dict[str, Any]] | None:
    """A page of a list; None: more is asked for than a page holds."""
    return entries[start : start + count] if 0 < count <= most and start >= 0 else None


def mailbox(text: str) -> tuple[str, str]:
    """Name and address of `Name <address>`; the address is not checked."""
    if '"' not in text and "=?" not in text and text.count("<") < 2:  # nearly all
        name, _, address = text.rpartition("<")
        return name.strip(), address.rstrip("> ").strip()
    found = MAILBOX.fullmatch(text)
    if not found:
        return "", text.strip()
    name = found["name"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
    return decoded(name), found["address"]


def mailboxes(text: str) -> list[tuple[str, str]]:
    """Those of a header, separated by commas outside quotes."""
    return [mailbox(part) for part in ONE_OF_LIST.findall(text) if part.strip()]


def decoded(text: str) -> str:
    """A header's encoded words as text."""
    if "=?" not in text:
        return text
    return str(email.header.make_header(email.header.decode_header(text)))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def named(data: Any, known: Set[str]) -> list[str]:
    """The keys of an object that no document knows."""
    return [] if data.keys() <= known else sorted(data.keys() - known)


def _urlencoded(body: bytes):
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        yield _unquoted(name), _unquoted(value)


def _unquoted(value: bytes) -> str:
    """As `unquote_plus`, by the decoder of quoted-printable, which is written in C."""
    if b"=" in value:
        return urllib.parse.unquote_plus(value.decode())
    return binascii.a2b_qp(value.replace(b"+", b" ").replace(b"%", b"=")).decode()


def _multipart(body: bytes, kind: str):
    boundary = b"--" + kind.partition("boundary=")[2].strip('"').encode()
    for part in body.split(boundary)[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'name="([^"]*)"', head)
        yield (name[1].decode() if name else ""), value.removesuffix(b"\r\n").decode()
