"""What a message that came back says: RFC 3464 first, then RFC 5965, then what systems write in words alone."""

import json
import logging
import re
from email.message import Message
from enum import StrEnum
from typing import Any, Final, NamedTuple

from flufl.bounce import all_failures

from delivery.bounces import wording
from delivery.bounces.parts import Part, cut
from delivery.bounces.wording import Said
from delivery.feedback.classes import Class, class_of, explained, reply_of, status_of
from delivery.feedback.facts import Kind

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it tells of each detector that it tries
log = logging.getLogger(__name__)
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


_RETURNED: Final = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/partial")
_MESSAGE_ID: Final = re.compile(
    r"^(?:message-id|x-message-id|in-reply-to|references):\s*(.{1,600})", re.IGNORECASE | re.MULTILINE
)
_IN_ANGLES: Final = re.compile(r"<([^<>\s]{3,250})>")
_TO: Final = (
    "To",
    "Cc",
    "Delivered-To",
    "X-Original-To",
    "Envelope-To",
    "X-Envelope-To",
    "X-Real-To",
    "X-RCPT-TO",
)
_EMAIL: Final = re.compile(wording.EMAIL)
_FIELD: Final = re.compile(r"^([A-Za-z][A-Za-z-]{2,40})[ \t]*:[ \t]*(.*(?:\n[ \t]+\S.*)*)", re.MULTILINE)


def read(source: bytes) -> Reading:
    """Read any message, in bounded time: at most some seconds for the most hostile one. Never raises for what it holds."""
    message, leaves = cut(source)
    returned = next((leaf for leaf in leaves if leaf.type in _RETURNED), None)
    about = _Message(message, leaves, returned)
    what, failures, emails = _understood(about)
    return Reading(what, failures, emails, about.message_ids(), about.addressees())


class _Message:
    """The parts of a message by what they are for."""

    def __init__(self, message: Part, leaves: list[Part], returned: Part | None) -> None:
        self.top, self.leaves, self.returned = message, leaves, returned
        self.original = Part(returned.octets) if returned else None
        texts = (
            wording.plain(leaf.text, is_html=leaf.type == "text/html") for leaf in _texts(leaves, returned)
        )
        self.text, self.quoted = wording.divided("\n".join(texts))

    def reports(self, kind: str) -> list[str]:
        return [leaf.text for leaf in self.leaves if leaf.type == kind]

    def original_to(self) -> list[str]:
        return (
            emails_in(" ".join(self.original.all("To")))
            if self.original
            else wording.returned_to(self.quoted)
        )

    def message_ids(self) -> list[str]:
        found = self.top.all("In-Reply-To", "References")
        quoted = [*_texts(self.leaves, None), *([self.original] if self.original else [])]
        for part in quoted:
            found += _MESSAGE_ID.findall(part.text[:200_000])
        if self.original:
            found += self.original.all("Message-ID", "X-Message-ID")
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


Understood = tuple[What, list[Failure], list[str]]


def _understood(about: _Message) -> Understood:
    is_report = about.top.type == "multipart/report"
    if complaint := _complaint(about):
        return complaint
    if about.reports("message/disposition-notification"):  # it was read, or deleted unread
        return What.RECEIPT, [], []
    told = _by_machine(about.top)
    if (is_report or told) and (found := _by_fields(about)):
        return found
    if found := _notification(about):
        return found
    if told and (found := _by_words(about)):
        return found
    return (What.AUTO_REPLY if wording.is_auto_reply(about.top) else What.OTHER), [], []


def _by_machine(top: Part) -> bool:
    """Whether a mail system wrote it, not a person, a list or a person's autoresponder."""
    return wording.is_mail_system(top) and not wording.is_circular(top)


# --- RFC 3464 -----------------------------------------------------------------------------------------------


