"""What an ESP's answer means: one table from its codes and words to our fates, the words kept as they are."""

import datetime
import email.utils
import json
import re
import time
from collections.abc import Sequence
from typing import Any

import botocore.exceptions
import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailRecipientStatus, AnymailStatus

from delivery.transports.base import Fate, Outcome
from delivery.transports.esp_verdicts import verdict_of

WORDS_LIMIT = 480  # characters; the ledger keeps 500
# Statuses that concern the account: no or wrong key, no credit, no permission, no such domain or address.
ACCOUNT_STATUSES = {401, 402, 403, 404, 405, 407}
# Statuses that pass: time-out, too early, too many; SparkPost's 420 is its sending limit.
MOMENT_STATUSES = {408, 420, 425, 429}
# Of 5xx those that are said before a call is looked at: not able to (RFC 9110 §15.6.4), and Cloudflare's where it did not
# reach the API. All others leave open what was taken: 502, 504, 520 and 524 are a gateway's, which has handed the call
# over; after a 500 the message is lost "in most cases" (Postmark), and AWS and users of Mailgun tell of duplicates.
UNTAKEN_STATUSES = {501, 503, 505, 521, 523, 525, 526, 530}
# Envoy says 503, too, where its connection to the API ends in the middle of a call.
BROKEN_OFF = re.compile(
    r"reset before headers(?!.*reset reason: (overflow|(remote )?connection (failure|timeout)))", re.DOTALL
)
# Answers about the From address, with whatever status, by what the ESP writes; another sender may do.
SENDER_WORDS = {
    # "Email address is not verified. The following identities failed the check in region …"
    "amazon_ses": r"not verified|MailFromDomainNotVerified|MAIL_FROM_DOMAIN_NOT_VERIFIED",
    # "Sending has been rejected because the sender you used … is not valid."
    "brevo": r"sender you used",
    # "The from.email domain must be verified in your account to send emails. #MS42207"
    "mailersend": r'"from\.email"|#MS42207',
    # "Domain not found: …"; "Domain … is not allowed to send: The domain is unverified and requires DNS configuration."
    "mailgun": r"Domain not found|domain is unverified",
    # '"…" is not an authorized sender address for your account.'
    "mailjet": r'"ErrorRelatedTo":\s*\[\s*"From"|not an authorized sender',
    # "Sending from domain … is not allowed"
    "mailtrap": r"Sending from .*not allowed",
    # Its word for a domain that is not set up there, said of each recipient; and for no address at all.
    "mandrill": r'"reject_reason":\s*"(unsigned|invalid-sender)"',
    # HTTP 200 with {"status": "error", "data": {"code": "UnauthenticatedFromAddress"}}
    "postal": r"UnauthenticatedFromAddress",
    # 422 with ErrorCode 400 sender not found, 401 not confirmed
    "postmark": r'"ErrorCode":\s*(400|401)\b',
    # "The … domain is not verified. Please, add and verify your domain on …"
    "resend": r"domain is not verified",
    # "domain is not checked"
    "scaleway": r"domain .*not (checked|verified)",
    # "The from address does not match a verified Sender Identity."
    "sendgrid": r"verified Sender Identity",
    # "Unconfigured Sending Domain <…>"
    "sparkpost": r"Unconfigured Sending Domain|Invalid domain",
    # "The domain of '…' is not confirmed."
    "unisender_go": r"domain .*not (confirmed|verified)",
}
# Answers about the account that come with another status, by what the ESP writes.
ACCOUNT_WORDS = {
    # RequestExpired, with 400 as the others: our clock is slow
    "amazon_ses": r"SendingPaused|AccountSuspended|ConfigurationSet|ExpiredToken"
    r"|RequestExpired|IncompleteSignature|UnrecognizedClient|NotAuthorized|OptInRequired",
    "brevo": r"not_enough_credits|account_under_validation|permission_denied",
    # HTTP 500 with {"status": "error", "name": "Invalid_Key", …}
    "mandrill": r"Invalid_Key|PaymentRequired|Unknown_Subaccount",
    "postal": r"AccessDenied|InvalidServerAPIKey|ServerSuspended",
    # 422 with ErrorCode 405 no credit, 412 pending, 413 may not send, 1235 no such stream
    "postmark": r'"ErrorCode":\s*(405|412|413|1235)\b',
}
# Answers that put the call off and come with another status. Nothing was taken.
MOMENT_WORDS = {
    # HTTP 400 with {"Code": "ThrottlingException", "Message": "Maximum sending rate exceeded."}
    "amazon_ses": r"Throttl|LimitExceeded|sending rate exceeded|quota exceeded",
    # HTTP 500 with {"name": "ServiceUnavailable"}: the part of the API is down for maintenance
    "mandrill": r'"name":\s*"ServiceUnavailable"',
}
LONGEST_ASKED = 86_400.0  # seconds that an ESP may ask us to wait, whatever number it writes
QUOTA_SECONDS = 600.0  # until a used-up quota is asked again, where the ESP does not say when
# Retry-After first, then what SendGrid and Mailgun (a time), Brevo, Resend and MailerSend (seconds) write.
RESETS = ("Retry-After", "x-sib-ratelimit-reset", "ratelimit-reset", "X-RateLimit-Reset")
SINCE_1970 = 1e9  # a number from there on is a time
# Answers about the message that come with another status than one of 4xx: Postal's always have 200, Mandrill's 500.
MESSAGE_WORDS = {
    "mandrill": r'"name":\s*"(ValidationError|Invalid_Template|Unknown_Template)"',
    "postal": r'"status":\s*"(error|parameter-error)"(?!.*InternalError)',
}
NEVER = r"(?!)"  # fits no words
NEVER_SENT = (requests.ConnectTimeout, requests.exceptions.ProxyError)
# TLS fails before a call, or breaks in the middle of one by the same exception: these are of its beginning.
NOT_CONNECTED = re.compile(
    r"NewConnectionError|NameResolutionError|Could not connect to the endpoint|Connect timeout on endpoint"
    r"|Failed to connect to proxy|CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|UNSUPPORTED_PROTOCOL"
    r"|UNEXPECTED_EOF_WHILE_READING|handshake",
    re.IGNORECASE,
)
_NOT_OURS_TO_SEND = (AnymailInvalidAddress, AnymailUnsupportedFeature, AnymailSerializationError)


