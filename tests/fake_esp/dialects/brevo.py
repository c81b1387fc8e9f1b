"""Brevo: POST /smtp/email. https://developers.brevo.com/reference/sendtransacemail

GET /smtp/blockedContacts: https://developers.brevo.com/reference/get-transac-blocked-contacts
"""

import json
import re
import time
import uuid

from tests.fake_esp.core import (
    MEGABYTE,
    Account,
    Answer,
    Refused,
    Reply,
    Request,
    decoded,
    is_text,
    named,
    page_of,
    words,
)
from tests.fake_esp.messages import Message

VERSIONS, RECIPIENTS, RECIPIENTS_OF_ONE = 1000, 2000, 99
OCTETS = 20 * MEGABYTE
PARAMS_OCTETS, ALL_PARAMS_OCTETS = 100_000, 1_000_000
KNOWN = words(
    "sender to bcc cc htmlContent textContent subject replyTo attachment headers templateId params "
    "messageVersions tags scheduledAt batchId"
)
KNOWN_OF_ONE = {"to", "params", "bcc", "cc", "replyTo", "subject", "htmlContent", "textContent", "headers"}
TAG = re.compile(r"\{\{\s*(params|contact)\.(\w+)\s*\}\}")


def throttled(retry_after: int | None) -> Answer:
    reset = str(retry_after if retry_after is not None else 1)
    headers = {
        "x-sib-ratelimit-limit": "1000",
        "x-sib-ratelimit-remaining": "0",
        "x-sib-ratelimit-reset": reset,
    }
    return Answer(429, {"code": "too_many_requests", "message": "Too many requests"}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"code": "internal_error", "message": "Internal server error"})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("api-key", "")):
        raise Refused(401, {"message": "Key not found", "code": "unauthorized"})
    if (request.method, request.path.rstrip("/")) == ("GET", "/smtp/blockedContacts"):
        return _listed(request, account)
    if (request.method, request.path.rstrip("/")) != ("POST", "/smtp/email"):
        raise Refused(404, {"code": "document_not_found", "message": "No such route"})
    if len(request.body) > OCTETS:
        raise _refused("Request size is over 20 MB", status=413)
    try:
        data = request.json
    except ValueError:
        raise Refused(400, {"code": "bad_request", "message": "Input must be a valid JSON object"}) from None
    key = _take_out(data.get("headers"), "idempotencykey")
    conflict = Answer(
        400, {"code": "duplicate_request", "message": "The idempotencyKey was used with another payload"}
    )
    if key and (before := account.once(key, request.body, conflict)):
        return Reply(before)
    _check(data, account)
    reply = _take(data, account)
    if key:
        account.remember(key, request.body, reply.answer)
    return reply


def _listed(request: Request, account: Account) -> Reply:
    """The newest first, unless asked otherwise."""
    query, entries = request.asked, account.lists.get("blockedContacts", [])
    ordered = entries if query.get("sort") == "asc" else entries[::-1]
    page = page_of(ordered, int(query.get("offset", 0)), int(query.get("limit", 50)), 100)
    if page is None:
        raise _refused("limit exceeds max value", "out_of_range")
    return Reply(Answer(200, {"count": len(entries), "contacts": page}))


def _refused(message: str, code: str = "invalid_parameter", status: int = 400) -> Refused:
    return Refused(status, {"code": code, "message": message})


def _missing(message: str) -> Refused:
    return _refused(message, "missing_parameter")


def _take_out(headers: dict | None, name: str) -> str:
    """Idempotency keys are given among a message's headers, and are none."""
    for each in list(headers or ()):
        if each.lower() == name:
            return headers.pop(each)
    return ""


def _check(data: dict, account: Account) -> None:
    if strange := named(data, KNOWN):
        raise _refused(f"The documents know no field '{strange[0]}'")
    if not is_text((data.get("sender") or {}).get("email")):
        raise _missing("sender is missing")
    if not account.may_send_from(data["sender"]["email"]):
        raise _refused(
            f"Sending has been rejected because the sender you used {data['sender']['email']} is not valid. "
            "Validate your sender or authenticate your domain"
        )
    if "to" in data and "messageVersions" in data:
        raise _refused("to and messageVersions exclude each other")
    if not data.get("to") and not data.get("messageVersions"):
        raise _missing("to is missing")
    if not data.get("subject"):
        raise _missing("subject is missing")
    if not data.get("htmlContent") and not data.get("textContent"):
        raise _missing("htmlContent or textContent is missing")
    _check_headers(data.get("headers", {}))
    if "messageVersions" in data:
        _check_versions(data["messageVersions"])
    elif len(data["to"]) > RECIPIENTS_OF_ONE:
        raise _refused(f"to may have at most {RECIPIENTS_OF_ONE} recipients")


