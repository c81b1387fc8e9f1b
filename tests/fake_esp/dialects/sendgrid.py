"""SendGrid: POST /mail/send. https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send

GET /suppression/{list}: https://www.twilio.com/docs/sendgrid/api-reference/bounces-api/retrieve-all-bounces
"""

import json
import time
import uuid

from tests.fake_esp.core import Account, Answer, Refused, Reply, Request, is_text, named, page_of, words
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import sendgrid

PERSONALIZATIONS = RECIPIENTS = 1000  # a call
OCTETS = 30 * 1024 * 1024
ARGUMENTS_OCTETS = SUBSTITUTIONS_OCTETS = 10_000  # of one personalization, each
KNOWN = words(
    "personalizations from reply_to reply_to_list subject content attachments template_id headers "
    "categories custom_args send_at batch_id asm ip_pool_name mail_settings tracking_settings sections"
)
KNOWN_OF_ONE = words("to cc bcc from subject headers substitutions dynamic_template_data custom_args send_at")
RESERVED = words(
    "x-sg-id x-sg-eid received dkim-signature content-type content-transfer-encoding to from subject "
    "reply-to cc bcc"
)


def throttled(retry_after: int | None) -> Answer:
    reset = int(time.time() + (retry_after or 1))
    headers = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    return Answer(429, {"errors": [{"field": None, "message": "too many requests"}]}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"errors": [{"field": None, "message": "Internal Server Error"}]})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.bearer):
        raise _refused(401, "The provided authorization grant is invalid, expired, or revoked")
    if request.method == "GET" and request.path.startswith("/suppression/"):
        return _listed(request, account)
    if (request.method, request.path) != ("POST", "/mail/send"):
        raise _refused(404, "Not found")
    if len(request.body) > OCTETS:
        raise _refused(413, "Your message exceeds the maximum size of 30 megabytes")
    try:
        data = request.json
    except ValueError:
        raise _refused(400, "Bad Request") from None
    _check(data)
    if not account.may_send_from(data["from"]["email"]):
        raise _refused(
            403, "The from address does not match a verified Sender Identity. Mail cannot be sent", "from"
        )
    return _take(data, account)


def _refused(status: int, message: str, field: str | None = None) -> Refused:
    return Refused(status, {"errors": [{"message": message, "field": field, "help": None}]})


def _listed(request: Request, account: Account) -> Reply:
    if not account.may_read:
        raise _refused(403, "access forbidden")
    query = request.asked
    end = int(query.get("end_time", 2**40))
    entries = [
        each for each in account.lists.get(request.path.split("/")[2], ()) if each.get("created", 0) <= end
    ]
    page = page_of(entries, int(query.get("offset", 0)), int(query.get("limit", 500)), 500)
    if page is None:
        raise _refused(400, "limit must be between 1 and 500", "limit")
    return Reply(Answer(200, page))


def _check(data: dict) -> None:
    if strange := named(data, KNOWN):
        raise _refused(400, f"Additional property {strange[0]} is not allowed", strange[0])
    if not is_text(data.get("from", {}).get("email")):
        raise _refused(400, "The from object must be provided for every email send.", "from.email")
    if "reply_to" in data and "reply_to_list" in data:
        raise _refused(400, "Only one of reply_to and reply_to_list may be given.", "reply_to")
    _check_content(data)
    _check_headers(data.get("headers", {}), "headers")
    categories = data.get("categories", [])
    if (
        len(categories) > 10
        or len(set(categories)) < len(categories)
        or any(len(each) > 255 for each in categories)
    ):
        raise _refused(400, "At most 10 unique categories of 255 characters.", "categories")
    _check_values(data.get("custom_args", {}), ARGUMENTS_OCTETS, "custom_args")
    people = data.get("personalizations")
    if not isinstance(people, list) or not people:
        raise _refused(
            400, "The personalizations field is required and must have at least one.", "personalizations"
        )
    if len(people) > PERSONALIZATIONS:
        raise _refused(400, "The personalizations field may have at most 1000 entries.", "personalizations")
    count = 0
    for one in people:
        count += _check_one(one, data, "personalizations")
    if count > RECIPIENTS:
        raise _refused(400, "The total number of recipients may be at most 1000.", "personalizations")


def _check_content(data: dict) -> None:
    content = data.get("content", [])
    if not content and not data.get("template_id"):
        raise _refused(
            400, "Unless a valid template_id is provided, the content parameter is required.", "content"
        )
    for index, part in enumerate(content):
        if not is_text(part.get("type")) or not is_text(part.get("value")):
            raise _refused(
                400,
                "The content value must be a string at least one character in length.",
                f"content.{index}",
            )
    if [part["type"] for part in content[:2]] == ["text/html", "text/plain"]:
        raise _refused(400, "If present, text/plain must be first, followed by text/html.", "content")