def _by_fields(about: _Message) -> Understood | None:
    """The fields of each recipient; some write them into a text."""
    reports = about.reports("message/delivery-status") or about.reports("message/global-delivery-status")
    return _from_fields(about, "\n\n".join(reports) if reports else about.text)


def _from_fields(about: _Message, source: str) -> Understood | None:
    rows = [
        row
        for row in map(_fields, re.split(r"\n[ \t]*\n", source))
        if "final-recipient" in row or "original-recipient" in row
    ]
    failed, delayed, arrived = [], [], 0
    for row in rows[:MOST_FAILURES]:
        match _action(row):
            case "failed":
                failed.append(row)
            case "delayed":
                delayed.append(row)
            case _:
                arrived += 1
    texts = (
        {said.email.lower(): said.words for said in wording.failures(about.text)} if failed or delayed else {}
    )
    chosen = failed or delayed
    failures = [_failure(about, row, texts, is_alone=len(chosen) == 1) for row in chosen]
    if failed:
        return What.BOUNCE, failures, []
    if delayed:
        return _delayed(failures)
    return (What.RECEIPT, [], []) if arrived else None


def _fields(block: str) -> dict[str, str]:
    """{name in lower case: value in one line}; the first of each."""
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(block[:20_000]):
        fields.setdefault(name.lower(), " ".join(value.split()))
    return fields


def _action(row: dict[str, str]) -> str:
    action = (row.get("action", "").lower().split() or [""])[0].strip(";.")
    status = row.get("status", "")[:1]
    if action in ("failed", "failure", "expired", "undeliverable"):
        return "failed"
    if action in ("delayed", "deferred", "transient-failure"):
        return "delayed"
    if action in ("delivered", "relayed", "expanded"):
        return "arrived"
    return {"5": "failed", "4": "delayed", "2": "arrived"}.get(status, "")


def _failure(about: _Message, row: dict[str, str], texts: dict[str, str], *, is_alone: bool) -> Failure:
    """The reporting system's status is often its own guess: the refusing server's in the diagnostic outweighs it."""
    email = _recipient(about, row, is_alone=is_alone)
    given = row.get("status", "")
    words = diagnostic = re.sub(r"^[\w.-]{1,30};\s*", "", row.get("diagnostic-code", ""))
    if explained("", diagnostic) is None:
        comment = given.partition("(")[2].rstrip(")")
        more = (
            comment
            if explained("", comment)
            else texts.get(email.lower()) or (about.text if is_alone else "")
        )
        words = f"{diagnostic} {more}".strip() if reply_of(diagnostic) else more or diagnostic
    status = (status_of(diagnostic) if reply_of(diagnostic) else "") or status_of(given) or status_of(words)
    status = status or (re.findall(r"[245]\.\d{1,3}\.\d{1,3}", given) or [""])[0]
    kind = class_of(f"{reply_of(diagnostic)} {status}".strip(), words)
    return Failure(email, kind, status, _one_line(words))


def _recipient(about: _Message, row: dict[str, str], *, is_alone: bool) -> str:
    """Final-Recipient, unless it names a pipe, a user without a domain or an address of another system."""
    for name in ("final-recipient", "original-recipient", "x-actual-recipient"):
        found = emails_in(row.get(name, ""))
        if found and "IMCEA" not in found[0]:
            return found[0]
    others = [said.email for said in wording.failures(about.text)] or about.original_to()
    return others[0] if is_alone and others else ""


# --- RFC 5965 -----------------------------------------------------------------------------------------------


def _complaint(about: _Message) -> Understood | None:
    """A person called it spam. Reports of failed authentication have the same format and are none."""
    reports = about.reports("message/feedback-report")
    fields = _fields(reports[0]) if reports else {}
    if reports and fields.get("feedback-type", "abuse").lower() not in (
        "abuse",
        "fraud",
        "virus",
        "other",
        "opt-out",
        "complaint",
        "miscategorized",
    ):
        return What.OTHER, [], []
    if not reports and not wording.is_old_complaint(about.top, about.original):
        return None
    said = " ".join(fields.get(name, "") for name in ("original-rcpt-to", "removal-recipient"))
    own = " ".join(about.original.all("X-HmXmrOriginalRecipient", "To")) if about.original else ""
    return What.COMPLAINT, [], list(dict.fromkeys(emails_in(said) or emails_in(own)))[:50]