def _check_headers(headers: dict) -> None:
    for name, value in headers.items():
        if not isinstance(value, str) or not value.isascii() or not name.isascii():
            raise _refused(f"The header {name} is no ASCII string: it would be sent as eight bits")


def _check_versions(versions: list[dict]) -> None:
    if len(versions) > VERSIONS:
        raise _refused(f"messageVersions may have at most {VERSIONS} entries")
    count = octets = 0
    for version in versions:
        if strange := named(version, KNOWN_OF_ONE):
            raise _refused(f"The documents know no field '{strange[0]}' of a version")
        people = version.get("to") or []
        if not 0 < len(people) <= RECIPIENTS_OF_ONE:
            raise _refused(f"to of each version has 1 to {RECIPIENTS_OF_ONE} recipients")
        count += len(people)
        if version.get("params"):
            size = len(json.dumps(version["params"], ensure_ascii=False).encode())
            octets += size
            if size > PARAMS_OCTETS:
                raise _refused("params of a version may have at most 100 KB")
        _check_headers(version.get("headers") or {})
    if count > RECIPIENTS:
        raise _refused(f"At most {RECIPIENTS} recipients in one request")
    if octets > ALL_PARAMS_OCTETS:
        raise _refused("params of all versions may have at most 1000 KB")


def _take(data: dict, account: Account) -> Reply:
    """What is suppressed is taken like everything else, and “blocked” later."""
    versions = data.get("messageVersions") or [{"to": data["to"]}]
    people = [(version, person, index) for index, version in enumerate(versions) for person in version["to"]]
    for _, person, _ in people:
        if account.refusal(str(person.get("email"))) == "invalid":
            raise _refused("email is not valid in to")
    moment = time.strftime("%Y%m%d%H%M")
    call = uuid.uuid4().hex[:12]
    ids = [f"<{moment}.{call}{index:04}@smtp-relay.mailin.fr>" for index in range(len(versions))]
    taken = [each for each in people if not account.refusal(each[1]["email"])]

    def render(index: int) -> Message:
        version, person, number = taken[index]
        return _message(data, version, person, ids[number])

    return Reply(
        Answer(201, {"messageIds": ids} if "messageVersions" in data else {"messageId": ids[0]}),
        [person["email"] for _, person, number in taken],
        render,
        {person["email"]: "suppressed" for _, person, _ in people if account.refusal(person["email"])},
        sorted({name for version in versions for name in _unfilled(data, version)}),
    )


def _unfilled(data: dict, version: dict) -> set[str]:
    texts = [version.get(each) or data.get(each) or "" for each in ("subject", "htmlContent", "textContent")]
    wanted = {found[2] for text in texts if "{{" in text for found in TAG.finditer(text)}
    return wanted - set({**data.get("params", {}), **(version.get("params") or {})}) if wanted else set()


def _message(data: dict, version: dict, person: dict, name: str) -> Message:
    values = {**data.get("params", {}), **(version.get("params") or {})}

    def fill(field: str) -> str:
        template = version.get(field) or data.get(field) or ""
        return TAG.sub(lambda found: str(values.get(found[2], "")) if found[1] == "params" else "", template)

    headers = {**data.get("headers", {}), **(version.get("headers") or {})}
    custom = next((value for each, value in headers.items() if each.lower() == "x-mailin-custom"), "")
    reply = version.get("replyTo") or data.get("replyTo") or {}
    return Message(
        "brevo",
        name,
        person["email"],
        to_name=decoded(person.get("name", "")),
        sender=data["sender"]["email"],
        sender_name=decoded(data["sender"].get("name", "")),
        reply_to=reply.get("email", ""),
        subject=fill("subject"),
        html=fill("htmlContent"),
        text=fill("textContent"),
        headers=headers,
        metadata=json.loads(custom) if custom.startswith("{") else {},
        tags=tuple(data.get("tags", ())),
        options={"to": [each["email"] for each in version["to"]]},
    )