def outcomes_of_status(provider: str, status: AnymailStatus, to: Sequence[str]) -> list[Outcome]:
    """The fates of a call's recipients, in their order, as anymail reads the answer.

    ESPs answer in their own case of an address, or spell an international domain their way.
    """
    by_address = {address.lower(): each for address, each in status.recipients.items()}
    none = AnymailRecipientStatus(None, "unknown")
    if len(to) == 1:
        none = next(iter(by_address.values()), none)
    words = _words_by_address(provider, status.esp_response)
    known: dict[tuple[object, ...], Outcome] = {}  # several ESPs say the same of all
    outcomes = []
    for address in to:
        each, word = by_address.get(address.lower(), none), words.get(address.lower(), "")
        key = each.status, each.message_id, word
        if key not in known:
            known[key] = _outcome_of_status(provider, each, status.esp_response, word)
        outcomes.append(known[key])
    return outcomes


def _words_by_address(provider: str, response: Any) -> dict[str, str]:
    """Unisender Go alone answers a word for each address that it refuses."""
    if provider != "unisender_go":
        return {}
    return {address.lower(): str(word) for address, word in response.json().get("failed_emails", {}).items()}


def _outcome_of_status(provider: str, each: AnymailRecipientStatus, response: Any, word: str) -> Outcome:
    """word: the ESP's about this recipient, where its answer has one for each."""
    provider_id = str(each.message_id or "")[:200]
    if each.status in ("sent", "queued", "unknown"):  # unknown: it took the message and says more later
        return Outcome(Fate.ACCEPTED, provider_id=provider_id)
    http, said = _status_of(response), f"{_status_of(response)} {word}" if word else _answer(response)
    told = json.dumps({"failed_emails": {"": word}}) if word else _text(response)
    rejected = Outcome(
        Fate.REJECTED, each.status or "failed", said, provider_id, verdict=verdict_of(provider, told)
    )
    if each.status in ("invalid", "rejected") and not _matches(SENDER_WORDS, provider, _text(response)):
        return rejected
    if stops := _what_stops(provider, http, _text(response)):
        return Outcome(stops, str(http or ""), said)
    return _outcome_of_trouble(http, said, response) or rejected


