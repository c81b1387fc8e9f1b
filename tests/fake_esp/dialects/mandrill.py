"""Mandrill: POST /messages/send.json. https://mailchimp.com/developer/transactional/api/messages/send-new-message/"""

import uuid

from tests.fake_esp.core import (
    MEGABYTE,
    Account,
    Answer,
    Refused,
    Reply,
    Request,
    is_text,
    named,
    words,
)
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import BadTemplate, curly, curly_names, mandrill, mandrill_names, unfilled

RECIPIENTS = 1000  # advised, a call
OCTETS = 25 * MEGABYTE
KNOWN = {"key", "message", "async", "ip_pool", "send_at"}
KNOWN_OF_MESSAGE = words(
    "html text subject from_email from_name to headers important track_opens track_clicks auto_text "
    "auto_html inline_css url_strip_qs preserve_recipients view_content_link bcc_address "
    "tracking_domain signing_domain return_path_domain merge merge_language global_merge_vars "
    "merge_vars tags subaccount google_analytics_domains google_analytics_campaign metadata "
    "recipient_metadata attachments images"
)
LANGUAGES = {"mailchimp", "handlebars"}


def throttled(retry_after: int | None) -> Answer:
    return Answer(
        429, {"status": "error", "code": -99, "name": "TooManyRequests", "message": "Too many requests"}
    )


def broken(status: int) -> Answer:
    return Answer(
        status, {"status": "error", "code": -99, "name": "GeneralError", "message": "An unexpected error"}
    )


def handle(request: Request, account: Account) -> Reply:
    if (request.method, request.path.rstrip("/")) != ("POST", "/messages/send.json"):
        raise _refused("Unknown_Template", "No such template, or no such method.")
    if len(request.body) > OCTETS:
        raise _refused("ValidationError", "The request exceeds 25 MB.")
    try:
        data = request.json
    except ValueError:
        raise _refused("ValidationError", "You must specify a valid JSON object.") from None
    if not account.knows(data.get("key", "")):
        raise _refused("Invalid_Key", "Invalid API key", -1)
    message = data.get("message") or {}
    if strange := named(data, KNOWN) or named(message, KNOWN_OF_MESSAGE):
        raise _refused("ValidationError", f"The documents know no field {strange[0]}.", -2)
    _check(message, account)
    return _take(message, account)


def _refused(name: str, message: str, code: int = -99) -> Refused:
    """Every error is a 500."""
    return Refused(500, {"status": "error", "code": code, "name": name, "message": message})


def _check(message: dict, account: Account) -> None:
    people = message.get("to") or []
    if not 0 < len(people) <= RECIPIENTS or not all(is_text(each.get("email")) for each in people):
        raise _refused("ValidationError", "Validation error: {'message':{'to':'Please enter an array'}}", -2)
    if account.refusal(message.get("from_email", "")) == "invalid":
        raise _refused(
            "ValidationError",
            "Validation error: {'message':{'from_email':'An email address must contain a single @'}}",
            -2,
        )
    if not all(isinstance(value, str) for value in (message.get("headers") or {}).values()):
        raise _refused("ValidationError", "Validation error: headers are strings", -2)
    if message.get("merge_language", "mailchimp") not in LANGUAGES:
        raise _refused("ValidationError", "Validation error: merge_language", -2)


def _values(message: dict) -> dict[str, dict]:
    """{address in lower case: values}, the shared ones included."""
    shared = {each["name"]: each["content"] for each in message.get("global_merge_vars", ())}
    own = {
        each["rcpt"].lower(): {var["name"]: var["content"] for var in each["vars"]}
        for each in message.get("merge_vars", ())
    }
    return {each["email"].lower(): {**shared, **own.get(each["email"].lower(), {})} for each in message["to"]}


def _take(message: dict, account: Account) -> Reply:
    unsigned = not account.may_send_from(message["from_email"])
    results, taken, refused = [], [], {}
    for person in message["to"]:
        address, name = person["email"], uuid.uuid4().hex
        why = account.refusal(address)
        if unsigned or why:
            refused[address] = "unsigned" if unsigned else str(why)
            status = "invalid" if why == "invalid" else "rejected"
            reason = {"invalid": None, "suppressed": "hard-bounce"}.get(str(why), "unsigned")
            results.append({"email": address, "status": status, "_id": name, "reject_reason": reason})
        else:
            taken.append((person, name))
            results.append({"email": address, "status": "sent", "_id": name, "reject_reason": None})
    values = _values(message)
    every = [values[person["email"].lower()] for person, _ in taken]

    def render(index: int) -> Message:
        person, name = taken[index]
        return _message(message, person, name, every[index])

    addresses = [person["email"] for person, name in taken]
    return Reply(Answer(200, results), addresses, render, refused, _unfilled(message, every))


def _unfilled(message: dict, every: list[dict]) -> list[str]:
    templates = tuple(message.get(part) or "" for part in ("subject", "html", "text"))
    if not _merges(message):
        return []
    if message.get("merge_language") != "handlebars":
        lower = [{name.lower(): value for name, value in values.items()} for values in every]
        return unfilled(mandrill_names, templates, lower) if any("*|" in each for each in templates) else []
    try:
        return unfilled(curly_names, templates, every)
    except BadTemplate as problem:
        raise _refused("ValidationError", f"The template cannot be parsed: {problem}", -2) from None


def _merges(message: dict) -> bool:
    """Data for placeholders outweighs the switch."""
    has_data = message.get("merge_vars") or message.get("global_merge_vars")
    return bool(message.get("merge", True) or has_data)


def _message(message: dict, person: dict, name: str, values: dict) -> Message:
    missing: list[str] = []

    def fill(part: str, *, escapes: bool = False) -> str:
        template = message.get(part) or ""
        if not _merges(message):
            return template
        if message.get("merge_language") == "handlebars":
            return curly(template, values, missing, escapes=escapes)
        return mandrill(template, values, missing)

    own = next(
        (each["values"] for each in message.get("recipient_metadata", ()) if each["rcpt"] == person["email"]),
        {},
    )
    headers = dict(message.get("headers") or {})
    is_alone = message.get("preserve_recipients") is False
    return Message(
        "mandrill",
        name,
        person["email"],
        to_name=person.get("name", ""),
        sender=message["from_email"],
        sender_name=message.get("from_name", ""),
        reply_to=headers.pop("Reply-To", ""),
        subject=fill("subject"),
        html=fill("html", escapes=True),
        text=fill("text"),
        headers=headers,
        metadata={**message.get("metadata", {}), **own},
        tags=tuple(message.get("tags", ())),
        options={
            "to": [person["email"]] if is_alone else [each["email"] for each in message["to"]],
            "track_opens": message.get("track_opens"),
            "track_clicks": message.get("track_clicks"),
            "missing": missing,
        },
    )
