"""Postmark: POST /email, /email/batch and /email/bulk. https://postmarkapp.com/developer/api/email-api

GET /message-streams/{stream}/suppressions/dump: https://postmarkapp.com/developer/api/suppressions-api
"""

import datetime
import uuid
from collections.abc import Set

from tests.fake_esp.core import (
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
from tests.fake_esp.placeholders import BadTemplate, curly, curly_names, unfilled

A_BATCH = 500  # messages
RECIPIENTS = 50  # a message
MEGABYTES = 1024 * 1024
BATCH_OCTETS, MESSAGE_OCTETS, BODY_OCTETS = 50 * MEGABYTES, 10 * MEGABYTES, 5 * MEGABYTES
METADATA = (10, 20, 80)  # fields, characters of a name, of a value
KNOWN = words(
    "From To Cc Bcc Subject Tag HtmlBody TextBody ReplyTo Headers TrackOpens TrackLinks Metadata "
    "Attachments MessageStream"
)
KNOWN_OF_BULK = KNOWN - {"To"} | {"Messages", "InlineCss"}
KNOWN_OF_ONE = {"To", "Cc", "Bcc", "TemplateModel", "Metadata", "Headers"}
LINKS = {"None", "HtmlAndText", "HtmlOnly", "TextOnly"}
INACTIVE = "Inactive recipients are ones that have generated a hard bounce, a spam complaint, or a manual suppression."


def throttled(retry_after: int | None) -> Answer:
    return Answer(429, {"ErrorCode": 429, "Message": "Rate limit exceeded."})  # it names no time


def broken(status: int) -> Answer:
    return Answer(status, {"ErrorCode": 0, "Message": "Internal Server Error"})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("x-postmark-server-token", "")):
        raise _refused(
            401,
            10,
            "The Server Token you provided in the X-Postmark-Server-Token request header was invalid.",
        )
    if request.method == "GET" and request.path.startswith("/message-streams/"):
        return _dump(request, account)
    route = ROUTES.get((request.method, request.path.rstrip("/")))
    if not route:
        raise _refused(404, 404, "The requested resource does not exist.")
    if "json" not in request.headers.get("content-type", ""):
        raise _refused(422, 409, "The 'Content-Type' header must be 'application/json'.")
    try:
        data = request.json
    except ValueError:
        raise _refused(422, 402, "Received invalid JSON input.") from None
    return route(request, data, account)


def _refused(status: int, code: int, message: str) -> Refused:
    return Refused(status, {"ErrorCode": code, "Message": message})


def _dump(request: Request, account: Account) -> Reply:
    """All of a stream between two days, both included."""
    _, stream, *rest = request.path.strip("/").split("/")
    if rest != ["suppressions", "dump"]:
        raise _refused(404, 404, "The requested resource does not exist.")
    if stream not in account.streams:
        raise _refused(422, 1226, "The message stream for the provided 'ID' was not found.")
    since, until = request.asked.get("fromdate", ""), request.asked.get("todate", "9999")
    found = [each for each in account.lists.get(stream, ()) if since <= each["CreatedAt"][:10] <= until]
    return Reply(Answer(200, {"Suppressions": found}))


def _single(request: Request, data: dict, account: Account) -> Reply:
    error = _error(data, account, len(request.body))
    if error:
        return Reply(Answer(422, error), refused=_refusals(data, account))
    return _reply([data], [_taken(data, account)], account, lambda answers: answers[0])


def _batch(request: Request, data: list, account: Account) -> Reply:
    """Each message has an answer of its own within one 200."""
    if not isinstance(data, list):
        raise _refused(422, 402, "A batch is an array of messages.")
    if len(data) > A_BATCH:
        raise _refused(422, 410, f"Only {A_BATCH} messages may be sent in one batch.")
    if len(request.body) > BATCH_OCTETS:
        raise _refused(413, 0, "The batch exceeds 50 MB.")
    size = len(request.body) // max(len(data), 1)
    answers = [_error(each, account, size) or _taken(each, account) for each in data]
    return _reply(data, answers, account, lambda answers: answers)