def outcome_of_error(provider: str, error: Exception) -> Outcome:
    """The fate of a message whose call failed."""
    match error:
        case AnymailRecipientsRefused():
            return Outcome(Fate.REJECTED, "refused", _answer(error.response) or str(error)[:WORDS_LIMIT])
        case _ if isinstance(error, _NOT_OURS_TO_SEND):
            return Outcome(Fate.REJECTED, "unsupported", str(error)[:WORDS_LIMIT])
        case AnymailAPIError() if error.response is not None:
            return _outcome_of_answer(provider, error.response)
        case AnymailAPIError():
            return _outcome_of_silence(error)
        case AnymailError():
            return Outcome(Fate.ACCOUNT_STOPPED, server_said=str(error)[:WORDS_LIMIT])
    words = f"The answer could not be read ({type(error).__name__}: {error})."
    return Outcome(Fate.IN_DOUBT, "in doubt", words[:WORDS_LIMIT])


def what_stops(provider: str, said: Any) -> Fate | None:
    """The fate of all, where one message's part of an answer tells of the sender or the account; None: of its recipient."""
    return _what_stops(provider, 0, json.dumps(said, ensure_ascii=False))


def words_of(said: Any) -> str:
    """The ESP's own words out of a part of its answer."""
    return " ".join(_message(said).split())[:WORDS_LIMIT]


def _outcome_of_answer(provider: str, answer: Any) -> Outcome:
    http, said = _status_of(answer), _answer(answer)
    if 400 <= http < 500 and "idempoten" in _text(answer).lower():
        # Our key is known: a call with the same letters was taken before, or is just being taken.
        if "concurrent" in _text(answer).lower():
            return Outcome(Fate.IN_DOUBT, "in doubt", said)
        return Outcome(Fate.ACCEPTED, server_said=said)
    if _matches(MOMENT_WORDS, provider, _text(answer)):
        return _later(http, said, answer, throttled=http < 500)
    if stops := _what_stops(provider, http, _text(answer)):
        return Outcome(stops, str(http), said)
    if http in (200, 500) and _matches(MESSAGE_WORDS, provider, _text(answer)):
        return Outcome(Fate.REJECTED, "refused", said)
    if http < 400:  # taken or not: an answer that is none of the documented ones
        return Outcome(Fate.IN_DOUBT, "in doubt", said)
    rejected = Outcome(Fate.REJECTED, str(http), said, verdict=verdict_of(provider, _text(answer)))
    return _outcome_of_trouble(http, said, answer) or rejected


def _outcome_of_trouble(http: int, said: str, answer: Any) -> Outcome | None:
    """Of a status that passes, or of the ESP's own trouble; None: it is neither."""
    if http in MOMENT_STATUSES:
        return _later(http, said, answer, throttled=http in (420, 429))
    if http < 500:
        return None
    if http in UNTAKEN_STATUSES and not BROKEN_OFF.search(_text(answer)):
        return _later(http, said, answer, throttled=False)
    return Outcome(Fate.IN_DOUBT, "in doubt", f"No clear answer: {said}"[:WORDS_LIMIT])


def _later(http: int, said: str, answer: Any, *, throttled: bool) -> Outcome:
    """Too many, too early, or not now, and nothing was taken; Retry-After is obeyed."""
    wait = _retry_after(answer)
    if wait is None and "quota" in said.lower():
        wait = QUOTA_SECONDS
    return Outcome(Fate.DEFERRED, str(http), said, retry_after=wait, throttled=throttled)


