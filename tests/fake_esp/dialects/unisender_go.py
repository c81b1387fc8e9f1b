"""Unisender Go: POST /email/send.json. https://godocs.unisender.ru/web-api-ref#email-send"""

import re
import uuid

from tests.fake_esp.core import (
    MEGABYTE,
    Account,
    Answer,
    Refused,
    Reply,
    Request,
    mailbox,
    mailboxes,
    named,
    words,
)
from tests.fake_esp.messages import Message

RECIPIENTS = 500  # a call
OCTETS = 10 * MEGABYTE
HEADERS, METADATA, TAGS = 50, (10, 64, 1024), (4, 50)
KNOWN = words(
    "recipients template_id tags skip_unsubscribe global_language template_engine global_substitutions "
    "global_metadata body subject from_email from_name reply_to reply_to_name track_links track_read "
    "bypass_global bypass_unavailable bypass_unsubscribed bypass_complained idempotence_key headers "
    "attachments inline_attachments options"
)
KNOWN_OF_ONE = {"email", "substitutions", "metadata"}
# Of the others, only those that begin with X- are kept.
KEPT = words(
    "to cc bcc in-reply-to references list-unsubscribe list-subscribe list-help list-owner list-archive"
)
TAG = re.compile(r"\{\{(\w+)\}\}")  # without a space
ENGINES = {"simple", "velocity", "none"}


def throttled(retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, _error(901, "Too many requests"), headers)


def broken(status: int) -> Answer:
    return Answer(status, _error(150, "Internal server error"))


def handle(request: Request, account: Account) -> Reply:
    try:
        data = request.json
    except ValueError:
        raise Refused(400, _error(101, "The body is not valid JSON.")) from None
    if not account.knows(request.headers.get("x-api-key", "") or data.get("api_key", "")):
        raise Refused(401, _error(102, "Can not decode key in 'api_key' or 'X-API-KEY' header."))
    if (request.method, request.path.rstrip("/")) != ("POST", "/email/send.json"):
        raise Refused(404, _error(103, "No such method."))
    if len(request.body) > OCTETS:
        raise Refused(413, _error(104, "The request exceeds 10 MB."))
    message = data.get("message") or {}
    _check(message, account)
    return _take(message, account)


def _error(code: int, message: str, **more) -> dict:
    return {"status": "error", "message": f"Error ID:{uuid.uuid4()}. {message}", "code": code, **more}


def _refused(code: int, message: str) -> Refused:
    return Refused(400, _error(code, message))


def _check(message: dict, account: Account) -> None:
    if strange := named(message, KNOWN):
        raise _refused(105, f"The documents know no field '{strange[0]}'.")
    people = message.get("recipients") or []
    if not 0 < len(people) <= RECIPIENTS:
        raise _refused(106, f"'recipients' has between 1 and {RECIPIENTS} items.")
    body = message.get("body") or {}
    if not (body.get("html") or body.get("plaintext")):
        raise _refused(107, "The body is empty.")
    if not message.get("subject"):
        raise _refused(108, "The 'subject' is empty.")
    sender = message.get("from_email", "")
    if account.refusal(sender) == "invalid":
        raise _refused(113, "'from_email' is not an email address.")
    if not account.may_send_from(sender):
        raise Refused(403, _error(203, f"The domain of '{sender}' is not confirmed."))
    if message.get("template_engine", "simple") not in ENGINES:
        raise _refused(109, "'template_engine' is not known.")
    if len(message.get("headers", {})) > HEADERS:
        raise _refused(110, f"At most {HEADERS} headers.")
    count, length = TAGS
    if len(message.get("tags", ())) > count or any(len(each) > length for each in message.get("tags", ())):
        raise _refused(111, f"At most {count} tags of {length} characters.")
    for each in people:
        if strange := named(each, KNOWN_OF_ONE):
            raise _refused(105, f"The documents know no field '{strange[0]}' of a recipient.")
        _check_metadata(each.get("metadata", {}))
    _check_metadata(message.get("global_metadata", {}))


def _check_metadata(metadata: dict) -> None:
    count, name_length, value_length = METADATA
    if len(metadata) > count:
        raise _refused(112, f"Metadata has at most {count} fields.")
    for name, value in metadata.items():
        if len(name) > name_length or not isinstance(value, str) or len(value) > value_length:
            raise _refused(112, f"Metadata field '{name}' is too long, or no string.")


def _take(message: dict, account: Account) -> Reply:
    job = f"{uuid.uuid4().hex[:6]}-{account.number():06}-Go"
    words = {"invalid": "invalid", "suppressed": "permanent_unavailable"}
    people, failed = {}, {}
    for each in message["recipients"]:
        if why := account.refusal(each["email"]):
            failed[each["email"]] = words[why]
        elif each["email"] in people:
            failed[each["email"]] = "duplicate"
        else:
            people[each["email"]] = each
    if not people:
        return Reply(Answer(400, _error(204, "No valid recipients.", failed_emails=failed)), refused=failed)
    taken = list(people.values())
    answer = {"status": "success", "job_id": job, "emails": list(people), "failed_emails": failed}

    def render(index: int) -> Message:
        return _message(message, taken[index], job)

    addresses = [each["email"] for each in taken]
    refused = {address: why for address, why in failed.items() if why != "duplicate"}
    return Reply(Answer(200, answer), addresses, render, refused, sorted(_unfilled(message, taken)))


def _id(person: dict, job: str) -> str:
    """Its webhooks name the job, and bring the metadata back, in which anymail has an id of its own."""
    return person.get("metadata", {}).get("anymail_id", job)


def _kept(headers: dict) -> dict:
    return {
        name: value
        for name, value in headers.items()
        if name.lower().startswith("x-") or name.lower() in KEPT
    }


def _unfilled(message: dict, taken: list[dict]) -> set[str]:
    body = message["body"]
    parts = [
        message["subject"],
        body.get("html") or "",
        body.get("plaintext") or "",
        *_kept(message.get("headers", {})).values(),
    ]
    wanted = {name for part in parts if "{{" in part for name in TAG.findall(part)}
    wanted -= set(message.get("global_substitutions", {})) | {"to_name"}
    return (
        {name for each in taken for name in wanted - set(each.get("substitutions", {}))} if wanted else wanted
    )


def _message(message: dict, person: dict, job: str) -> Message:
    values = {**message.get("global_substitutions", {}), **person.get("substitutions", {})}

    def fill(template: str | None) -> str:
        if message.get("template_engine") == "none":
            return template or ""
        return TAG.sub(lambda found: str(values.get(found[1], "")), template or "")

    headers = {name: fill(value) for name, value in _kept(message.get("headers", {})).items()}
    shown = next((headers.pop(name) for name in list(headers) if name.lower() == "to"), person["email"])
    return Message(
        "unisender_go",
        _id(person, job),
        person["email"],
        to_name=values.get("to_name", "") or mailbox(shown)[0],
        sender=message["from_email"],
        sender_name=fill(message.get("from_name")),
        reply_to=message.get("reply_to", ""),
        subject=fill(message["subject"]),
        html=fill(message["body"].get("html")),
        text=fill(message["body"].get("plaintext")),
        headers=headers,
        metadata={**message.get("global_metadata", {}), **person.get("metadata", {})},
        tags=tuple(message.get("tags", ())),
        options={
            "job_id": job,
            "to": [each[1] for each in mailboxes(shown)],
            "track_links": message.get("track_links"),
            "track_read": message.get("track_read"),
        },
    )
