"""Mailjet: POST /send of version 3.1. https://dev.mailjet.com/email/reference/send-emails/"""

import json
import uuid

from tests.fake_esp.core import Account, Answer, Refused, Reply, Request, named, words
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import BadTemplate, mailjet

MESSAGES = RECIPIENTS = 50  # of a call, of a message
OCTETS = 15 * 1024 * 1024
KNOWN = {"Messages", "Globals", "SandboxMode", "AdvanceErrorHandling"}
KNOWN_OF_ONE = words(
    "From Sender To Cc Bcc ReplyTo Subject TextPart HTMLPart TemplateID TemplateLanguage "
    "TemplateErrorReporting TemplateErrorDeliver Attachments InlinedAttachments Priority CustomCampaign "
    "DeduplicateCampaign TrackOpens TrackClicks CustomID EventPayload URLTags Headers Variables"
)
# Headers that are not ours to set, in lower case; List-Id is among them.
RESERVED = words(
    "from sender subject to cc bcc reply-to return-path delivered-to dkim-signature domainkey-status "
    "received-spf authentication-results received x-mailjet-prio x-mailjet-debug user-agent x-mailer "
    "x-mj-customid x-mj-eventpayload x-mj-vars x-mj-templateerrordeliver x-mj-templateerrorreporting "
    "x-mj-templatelanguage x-mailjet-trackopen x-mailjet-trackclick x-mj-templateid x-mj-workflowid "
    "x-feedback-id x-mailjet-segmentation list-id x-mj-mid x-mj-errormessage date x-csa-complaints "
    "message-id x-mailjet-campaign x-mj-statisticscontactslistid"
)
TRACKING = {"account_default", "disabled", "enabled"}


def throttled(retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, _error("mj-0002", 429, "Too many requests"), headers)


def broken(status: int) -> Answer:
    return Answer(status, _error("mj-0001", status, "Internal server error"))


def handle(request: Request, account: Account) -> Reply:
    user, secret = request.basic
    if not user or not account.knows(secret):
        words = "API key authentication/authorization failure. You may be unauthorized to access the API."
        raise Refused(401, _error("mj-0015", 401, words))
    if (request.method, request.path.rstrip("/")) != ("POST", "/send"):
        raise Refused(404, _error("mj-0006", 404, "Resource not found"))
    if len(request.body) > OCTETS:
        raise Refused(413, _error("mj-0019", 413, "The payload exceeds 15 MB."))
    try:
        data = request.json
    except ValueError:
        raise Refused(400, _error("mj-0031", 400, "Malformed JSON, please review the syntax.")) from None
    if strange := named(data, KNOWN):
        raise Refused(400, _error("send-0003", 400, f"The documents know no property “{strange[0]}”."))
    messages = data.get("Messages")
    if not isinstance(messages, list) or not 0 < len(messages) <= MESSAGES:
        raise Refused(400, _error("mj-0021", 400, f"Messages has between 1 and {MESSAGES} items."))
    return _take([{**data.get("Globals", {}), **each} for each in messages], account)


def _error(code: str, status: int, words: str, *related: str) -> dict:
    error = {
        "ErrorIdentifier": str(uuid.uuid4()),
        "ErrorCode": code,
        "StatusCode": status,
        "ErrorMessage": words,
    }
    return {**error, "ErrorRelatedTo": list(related)} if related else error


def _take(messages: list[dict], account: Account) -> Reply:
    """Each message has a result of its own; one that fails makes the whole answer a 400, the others are sent."""
    results, taken, refused, missing = [], [], {}, []
    for each in messages:
        error = _wrong(each, account)
        if error:
            results.append({"Status": "error", "Errors": [error]})
            refused |= {str(person.get("Email")): error["ErrorMessage"] for person in each.get("To", ())}
            continue
        people = [
            {
                "Email": person["Email"],
                "MessageUUID": str(uuid.uuid4()),
                "MessageID": 576460000000000 + account.number(),
            }
            for person in each["To"]
        ]
        for person, told in zip(each["To"], people, strict=True):
            told["MessageHref"] = f"https://api.mailjet.com/v3/REST/message/{told['MessageID']}"
            if account.refusal(person["Email"]):
                refused[person["Email"]] = "suppressed"
            else:
                taken.append((each, person, told))
                _filled(each, missing)
        results.append(
            {"Status": "success", "CustomID": each.get("CustomID", ""), "To": people, "Cc": [], "Bcc": []}
        )

    def render(index: int) -> Message:
        return _message(*taken[index])

    status = 400 if any(each["Status"] == "error" for each in results) else 200
    addresses = [person["Email"] for _, person, told in taken]
    return Reply(Answer(status, {"Messages": results}), addresses, render, refused, sorted(set(missing)))