def _outcome_of_silence(error: AnymailAPIError) -> Outcome:
    """No answer came. Only where no connection was made is it certain that the message was not taken."""
    cause = error.__cause__
    words = " ".join(str(cause or error).split())[:WORDS_LIMIT]
    if isinstance(cause, botocore.exceptions.ParamValidationError):
        return Outcome(Fate.REJECTED, "unsupported", words)
    never_sent = isinstance(cause, NEVER_SENT) or bool(NOT_CONNECTED.search(words))
    if isinstance(cause, requests.TooManyRedirects):
        words = "The address of the API redirects elsewhere; enter the one it leads to."
        return Outcome(Fate.ACCOUNT_STOPPED, server_said=words)
    said = f"No answer: {_innermost(cause or error)}"[:WORDS_LIMIT]
    return Outcome(Fate.DEFERRED, "dropped", said) if never_sent else Outcome(Fate.IN_DOUBT, "in doubt", said)


def _innermost(error: BaseException) -> str:
    """What the system said, without the classes and addresses that the libraries wrap around it."""
    while inner := _wrapped(error):
        error = inner
    return " ".join(str(getattr(error, "strerror", None) or error).split())


def _wrapped(error: BaseException) -> BaseException | None:
    held = (getattr(error, "reason", None), *error.args, error.__cause__)
    return next((each for each in held if isinstance(each, BaseException)), None)


def _what_stops(provider: str, http: int, text: str) -> Fate | None:
    if _matches(SENDER_WORDS, provider, text):
        return Fate.SENDER_REFUSED
    if http in ACCOUNT_STATUSES or _matches(ACCOUNT_WORDS, provider, text):
        return Fate.ACCOUNT_STOPPED
    return None


def _matches(words: dict[str, str], provider: str, text: str) -> bool:
    return bool(re.search(words.get(provider, NEVER), text))


def _status_of(answer: Any) -> int:
    """The HTTP status: of a response, or of what boto gives for one."""
    if isinstance(answer, dict):
        return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return int(getattr(answer, "status_code", 0))


def _text(answer: Any) -> str:
    return (
        json.dumps(answer.get("Error", answer), default=str)
        if isinstance(answer, dict)
        else getattr(answer, "text", "")
    )


def _answer(answer: Any) -> str:
    """The ESP's own words, with the HTTP status: the message out of its JSON, or the text as it is."""
    if answer is None:
        return ""
    text = _text(answer)
    try:
        said = _message(json.loads(text))
    except (ValueError, RecursionError):
        said = "" if text.lstrip().startswith("<") else text  # a proxy's HTML page says nothing to a person
    return " ".join(f"{_status_of(answer) or ''} {said}".split())[:WORDS_LIMIT]


def _message(data: Any) -> str:
    """The longest sentence under the keys in which ESPs put their words; all of it where there is none."""
    found = sorted(_sentences(data), key=len)
    return found[-1] if found else json.dumps(data)


def _sentences(data: Any) -> list[str]:
    if isinstance(data, list):
        return [each for item in data for each in _sentences(item)]
    if not isinstance(data, dict):
        return []
    keys = ("message", "errormessage", "detail", "description", "error", "reject_reason")
    own = [value for key, value in data.items() if key.lower() in keys and isinstance(value, str)]
    return own + [
        each for value in data.values() if isinstance(value, dict | list) for each in _sentences(value)
    ]


def _retry_after(answer: Any) -> float | None:
    """Seconds until the ESP takes more, from the header in which it says so; never more than a day."""
    headers = getattr(answer, "headers", {})
    waits = (_seconds(str(headers.get(name, "")).strip()) for name in RESETS)
    return next((min(wait, LONGEST_ASKED) for wait in waits if wait is not None), None)


def _seconds(value: str) -> float | None:
    """From now on: a number or a date (RFC 9110 §10.2.3), or since 1970 in seconds or milliseconds."""
    if re.fullmatch(r"\d{1,15}(\.\d+)?", value):
        number = float(value)
        if number < SINCE_1970:
            return number
        return max(0.0, number / (1000 if number > SINCE_1970 * 1000 else 1) - time.time())
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, (when - datetime.datetime.now(datetime.UTC)).total_seconds()) if when.tzinfo else None