# --- Notifications that a provider sends by mail --------------------------------------------------------------


def _notification(about: _Message) -> Understood | None:
    """Amazon's SNS, which may be told to send what it knows by mail: JSON, at times within JSON."""
    start = about.text.find("{")
    if start < 0 or "notificationType" not in about.text:
        return None
    try:
        body, _ = json.JSONDecoder(strict=False).raw_decode(about.text[start:])
        body = json.loads(body["Message"], strict=False) if isinstance(body.get("Message"), str) else body
        match body.get("notificationType"):
            case "Bounce":
                return (
                    What.BOUNCE,
                    [_notified(each) for each in body["bounce"]["bouncedRecipients"][:MOST_FAILURES]],
                    [],
                )
            case "Complaint":
                emails = [
                    str(each["emailAddress"]) for each in body["complaint"]["complainedRecipients"][:50]
                ]
                return What.COMPLAINT, [], emails
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return What.RECEIPT, [], []


def _notified(row: dict[str, Any]) -> Failure:
    words = re.sub(r"^[\w.-]{1,30};\s*", "", str(row.get("diagnosticCode", "")))
    status = status_of(words) or status_of(str(row.get("status", "")))
    return Failure(str(row["emailAddress"])[:254], class_of(status, words), status, _one_line(words))


# --- In words -----------------------------------------------------------------------------------------------


def _by_words(about: _Message) -> Understood | None:
    """Each address that the text says was not reached; where it names none, the one it was sent to."""
    subject = about.top.header("Subject")
    if not wording.is_failure(subject, about.text):
        return None
    found = wording.failures(about.text)
    if not found and (
        passed_on := _from_fields(about, about.quoted)
    ):  # a gateway's words before another's report
        return passed_on
    if not found:
        to = (
            emails_in(" ".join(about.top.all("X-Failed-Recipients")))
            or _by_flufl(about)
            or about.original_to()
        )
        found = [Said(email, "") for email in to[:1]]
    failures = [_worded(said, about.text, is_alone=len(found) == 1) for said in found[:MOST_FAILURES]]
    if not failures:
        return None
    return _delayed(failures) if wording.is_delay(subject, about.text) else (What.BOUNCE, failures, [])


def _by_flufl(about: _Message) -> list[str]:
    """What Mailman's detectors find. They are given no more than the texts, since they parse as Python's library does."""
    plain = Message()
    plain["From"], plain["Subject"] = "mailer-daemon@localhost", about.top.header("Subject")
    plain.set_payload(about.text)
    try:
        return sorted(email.decode() for found in all_failures(plain) for email in found)
    except Exception:
        log.info("bounce.flufl_failed", exc_info=True)
        return []


def _delayed(failures: list[Failure]) -> Understood:
    """Whatever the reason, it may pass still."""
    return What.DELAY, [failure._replace(kind=Kind.SOFT_BOUNCED) for failure in failures], []


def _worded(said: Said, text: str, *, is_alone: bool) -> Failure:
    """Some say the reason before the address, once for all: then it is looked for in the whole text."""
    words = said.words
    telling = ""
    if explained("", words) is None:
        telling, words = wording.telling_line(text), text if is_alone or not words else f"{words} {text}"
    status = status_of(said.words) or (status_of(text) if is_alone else "")
    return Failure(said.email, class_of(status, words), status, _one_line(telling or said.words or text))


def _one_line(words: str) -> str:
    return " ".join(words[: 4 * FAILURE_WORDS].split())[:FAILURE_WORDS]