def _reply(data: list, answers: list, account: Account, shape) -> Reply:
    letters = [
        (each, answer["MessageID"], person)
        for each, answer in zip(data, answers, strict=True)
        if not answer["ErrorCode"]
        for person in mailboxes(each["To"])
        if not account.refusal(person[1])
    ]
    refused = {}
    for each in data:
        refused |= _refusals(each, account)

    def render(index: int) -> Message:
        each, name, person = letters[index]
        return _message(each, name, person)

    return Reply(Answer(200, shape(answers)), [person[1] for _, name, person in letters], render, refused)


def _refusals(data: dict, account: Account) -> dict[str, str]:
    people = mailboxes(str(data.get("To", "")))
    return {address: why for _, address in people if (why := account.refusal(address))}


def _taken(data: dict, account: Account) -> dict:
    inactive = [address.lower() for address, why in _refusals(data, account).items() if why == "suppressed"]
    words = "OK"
    if inactive:
        words = (
            f"Message OK, but will not deliver to these inactive addresses: {', '.join(inactive)}. {INACTIVE}"
        )
    return {
        "To": data["To"],
        "SubmittedAt": datetime.datetime.now(datetime.UTC).isoformat(),
        "MessageID": str(uuid.uuid4()),
        "ErrorCode": 0,
        "Message": words,
    }


def _error(data: dict, account: Account, octets: int) -> dict | None:
    """What it says of one message that it does not take."""
    code, words = _wrong(data, account, octets)
    return {"ErrorCode": code, "Message": words} if code else None


def _wrong(data: dict, account: Account, octets: int, known: Set[str] = KNOWN) -> tuple[int, str]:
    if strange := named(data, known):
        return 300, f"The documents know no field '{strange[0]}'."
    sender = mailbox(str(data.get("From", "")))[1]
    if account.refusal(sender) == "invalid":
        return 300, f"Invalid 'From' address: '{sender}'."
    if not account.may_send_from(sender):
        return 400, "The 'From' address you supplied is not a Sender Signature on your account."
    if data.get("MessageStream", "outbound") not in account.streams:
        return 1235, f"The stream provided: '{data['MessageStream']}' does not exist on this server."
    if not (data.get("HtmlBody") or data.get("TextBody")):
        return 300, "Provide either email TextBody or HtmlBody or both."
    if (
        any(len(data.get(body) or "") > BODY_OCTETS for body in ("HtmlBody", "TextBody"))
        or octets > MESSAGE_OCTETS
    ):
        return 300, "The message is too large."
    if data.get("TrackLinks", "None") not in LINKS:
        return 300, f"Invalid 'TrackLinks' value: '{data['TrackLinks']}'."
    if len(data.get("Tag") or "") > 1000:
        return 300, "Tag value length is limited to 1000 characters."
    if problem := _wrong_headers(data.get("Headers", [])) or _wrong_metadata(data.get("Metadata", {})):
        return 300, problem
    return _wrong_recipients(data, account) if "To" in known else (0, "")


def _wrong_recipients(data: dict, account: Account) -> tuple[int, str]:
    people = mailboxes(str(data.get("To") or ""))
    if not people:
        return 300, "Zero recipients specified."
    if len(people) > RECIPIENTS:
        return 300, f"Too many recipients: at most {RECIPIENTS} a message."
    refusals = _refusals(data, account)
    for address, why in refusals.items():
        if why == "invalid":
            return 300, f"Invalid 'To' address: '{address}'."
    if len(refusals) == len({address for _, address in people}):
        found = ", ".join(address.lower() for address in refusals)
        words = "You tried to send to recipient(s) that have been marked as inactive."
        return 406, f"{words} Found inactive addresses: {found}. {INACTIVE}"
    return 0, ""


def _wrong_headers(headers: list) -> str:
    if not isinstance(headers, list) or any(set(each) != {"Name", "Value"} for each in headers):
        return "Headers are a list of objects with Name and Value."
    if any(not isinstance(each["Value"], str) for each in headers):
        return "A header's Value is a string."
    return ""


