"""What a message that came back says: RFC 3464 first, then RFC 5965, then what systems write in words alone."""

import logging
from email.message import Message
from typing import Final

from flufl.bounce import all_failures

from delivery.bounces import wording
from delivery.bounces.fields import by_fields, from_fields, read_fields
from delivery.bounces.letter import (
    MOST_FAILURES,
    Failure,
    Letter,
    Reading,
    Understood,
    What,
    delayed,
    emails_in,
    one_line,
)
from delivery.bounces.notified import by_notification
from delivery.bounces.wording import Said
from delivery.feedback.classes import class_of, explained, status_of

# RFC 5965 §7.3 and what others write for it; "auth-failure" (RFC 6591) and "not-spam" are none.
COMPLAINTS: Final = {"abuse", "fraud", "virus", "other", "opt-out", "complaint", "miscategorized"}
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it tells of each detector that it tries
log = logging.getLogger(__name__)


def read(source: bytes) -> Reading:
    """Read any message, in bounded time: at most some seconds for the most hostile one. Never raises for what it holds."""
    about = Letter(source)
    what, failures, emails = _understood(about)
    return Reading(what, failures, emails, about.message_ids(), about.addressees())


def _understood(about: Letter) -> Understood:
    is_report = about.top.type == "multipart/report"
    if complaint := _complaint(about):
        return complaint
    if about.reports("message/disposition-notification"):  # it was read, or deleted unread
        return What.RECEIPT, [], []
    told = wording.is_mail_system(about.top, about.text) and not wording.is_circular(about.top)
    if (is_report or told) and (found := by_fields(about)):
        return found
    if found := by_notification(about):
        return found
    if told and (found := _by_words(about)):
        return found
    return (What.AUTO_REPLY if wording.is_auto_reply(about.top) else What.OTHER), [], []


def _complaint(about: Letter) -> Understood | None:
    """A person called it spam. Reports of failed authentication have the same format and are none."""
    reports = about.reports("message/feedback-report")
    fields = read_fields(reports[0]) if reports else {}
    if reports and fields.get("feedback-type", "abuse").lower() not in COMPLAINTS:
        return What.OTHER, [], []
    if not reports and not wording.is_old_complaint(about.top, about.original):
        return None
    said = " ".join(fields.get(name, "") for name in ("original-rcpt-to", "removal-recipient"))
    own = " ".join(about.original.all("X-HmXmrOriginalRecipient", "To")) if about.original else ""
    return What.COMPLAINT, [], list(dict.fromkeys(emails_in(said) or emails_in(own)))[:50]


def _by_words(about: Letter) -> Understood | None:
    """Each address that the text says was not reached; where it names none, the one it was sent to."""
    subject = about.top.header("Subject")
    if wording.is_success(subject, about.text):
        return What.RECEIPT, [], []
    if not wording.is_failure(subject, about.text):
        return None
    found = wording.failures(about.text)
    # A gateway may write a few words before another's report.
    if not found and (passed_on := from_fields(about, about.quoted)):
        return passed_on
    if not found:
        named = emails_in(" ".join(about.top.all("X-Failed-Recipients"))) or _by_flufl(about)
        found = [Said(email, "") for email in named or about.original_to()[:1]]
    failures = [_worded(said, about.text, is_alone=len(found) == 1) for said in found[:MOST_FAILURES]]
    if not failures:
        return None
    return delayed(failures) if wording.is_delay(subject, about.text) else (What.BOUNCE, failures, [])


def _by_flufl(about: Letter) -> list[str]:
    """What Mailman's detectors find. They are given no more than the texts, since they parse as Python's library does."""
    plain = Message()
    plain["From"], plain["Subject"] = "mailer-daemon@localhost", about.top.header("Subject")
    plain.set_payload(about.text)
    try:
        return sorted(email.decode() for found in all_failures(plain) for email in found)
    except Exception:
        log.info("bounce.flufl_failed", exc_info=True)
        return []


def _worded(said: Said, text: str, *, is_alone: bool) -> Failure:
    """Some say the reason before the address, once for all: then it is looked for in the whole text."""
    words = said.words
    telling = ""
    if explained("", words) is None:
        telling, words = wording.telling_line(text), text if is_alone or not words else f"{words} {text}"
    status = status_of(said.words) or (status_of(text) if is_alone else "")
    return Failure(said.email, class_of(status, words), status, one_line(telling or said.words or text))
