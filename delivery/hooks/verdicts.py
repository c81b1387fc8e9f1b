"""What each provider's word for a message that was not delivered means for its recipient.

A provider's own words decide; where they fold several things into one, the receiving server's do. What the provider
itself did not send because of an earlier bounce, complaint or wish is that; where it does not say which, it is soft:
said again and again it ends as soft bounces do. What it refuses of us (content, sender, limits) is blocked and never
the recipient's fault.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from delivery.feedback.classes import class_of, explained
from delivery.feedback.facts import Kind

BOUNCED, SOFT, BLOCKED = Kind.BOUNCED, Kind.SOFT_BOUNCED, Kind.BLOCKED
COMPLAINED, UNSUBSCRIBED = Kind.COMPLAINED, Kind.UNSUBSCRIBED
UNSAID: Final = SOFT


class Failure(NamedTuple):
    """type: anymail's name of the event. raw: the provider's own event. status: "5.1.1" or "550", if it gives one."""

    type: str
    raw: Mapping[str, Any]
    said: str
    status: str = ""


Verdict = Kind | None  # None: nothing is decided yet, or nothing is wrong


def verdict(provider: str, failure: Failure) -> Verdict:
    """What a bounce, rejection or failure is; None where the provider tries again."""
    return _READERS[provider](failure)


def _hard(failure: Failure) -> Kind:
    """The provider holds it for permanent; the server's words say whether that is about the recipient or about us."""
    return _explained(failure.status, failure.said) or BOUNCED


def _soft(failure: Failure) -> Kind:
    """The provider holds it for temporary: never a hard bounce, whatever the words look like."""
    return BLOCKED if _explained(failure.status, failure.said) is BLOCKED else SOFT