def _wrong(message: dict, account: Account) -> dict | None:
    if strange := named(message, KNOWN_OF_ONE):
        return _error("send-0003", 400, f"The documents know no property “{strange[0]}”.", strange[0])
    sender = (message.get("From") or {}).get("Email", "")
    if account.refusal(sender) == "invalid":
        return _error("mj-0013", 400, f"“{sender}” is an invalid email address.", "From.Email")
    if not account.may_send_from(sender):
        return _error(
            "send-0008", 403, f"“{sender}” is not an authorized sender address for your account.", "From"
        )
    people = message.get("To") or []
    if not 0 < len(people) <= RECIPIENTS:
        return _error("mj-0021", 400, f"To has between 1 and {RECIPIENTS} recipients.", "To")
    for index, person in enumerate(people):
        if account.refusal(str(person.get("Email"))) == "invalid":
            return _error(
                "mj-0013", 400, f"“{person.get('Email')}” is an invalid email address.", f"To[{index}].Email"
            )
    if not (message.get("TextPart") or message.get("HTMLPart") or message.get("TemplateID")):
        return _error(
            "send-0003", 400, "At least “HTMLPart”, “TextPart” or “TemplateID” must be provided.", "TextPart"
        )
    return _wrong_options(message)


def _wrong_options(message: dict) -> dict | None:
    for name in ("TrackOpens", "TrackClicks"):
        if message.get(name, "disabled") not in TRACKING:
            return _error("mj-0018", 400, f"“{message[name]}” is not allowed.", name)
    for name, value in (message.get("Headers") or {}).items():
        if name.lower() in RESERVED:
            return _error(
                "send-0011",
                400,
                f"Header cannot be customized using the Headers collection: {name}.",
                "Headers",
            )
        if not isinstance(value, str):
            return _error("mj-0004", 400, "A header's value is a string.", "Headers")
    try:
        _filled(message, [])
    except BadTemplate as problem:
        return _error("mj-0030", 400, str(problem), "TemplateLanguage")
    return None


def _filled(message: dict, missing: list[str]) -> dict[str, str]:
    """Its placeholders; a subject has some with the template language alone."""
    language, values = bool(message.get("TemplateLanguage")), message.get("Variables") or {}
    return {
        name: mailjet(message.get(name) or "", values, missing, language=language)
        if language or name != "Subject"
        else message.get(name) or ""
        for name in ("Subject", "HTMLPart", "TextPart")
    }


def _message(data: dict, person: dict, told: dict) -> Message:
    filled = _filled(data, [])
    payload = data.get("EventPayload", "")
    return Message(
        "mailjet",
        str(told["MessageID"]),
        person["Email"],
        to_name=person.get("Name", ""),
        sender=data["From"]["Email"],
        sender_name=data["From"].get("Name", ""),
        reply_to=(data.get("ReplyTo") or {}).get("Email", ""),
        subject=filled["Subject"],
        html=filled["HTMLPart"],
        text=filled["TextPart"],
        headers=data.get("Headers") or {},
        metadata=json.loads(payload) if payload.startswith("{") else {},
        tags=(data["CustomCampaign"],) if data.get("CustomCampaign") else (),
        options={
            "to": [each["Email"] for each in data["To"]],
            "CustomID": data.get("CustomID", ""),
            "EventPayload": payload,
            "MessageUUID": told["MessageUUID"],
            "TrackOpens": data.get("TrackOpens"),
            "TrackClicks": data.get("TrackClicks"),
        },
    )