def _wrong_metadata(metadata: dict) -> str:
    fields, name_length, value_length = METADATA
    words = "Invalid metadata content."
    if len(metadata) > fields:
        return f"{words} Metadata is limited to {fields} fields."
    for name, value in metadata.items():
        if len(name) > name_length:
            return f"{words} Field names are limited to {name_length} characters. Problem field: '{name}'."
        if not isinstance(value, str) or len(value) > value_length:
            return f"{words} Field values are limited to {value_length} characters. Problem field: '{name}'."
    return ""


def _message(
    data: dict, name: str, person: tuple[str, str], fill=lambda template, escapes: template, **more
) -> Message:
    sender_name, sender = mailbox(data["From"])
    headers = {each["Name"]: each["Value"] for each in [*data.get("Headers", []), *more.get("Headers", [])]}
    return Message(
        "postmark",
        name,
        person[1],
        to_name=person[0],
        sender=sender,
        sender_name=sender_name,
        reply_to=data.get("ReplyTo", ""),
        subject=fill(data.get("Subject", ""), False),
        html=fill(data.get("HtmlBody") or "", True),
        text=fill(data.get("TextBody") or "", False),
        headers=headers,
        metadata=more.get("Metadata") or data.get("Metadata", {}),
        tags=(data["Tag"],) if data.get("Tag") else (),
        options={
            "MessageStream": data.get("MessageStream", "outbound"),
            "TrackOpens": data.get("TrackOpens"),
            "TrackLinks": data.get("TrackLinks", "None"),
            "to": [each[1] for each in mailboxes(data.get("To") or person[1])],
        },
    )


def _bulk(request: Request, data: dict, account: Account) -> Reply:
    """Mustachio's placeholders, filled in for each: escaped in HtmlBody alone. Taken now, sent later."""
    if len(request.body) > BATCH_OCTETS:
        raise _refused(413, 0, "The request exceeds 50 MB.")
    code, words = _wrong(data, account, 0, KNOWN_OF_BULK)
    if code:
        raise _refused(422, code, words)
    messages = data.get("Messages") or []
    if not messages:
        raise _refused(422, 300, "Messages are missing.")
    for each in messages:
        if strange := named(each, KNOWN_OF_ONE):
            raise _refused(422, 300, f"The documents know no field '{strange[0]}' of a message.")
        if problem := _wrong_headers(each.get("Headers", [])) or _wrong_metadata(each.get("Metadata", {})):
            raise _refused(422, 300, problem)
    people = [mailbox(str(each.get("To", ""))) for each in messages]
    for _, address in people:
        if account.refusal(address) == "invalid":
            raise _refused(422, 300, f"Invalid 'To' address: '{address}'.")
    try:
        templates = tuple(str(data.get(name) or "") for name in ("Subject", "HtmlBody", "TextBody"))
        gone = unfilled(curly_names, templates, [each.get("TemplateModel", {}) for each in messages])
    except BadTemplate as problem:
        raise _refused(422, 1109, f"The template has a syntax error: {problem}") from None
    return _bulk_reply(data, messages, people, account, gone)


def _bulk_reply(data: dict, messages: list, people: list, account: Account, gone: list[str]) -> Reply:
    job = str(uuid.uuid4())
    taken = [index for index, (_, address) in enumerate(people) if not account.refusal(address)]

    def render(index: int) -> Message:
        each, person = messages[taken[index]], people[taken[index]]

        def fill(template: str, escapes: bool) -> str:
            return curly(template, each.get("TemplateModel", {}), [], escapes=escapes)

        extra = {"Metadata": each.get("Metadata"), "Headers": each.get("Headers", [])}
        return _message(data, f"{job}-{index}", person, fill, **extra)

    answer = {
        "ID": job,
        "Status": "Accepted",
        "SubmittedAt": datetime.datetime.now(datetime.UTC).isoformat(),
        "TotalMessages": len(messages),
        "PercentageCompleted": 0.0,
        "Subject": data.get("Subject", ""),
    }
    addresses = [people[at][1] for index, at in enumerate(taken)]
    refused = {address: why for _, address in people if (why := account.refusal(address))}
    return Reply(Answer(200, answer), addresses, render, refused, gone)


ROUTES = {
    ("POST", "/email"): _single,
    ("POST", "/email/batch"): _batch,
    ("POST", "/email/bulk"): _bulk,
}