# When a receiver refuses a whole campaign, it says the same of thousands.
_explained = lru_cache(maxsize=2_000)(explained)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _part(raw: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A dict within dicts; an empty one where it is something else."""
    for name in names:
        found = raw.get(name)
        raw = found if isinstance(found, Mapping) else {}
    return raw


# --- Amazon SES, and Resend, which is built on it ------------------------------------------------------------

# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
_SES_SUBTYPES: Final[Mapping[str, Kind]] = {
    "NoEmail": BOUNCED,
    "Suppressed": BOUNCED,  # it bounced hard for another of Amazon's customers within days
    "OnAccountSuppressionList": UNSAID,
    "MailboxFull": SOFT,
    "MessageTooLarge": BLOCKED,
    "ContentRejected": BLOCKED,
    "AttachmentRejected": BLOCKED,
    "CustomTimeoutExceeded": SOFT,
}


def _by_ses_bounce(bounce: Mapping[str, Any], failure: Failure) -> Kind:
    kind, sub = _text(bounce.get("bounceType")), _text(bounce.get("bounceSubType"))
    if sub in _SES_SUBTYPES:
        return _SES_SUBTYPES[sub]
    match kind:
        case "Permanent":
            return _hard(failure)
        case "Transient":
            return _soft(failure)
    return class_of(failure.status, failure.said)


def _amazon_ses(failure: Failure) -> Verdict:
    if failure.type == "bounced":
        return _by_ses_bounce(_part(failure.raw, "bounce"), failure)
    return BLOCKED  # Reject (a virus), Rendering Failure


def _resend(failure: Failure) -> Verdict:
    if failure.type == "bounced":
        bounce = _part(failure.raw, "data", "bounce")
        named = {"bounceType": bounce.get("type"), "bounceSubType": bounce.get("subType")}
        return _by_ses_bounce(named, failure)
    return UNSAID if failure.raw.get("type") == "email.suppressed" else BLOCKED


# --- The others, by name ---------------------------------------------------------------------------------------


def _brevo(failure: Failure) -> Verdict:
    match failure.raw.get("event"):
        case "hard_bounce":
            return _hard(failure)
        case "invalid_email":
            return BOUNCED
        case "soft_bounce":
            return _soft(failure)
        case "blocked":  # by its own list, for which it has no fixed words
            said = failure.said.lower()
            listed = (
                ("unsub", UNSUBSCRIBED),
                ("hard", BOUNCED),
                ("spam", COMPLAINED),
                ("complain", COMPLAINED),
            )
            return next((kind for word, kind in listed if word in said), UNSAID)
    return BLOCKED  # error


def _mailersend(failure: Failure) -> Verdict:
    match _part(failure.raw, "data").get("type"):
        case "hard_bounced":
            return _hard(failure)
        case "soft_bounced":
            return _soft(failure)
    return class_of(failure.status, failure.said)


_MAILGUN: Final[Mapping[str, Kind]] = {
    "suppress-bounce": BOUNCED,
    "suppress-complaint": COMPLAINED,
    "suppress-unsubscribe": UNSUBSCRIBED,
    "old": SOFT,  # it tried for hours
    "espblock": BLOCKED,
}
_MAILGUN_LEGACY_CODES: Final = {"605": BOUNCED, "606": UNSUBSCRIBED, "607": COMPLAINED}


def _mailgun(failure: Failure) -> Verdict:
    data = _part(failure.raw, "event-data") or failure.raw
    reason = _text(data.get("reason"))
    code = str(_part(data, "delivery-status").get("code") or data.get("code") or "")
    if listed := _MAILGUN.get(reason) or _MAILGUN_LEGACY_CODES.get(code):
        return listed
    if failure.type == "rejected":
        return BLOCKED
    return _hard(failure) if reason in ("bounce", "hardfail") else class_of(failure.status, failure.said)


# https://dev.mailjet.com/email/guides/webhooks/#possible-values-for-errors
_MAILJET: Final[Mapping[str, Verdict]] = {
    "user unknown": BOUNCED,
    "mailbox inactive": BOUNCED,
    "quota exceeded": SOFT,
    "blacklisted": UNSAID,
    "spam reporter": COMPLAINED,
    "invalid domain": BOUNCED,
    "no mail host": BOUNCED,
    "relay/access denied": BLOCKED,
    "typofix": BOUNCED,
    "preblocked": UNSAID,
    "sender blocked": BLOCKED,
    "content blocked": BLOCKED,
    "policy issue": BLOCKED,
    "system issue": SOFT,
    "protocol issue": SOFT,
    "connection issue": SOFT,
}


def _mailjet(failure: Failure) -> Verdict:
    error, is_hard = _text(failure.raw.get("error")), failure.raw.get("hard_bounce") is True
    if error in _MAILJET:
        known = _MAILJET[error]
        return SOFT if known is BOUNCED and failure.raw.get("event") == "bounce" and not is_hard else known
    if failure.raw.get("event") == "bounce":
        return _hard(failure) if is_hard else _soft(failure)
    return BLOCKED


_MAILTRAP: Final[Mapping[str, Kind]] = {
    "spam": BLOCKED,
    "policy": BLOCKED,
    "virus": BLOCKED,
    "badmailbox": BOUNCED,
}


def _mailtrap(failure: Failure) -> Verdict:
    category = _text(failure.raw.get("bounce_category")).lower()
    match failure.raw.get("event"):
        case "soft bounce":  # also while it tries again, which it calls temporary
            return None if category == "temporary" else _soft(failure)
        case "bounce":
            return _MAILTRAP.get(category) or _hard(failure)
        case "reject":
            return UNSAID
    return BLOCKED  # suspension


_MANDRILL: Final[Mapping[str, Kind]] = {
    "hard-bounce": BOUNCED,
    "soft-bounce": SOFT,
    "spam": COMPLAINED,
    "unsub": UNSUBSCRIBED,
    "invalid": BOUNCED,
    "custom": UNSAID,  # on a list that somebody keeps by hand
}


def _mandrill(failure: Failure) -> Verdict:
    message = _part(failure.raw, "msg")
    match failure.raw.get("event"):
        case "hard_bounce":
            return _hard(failure)
        case "soft_bounce":
            return BLOCKED if message.get("bounce_description") == "spam" else _soft(failure)
    return _MANDRILL.get(_text(_part(message, "reject").get("reason")), BLOCKED)


def _postal(failure: Failure) -> Verdict:
    match failure.raw.get("event"):
        case "MessageDeliveryFailed":
            return _hard(failure)
        case "MessageBounced":  # by a mail that came back, of which no words are given
            return class_of(failure.status, failure.said)
    return UNSAID if "suppress" in failure.said.lower() else BLOCKED  # held


# https://postmarkapp.com/developer/api/bounce-api#bounce-types
_POSTMARK: Final[Mapping[str, Verdict]] = {
    "SpamNotification": BLOCKED,  # taken for spam by a machine
    "VirusNotification": BLOCKED,
    "Blocked": BLOCKED,
    "DMARCPolicy": BLOCKED,
    "SMTPApiError": BLOCKED,
    "TemplateRenderingFailed": BLOCKED,
    "BadEmailAddress": BOUNCED,
    "ManuallyDeactivated": UNSAID,
    "Unconfirmed": UNSAID,
    "SpamComplaint": COMPLAINED,
    "Unsubscribe": UNSUBSCRIBED,
    # It tries again, or somebody's machine has answered.
    "Transient": None,
    "DnsError": None,
    "OpenRelayTest": None,
    "AutoResponder": None,
    "AddressChange": None,
    "ChallengeVerification": None,
    "Subscribe": None,
    "InboundError": None,
}


def _postmark(failure: Failure) -> Verdict:
    match kind := _text(failure.raw.get("Type")):
        case "HardBounce":
            return _hard(failure)
        case "SoftBounce":
            return _soft(failure)
    return _POSTMARK[kind] if kind in _POSTMARK else class_of(failure.status, failure.said)


# https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event
_SENDGRID_DROPPED: Final[Mapping[str, Kind]] = {
    "bounced address": BOUNCED,
    "unsubscribed address": UNSUBSCRIBED,
    "spam reporting address": COMPLAINED,
    "invalid": BOUNCED,
}
_SENDGRID_CLASSES: Final[Mapping[str, Kind]] = {
    "invalid address": BOUNCED,
    "content": BLOCKED,
    "reputation": BLOCKED,
    "frequency or volume too high": BLOCKED,
    "frequency/volume": BLOCKED,
}


def _sendgrid(failure: Failure) -> Verdict:
    raw = failure.raw
    if raw.get("event") == "dropped":
        return _SENDGRID_DROPPED.get(_text(raw.get("reason")).lower(), BLOCKED)
    named = _text(raw.get("bounce_classification")).lower()
    if named in _SENDGRID_CLASSES:
        return _SENDGRID_CLASSES[named]
    if named in ("mailbox unavailable", "technical", "technical failure") or raw.get("type") == "expired":
        return _soft(failure)
    return (
        _hard(failure) if raw.get("type") == "bounce" else _explained(failure.status, failure.said) or BLOCKED
    )


# https://support.sparkpost.com/docs/deliverability/bounce-classification-codes
_SPARKPOST: Final[Mapping[str, Verdict]] = {
    "10": BOUNCED,
    "30": BOUNCED,
    "20": SOFT,
    "21": SOFT,
    "22": SOFT,
    "24": SOFT,
    "26": UNSAID,
    "40": SOFT,
    "70": SOFT,
    "23": BLOCKED,  # too large
    "25": BLOCKED,
    "50": BLOCKED,
    "51": BLOCKED,
    "52": BLOCKED,
    "53": BLOCKED,
    "54": BLOCKED,
    "60": None,  # an answer by itself
    "80": None,
    "90": UNSUBSCRIBED,
    "100": None,
}


def _sparkpost(failure: Failure) -> Verdict:
    told = next((each for each in _part(failure.raw, "msys").values() if isinstance(each, Mapping)), {})
    if told.get("type") == "policy_rejection" and "suppress" in failure.said.lower():
        return UNSAID
    named = str(told.get("bounce_class"))
    if named in _SPARKPOST:
        return _SPARKPOST[named]
    return class_of(failure.status, failure.said) if failure.type == "bounced" else BLOCKED


# https://godocs.unisender.ru/web-api-ref#callback-format
_UNISENDER: Final[Mapping[str, Verdict]] = {
    "err_will_retry": None,
    "err_user_unknown": BOUNCED,
    "err_user_inactive": BOUNCED,
    "err_mailbox_discarded": BOUNCED,
    "err_domain_inactive": BOUNCED,
    "err_mailbox_full": SOFT,
    "err_unreachable": SOFT,
    "err_destination_misconfigured": SOFT,
    "err_lost": SOFT,
    "err_skip_letter": UNSAID,
    "err_spam_rejected": BLOCKED,
    "err_spam_skipped": BLOCKED,
    "err_blacklisted": BLOCKED,
    "err_too_large": BLOCKED,
    "err_unsubscribed": UNSUBSCRIBED,
}


def _unisender_go(failure: Failure) -> Verdict:
    named = _text(_part(failure.raw, "delivery_info").get("delivery_status"))
    if named in _UNISENDER:
        return _UNISENDER[named]
    return _hard(failure) if failure.raw.get("status") == "hard_bounced" else _soft(failure)


_READERS: Final[Mapping[str, Callable[[Failure], Verdict]]] = {
    "amazon_ses": _amazon_ses,
    "brevo": _brevo,
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "mailjet": _mailjet,
    "mailtrap": _mailtrap,
    "mandrill": _mandrill,
    "postal": _postal,
    "postmark": _postmark,
    "resend": _resend,
    "sendgrid": _sendgrid,
    "sparkpost": _sparkpost,
    "unisender_go": _unisender_go,
}
