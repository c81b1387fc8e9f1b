"""A message that came back, its parts by what they are for, and what it may turn out to be."""

import re
from enum import StrEnum
from typing import Final, NamedTuple

from delivery.bounces import wording
from delivery.bounces.parts import Part, cut
from delivery.feedback.classes import Class
from delivery.feedback.facts import Kind

MOST_FAILURES: Final = 10_000  # of one message
FAILURE_WORDS: Final = 500  # characters


class What(StrEnum):
    BOUNCE = "bounce"
    DELAY = "delay"  # it is being tried still
    COMPLAINT = "complaint"
    RECEIPT = "receipt"  # it arrived
    AUTO_REPLY = "auto_reply"
    OTHER = "other"


class Failure(NamedTuple):
    """email: whom it did not reach; "" where the message does not say. status: "5.1.1", or "". said: in one line."""

    email: str
    kind: Class
    status: str
    said: str


class Reading(NamedTuple):
    """failures: of a bounce or a delay. emails: who complained, as far as it says. message_ids: of ours, perhaps."""

    what: What
    failures: list[Failure]
    emails: list[str]
    message_ids: list[str]
    addressees: list[str]  # where the message itself was sent to


Understood = tuple[What, list[Failure], list[str]]

_RETURNED: Final = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/partial")
_MESSAGE_ID: Final = re.compile(
    r"^(?:message-id|x-message-id|in-reply-to|references):\s*(.{1,600})", re.IGNORECASE | re.MULTILINE
)
_IN_ANGLES: Final = re.compile(r"<([^<>\s]{3,250})>")
_TO: Final = ("To", "Cc", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-RCPT-To")
_EMAIL: Final = re.compile(wording.EMAIL)


class Letter:
    """The parts of a message by what they are for."""

    def __init__(self, source: bytes) -> None:
        self.top, self.leaves = cut(source)
        returned = next((leaf for leaf in self.leaves if leaf.type in _RETURNED), None)
        self.original = Part(returned.octets) if returned else None
        texts = (
            wording.plain(leaf.text, is_html=leaf.type == "text/html")
            for leaf in _texts(self.leaves, returned)
        )
        self.text, self.quoted = wording.divided("\n".join(texts))

    def reports(self, kind: str) -> list[str]:
        return [leaf.text for leaf in self.leaves if leaf.type == kind]

    def original_to(self) -> list[str]:
        """Whom the message that it returns was to reach."""
        if self.original is None:
            return wording.returned_to(self.quoted)
        return emails_in(" ".join(self.original.all("To")))

    def message_ids(self) -> list[str]:
        """Of what it returns, else of what it answers."""
        original = [self.original] if self.original else []
        found = [each for part in original for each in part.all("Message-ID", "X-Message-ID")]
        for part in [*original, *_texts(self.leaves, None)]:
            found += _MESSAGE_ID.findall(part.text[:200_000])
        found += self.top.all("In-Reply-To", "References")
        return list(dict.fromkeys(each for line in found for each in _IN_ANGLES.findall(line)))[:50]

    def addressees(self) -> list[str]:
        return list(dict.fromkeys(emails_in(" ".join(self.top.all(*_TO)))))[:50]


def emails_in(text: str) -> list[str]:
    return _EMAIL.findall(text[:10_000])


def _texts(leaves: list[Part], returned: Part | None) -> list[Part]:
    """The parts a person would read, before what is returned: the plain ones, else the HTML ones."""
    before = leaves[: leaves.index(returned)] if returned in leaves else leaves
    plain = [leaf for leaf in before if leaf.type == "text/plain" or not leaf.headers.get("Content-Type")]
    return plain or [leaf for leaf in before if leaf.type == "text/html"]


def delayed(failures: list[Failure]) -> Understood:
    """Whatever the reason, it may pass still."""
    return What.DELAY, [failure._replace(kind=Kind.SOFT_BOUNCED) for failure in failures], []


def one_line(words: str) -> str:
    return " ".join(words[: 4 * FAILURE_WORDS].split())[:FAILURE_WORDS]
