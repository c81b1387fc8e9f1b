"""Resend: POST /emails and /emails/batch. https://resend.com/docs/api-reference/emails/send-batch-emails"""

import json
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
    named,
    words,
)
from tests.fake_esp.messages import Message

A_BATCH, RECIPIENTS = 100, 50  # messages, recipients of a message
OCTETS = 40 * MEGABYTE
KEY_CHARACTERS = 256
KNOWN = words(
    "from to subject bcc cc scheduled_at reply_to html text react headers topic_id attachments tags template"
)
NOT_IN_BATCH = {"attachments"}
TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
LIMITS = {"ratelimit-limit": "5", "ratelimit-remaining": "4", "ratelimit-reset": "1"}


def throttled(retry_after: int | None) -> Answer:
    seconds = str(retry_after if retry_after is not None else 1)
    headers = {**LIMITS, "ratelimit-remaining": "0", "ratelimit-reset": seconds, "retry-after": seconds}
    words = "Too many requests. You can only make 5 requests per second."
    return Answer(429, _error(429, "rate_limit_exceeded", words), headers)


def broken(status: int) -> Answer:
    return Answer(status, _error(status, "internal_server_error", "An unexpected error occurred."))


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.bearer):
        raise _refused(401, "missing_api_key", "Missing or invalid API key in the authorization header.")
    route = ROUTES.get((request.method, request.path.rstrip("/")))
    if not route:
        raise _refused(
            405, "method_not_allowed", "This endpoint does not exist or does not take this method."
        )
    if len(request.body) > OCTETS:
        raise _refused(413, "validation_error", "The request exceeds 40 MB.")
    key = request.headers.get("idempotency-key", "")
    if len(key) > KEY_CHARACTERS:
        raise _refused(400, "invalid_idempotency_key", "The key must be between 1 and 256 characters.")
    words = "Same idempotency key used with a different request payload."
    conflict = Answer(409, _error(409, "invalid_idempotent_request", words))
    if key and (before := account.once(request.path + key, request.body, conflict)):
        return Reply(before)
    try:
        data = request.json
    except ValueError:
        raise _invalid("The request body is not valid JSON.") from None
    reply = route(request, data, account)
    if key:
        account.remember(request.path + key, request.body, reply.answer)
    return reply


def _error(status: int, name: str, message: str) -> dict:
    return {"statusCode": status, "name": name, "message": message}


def _refused(status: int, name: str, message: str) -> Refused:
    return Refused(status, _error(status, name, message), LIMITS)


def _invalid(message: str) -> Refused:
    return _refused(422, "validation_error", message)


def _single(request: Request, data: dict, account: Account) -> Reply:
    _check(data, account)
    return _reply([data], account, lambda ids: {"id": ids[0]})


def _batch(request: Request, data: list, account: Account) -> Reply:
    """One that is wrong fails them all, but where the call asks for permissive validation."""
    if not isinstance(data, list) or not 0 < len(data) <= A_BATCH:
        raise _invalid(f"A batch is an array of 1 to {A_BATCH} emails.")
    is_permissive = request.headers.get("x-batch-validation") == "permissive"
    good, errors = [], []
    for index, each in enumerate(data):
        try:
            if NOT_IN_BATCH & set(each):
                raise _invalid("The `attachments` field is not supported in batches.")
            _check(each, account)
        except Refused as refused:
            if not is_permissive:
                raise
            errors.append({"index": index, "message": refused.answer.body["message"]})
        else:
            good.append(each)
    return _reply(
        good,
        account,
        lambda ids: {"data": [{"id": each} for each in ids], **({"errors": errors} if errors else {})},
    )


def _check(data: dict, account: Account) -> None:
    if strange := named(data, KNOWN):
        raise _invalid(f"The documents know no field `{strange[0]}`.")
    for name in ("from", "to", "subject"):
        if not data.get(name):
            raise _refused(422, "missing_required_field", f"Missing `{name}` field.")
    if not (data.get("html") or data.get("text")):
        raise _refused(422, "missing_required_field", "Missing `html` or `text` field.")
    sender = mailbox(data["from"])[1]
    if account.refusal(sender) == "invalid":
        raise _refused(
            422, "invalid_from_address", "Invalid `from` field. The email address needs to follow the format."
        )
    if not account.may_send_from(sender):
        domain = sender.rpartition("@")[2]
        raise _refused(
            403,
            "validation_error",
            f"The {domain} domain is not verified. Please, add and verify your domain.",
        )
    people = _people(data)
    if len(people) > RECIPIENTS:
        raise _invalid(f"The `to` field may have at most {RECIPIENTS} addresses.")
    if any(account.refusal(mailbox(each)[1]) == "invalid" for each in people):
        words = (
            "The email address needs to follow the `email@example.com` or `Name <email@example.com>` format."
        )
        raise _invalid(f"Invalid `to` field. {words}")
    headers = data.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise _invalid("Invalid `headers` field. Values must be strings.")
    for tag in data.get("tags") or ():
        if not all(TAG.fullmatch(str(tag.get(part))) for part in ("name", "value")):
            raise _invalid("Tags should only contain ASCII letters, numbers, underscores, or dashes.")


def _people(data: dict) -> list[str]:
    return [data["to"]] if isinstance(data["to"], str) else data["to"]


def _reply(data: list[dict], account: Account, shape) -> Reply:
    ids = [str(uuid.uuid4()) for _ in data]
    people = [(each, name, person) for each, name in zip(data, ids, strict=True) for person in _people(each)]
    taken = [each for each in people if not account.refusal(mailbox(each[2])[1])]

    def render(index: int) -> Message:
        return _message(*taken[index])

    return Reply(
        Answer(200, shape(ids), LIMITS),
        [mailbox(person)[1] for _, name, person in taken],
        render,
        {mailbox(person)[1]: "suppressed" for _, _, person in people if account.refusal(mailbox(person)[1])},
    )


def _message(data: dict, name: str, person: str) -> Message:
    to_name, to = mailbox(person)
    sender_name, sender = mailbox(data["from"])
    headers = data.get("headers") or {}
    metadata = next((value for each, value in headers.items() if each.lower() == "x-metadata"), "{}")
    replies = data.get("reply_to") or []
    return Message(
        "resend",
        name,
        to,
        to_name=to_name,
        sender=sender,
        sender_name=sender_name,
        reply_to=replies if isinstance(replies, str) else ", ".join(replies),
        subject=data["subject"],
        html=data.get("html") or "",
        text=data.get("text") or "",
        headers=headers,
        metadata=json.loads(metadata),
        tags=tuple(each["value"] for each in data.get("tags") or ()),
        options={"to": [mailbox(each)[1] for each in _people(data)]},
    )


ROUTES = {("POST", "/emails"): _single, ("POST", "/emails/batch"): _batch}