def _check_one(one: dict, data: dict, where: str) -> int:
    """Raises: Refused. Returns: how many recipients it has."""
    if strange := named(one, KNOWN_OF_ONE):
        raise _refused(400, f"Additional property {strange[0]} is not allowed", where)
    if not one.get("to"):
        raise _refused(400, "The to array is required for all personalization objects.", f"{where}.to")
    people = one["to"] if "cc" not in one and "bcc" not in one else _everybody(one)
    if len(people) > 1 and len({str(each.get("email")).lower() for each in people}) < len(people):
        raise _refused(400, "Each email address in the personalization block should be unique.", where)
    if not (one.get("subject") or data.get("subject") or data.get("template_id")):
        raise _refused(
            400,
            "The subject is required. You can get around this requirement if you use a template.",
            "subject",
        )
    if "dynamic_template_data" in one and "substitutions" in one:
        raise _refused(400, "substitutions may not be used with dynamic templating", where)
    _check_values(one.get("substitutions", {}), SUBSTITUTIONS_OCTETS, where)
    _check_values(one.get("custom_args", {}), ARGUMENTS_OCTETS, where)
    if "headers" in one:
        _check_headers(one["headers"], where)
    return len(people)


def _everybody(one: dict) -> list[dict]:
    return [*one["to"], *one.get("cc", ()), *one.get("bcc", ())]


def _check_values(values: dict, limit: int, where: str) -> None:
    try:
        characters = len("".join(values)) + len("".join(values.values()))
    except TypeError:
        raise _refused(400, "Bad Request") from None  # with neither field nor help, as it is known to answer
    if characters > limit // 4 and len(json.dumps(values, ensure_ascii=False).encode()) > limit:
        raise _refused(400, f"The total size may not exceed {limit} bytes.", where)


def _check_headers(headers: dict, where: str) -> None:
    for name, value in headers.items():
        if name.lower() in RESERVED or not name.isascii():
            raise _refused(400, "The headers property may not use reserved or non-ASCII names.", where)
        if not isinstance(value, str):
            raise _refused(400, "Header values must be strings.", where)


def _take(data: dict, account: Account) -> Reply:
    people = [(one, person) for one in data["personalizations"] for person in one["to"]]
    addresses = [person["email"] for _, person in people]
    refused = account.refusals(addresses)
    if "invalid" in refused.values():
        raise _refused(400, "Does not contain a valid address.", "personalizations.0.to.0.email")
    taken = [each for each in people if each[1]["email"] not in refused] if refused else people
    call = uuid.uuid4().hex[:22]

    def render(index: int) -> Message:
        return _message(data, *taken[index], f"{call}.{index}")

    return Reply(
        Answer(202, "", {"X-Message-Id": call}),
        [each for each in addresses if each not in refused],
        render,
        refused,
        _unfilled(data),
    )


def _unfilled(data: dict) -> list[str]:
    """Substitutions are any text at all; what some give and others do not is missing where the text has it."""
    every = [one.get("substitutions", {}).keys() for one in data["personalizations"]]
    first = every[0]
    if all(keys == first for keys in every):
        return []
    text = data.get("subject", "") + "".join(part["value"] for part in data.get("content", ()))
    return sorted(
        key for key in set().union(*every) if key in text and any(key not in keys for keys in every)
    )


def _message(data: dict, one: dict, person: dict, name: str) -> Message:
    values: dict[str, str] = one.get("substitutions", {})

    def fill(template: str) -> str:
        return sendgrid(template, values, [])

    content = {part["type"]: part["value"] for part in data.get("content", ())}
    replies = data.get("reply_to_list") or ([data["reply_to"]] if "reply_to" in data else [])
    sender = one.get("from") or data["from"]
    return Message(
        "sendgrid",
        name,
        person["email"],
        to_name=person.get("name", ""),
        sender=sender["email"],
        sender_name=sender.get("name", ""),
        reply_to=", ".join(fill(each["email"]) for each in replies),
        subject=fill(one.get("subject") or data.get("subject", "")),
        html=fill(content.get("text/html", "")),
        text=fill(content.get("text/plain", "")),
        headers={**data.get("headers", {}), **one.get("headers", {})},
        metadata={**data.get("custom_args", {}), **one.get("custom_args", {})},
        tags=tuple(data.get("categories", ())),
        options={"to": [each["email"] for each in one["to"]], **data.get("tracking_settings", {})},
    )
