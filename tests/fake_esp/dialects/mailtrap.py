"""Mailtrap: POST /send and /batch, each with a sandbox's number or without. https://docs.mailtrap.io/developers/email-sending"""

import json
import uuid

from tests.fake_esp.core import MEGABYTE, Account, Answer, Refused, Reply, Request, named, words
from tests.fake_esp.messages import Message

A_BATCH, RECIPIENTS = 500, 1000  # messages, recipients of a message
OCTETS, VARIABLES_CHARACTERS, CATEGORY_CHARACTERS = 50 * MEGABYTE, 1000, 255
KNOWN = words(
    "from to cc bcc reply_to attachments headers custom_variables subject text html category "
    "template_uuid template_variables"
)


def throttled(retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, {"success": False, "errors": ["Rate limit exceeded."]}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"success": False, "errors": ["Internal Server Error"]})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("api-token", "") or request.bearer):
        raise Refused(401, {"errors": ["Unauthorized"], "success": False})
    verb, _, sandbox = request.path.strip("/").partition("/")
    if request.method != "POST" or verb not in ("send", "batch"):
        raise Refused(404, {"errors": ["Not found"], "success": False})
    if len(request.body) > OCTETS:
        raise Refused(413, {"errors": ["The request exceeds 50 MB"], "success": False})
    try:
        data = request.json
    except ValueError:
        raise _refused("The body is not valid JSON") from None
    sender = ((data.get("base") or data).get("from") or {}).get("email", "")
    if sender and not account.may_send_from(sender):
        raise Refused(403, {"success": False, "errors": ["Sending from this domain is not allowed"]})
    return _batch(data, account, sandbox) if verb == "batch" else _single(data, account, sandbox)


def _refused(*words: str) -> Refused:
    return Refused(400, {"success": False, "errors": list(words)})


def _single(data: dict, account: Account, sandbox: str) -> Reply:
    if errors := _errors(data, account):
        raise _refused(*errors)
    reply, [answer] = _taken([data], account, sandbox)
    return reply._replace(answer=Answer(200, answer))


def _batch(data: dict, account: Account, sandbox: str) -> Reply:
    """What a request has outweighs the base, field by field; one that is wrong does not touch the others."""
    base, requests = data.get("base") or {}, data.get("requests")
    if not isinstance(requests, list) or not 0 < len(requests) <= A_BATCH:
        raise _refused(f"'requests' has between 1 and {A_BATCH} items")
    whole = [{**base, **each} for each in requests]
    errors = [_errors(each, account) for each in whole]
    good = [each for each, wrong in zip(whole, errors, strict=True) if not wrong]
    reply, answers = _taken(good, account, sandbox)
    told = iter(answers)
    responses = [{"success": False, "errors": wrong} if wrong else next(told) for wrong in errors]
    refused = {
        person.get("email", ""): wrong[0]
        for each, wrong in zip(whole, errors, strict=True)
        if wrong
        for person in each["to"]
    }
    return reply._replace(
        answer=Answer(200, {"success": True, "responses": responses}), refused={**reply.refused, **refused}
    )


def _errors(data: dict, account: Account) -> list[str]:
    if strange := named(data, KNOWN):
        return [f"The documents know no field '{strange[0]}'"]
    if "template_uuid" in data:
        return ["'template_uuid' is not found"]
    sender = (data.get("from") or {}).get("email", "")
    people = data.get("to") or []
    errors = [f"'{name}' is required" for name in ("from", "to", "subject") if not data.get(name)]
    if errors:
        return errors
    if account.refusal(sender) == "invalid":
        errors.append("'from' address is invalid")
    if not (data.get("text") or data.get("html")):
        errors.append("must specify either text or html body")
    if len(people) > RECIPIENTS:
        errors.append(f"'to' has at most {RECIPIENTS} recipients")
    errors += [
        f"'to' address '{each['email']}' is invalid"
        for each in people
        if account.refusal(each["email"]) == "invalid"
    ]
    if len(json.dumps(data.get("custom_variables", {}))) > VARIABLES_CHARACTERS:
        errors.append(f"'custom_variables' have at most {VARIABLES_CHARACTERS} characters")
    if len(data.get("category", "")) > CATEGORY_CHARACTERS:
        errors.append(f"'category' has at most {CATEGORY_CHARACTERS} characters")
    return errors


def _taken(good: list[dict], account: Account, sandbox: str) -> tuple[Reply, list[dict]]:
    """A sandbox gives one id a message, the real thing one a recipient."""
    answers, letters, refused = [], [], {}
    for data in good:
        ids = [str(uuid.uuid4()) for _ in data["to"]]
        answers.append({"success": True, "message_ids": ids[:1] if sandbox else ids})
        for person, name in zip(data["to"], ids, strict=True):
            if account.refusal(person["email"]):
                refused[person["email"]] = "suppressed"
            else:
                letters.append((data, person, ids[0] if sandbox else name))

    def render(index: int) -> Message:
        return _message(*letters[index])

    told = [person["email"] for _, person, name in letters]
    return Reply(Answer(), told, render, refused), answers


def _message(data: dict, person: dict, name: str) -> Message:
    return Message(
        "mailtrap",
        name,
        person["email"],
        to_name=person.get("name", ""),
        sender=data["from"]["email"],
        sender_name=data["from"].get("name", ""),
        reply_to=(data.get("reply_to") or {}).get("email", ""),
        subject=data["subject"],
        html=data.get("html") or "",
        text=data.get("text") or "",
        headers=data.get("headers", {}),
        metadata=data.get("custom_variables", {}),
        tags=(data["category"],) if data.get("category") else (),
        options={"to": [each["email"] for each in data["to"]]},
    )
