"""Scaleway TEM: POST /emails. https://www.scaleway.com/en/developers/api/transactional-email/"""

import json
import uuid

from tests.fake_esp.core import Account, Answer, Refused, Reply, Request, named, words
from tests.fake_esp.messages import Message

RECIPIENTS = 50  # a call
KNOWN = words("project_id from to cc bcc subject text html attachments send_before additional_headers")


def throttled(retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, {"message": "quota exceeded", "type": "too_many_requests"}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"message": "internal error", "type": "internal"})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("x-auth-token", "")):
        raise Refused(
            401, {"message": "authentication is denied", "type": "denied_authentication", "method": "api_key"}
        )
    if (request.method, request.path.rstrip("/")) != ("POST", "/emails"):
        raise Refused(404, {"message": "not found", "type": "not_found"})
    try:
        data = request.json
    except ValueError:
        raise _invalid("body", "is not valid JSON") from None
    if strange := named(data, KNOWN):
        raise _invalid(strange[0], "is not known to the documents")
    _check(data, account)
    return _take(data, account)


def _invalid(argument: str, reason: str) -> Refused:
    details = [{"argument_name": argument, "reason": "constraint", "help_message": reason}]
    return Refused(400, {"message": "invalid argument(s)", "type": "invalid_arguments", "details": details})


def _check(data: dict, account: Account) -> None:
    for name in ("project_id", "from", "to", "subject"):
        if not data.get(name):
            raise _invalid(name, "is required")
    if not (data.get("text") or data.get("html")):
        raise _invalid("text", "text or html is required")
    sender = data["from"].get("email", "")
    if not account.may_send_from(sender):
        raise Refused(403, {"message": "domain is not checked", "type": "permissions_denied"})
    people = data["to"]
    if len(people) > RECIPIENTS:
        raise _invalid("to", f"has at most {RECIPIENTS} recipients")
    for person in [*people, data["from"]]:
        if account.refusal(str(person.get("email"))) == "invalid":
            raise _invalid("to", f"“{person.get('email')}” is not a valid email address")
    for header in data.get("additional_headers", ()):
        if set(header) != {"key", "value"} or not str(header["value"]).isascii():
            raise _invalid("additional_headers", "are objects of key and value, in ASCII")


def _take(data: dict, account: Account) -> Reply:
    ids = [str(uuid.uuid4()) for _ in data["to"]]
    answers = [
        {
            "id": name,
            "message_id": f"<{name}@tem.example>",
            "project_id": data["project_id"],
            "mail_from": data["from"]["email"],
            "mail_rcpt": person["email"],
            "rcpt_type": "to",
            "subject": data["subject"],
            "status": "sending",
        }
        for person, name in zip(data["to"], ids, strict=True)
    ]
    people = [each for each in zip(data["to"], ids, strict=True) if not account.refusal(each[0]["email"])]

    def render(index: int) -> Message:
        return _message(data, *people[index])

    addresses = [person["email"] for person, name in people]
    refused = {each["email"]: "suppressed" for each in data["to"] if account.refusal(each["email"])}
    return Reply(Answer(200, {"emails": answers}), addresses, render, refused)


def _message(data: dict, person: dict, name: str) -> Message:
    headers = {each["key"]: each["value"] for each in data.get("additional_headers", ())}
    return Message(
        "scaleway",
        name,
        person["email"],
        to_name=person.get("name", ""),
        sender=data["from"]["email"],
        sender_name=data["from"].get("name", ""),
        reply_to=headers.pop("Reply-To", ""),
        subject=data["subject"],
        html=data.get("html") or "",
        text=data.get("text") or "",
        headers=headers,
        metadata=json.loads(headers.get("X-Metadata", "{}")),
        options={"to": [each["email"] for each in data["to"]]},
    )
