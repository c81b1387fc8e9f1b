"""MailerSend: POST /email and /bulk-email, GET /bulk-email/{id}. https://developers.mailersend.com/api/v1/email.html"""

import datetime
import re
import uuid

from tests.fake_esp.core import MEGABYTE, Account, Answer, Refused, Reply, Request, named, words
from tests.fake_esp.messages import Message

A_BULK, RECIPIENTS = 500, 50  # messages of a bulk call, recipients of a message
BODY_OCTETS, OCTETS, SUBJECT_CHARACTERS, TAGS = 2 * MEGABYTE, 50 * MEGABYTE, 998, 5
KNOWN = words(
    "from to cc bcc reply_to subject text html attachments template_id tags personalization "
    "precedence_bulk send_at in_reply_to references settings list_unsubscribe headers"
)
TAG = re.compile(r"\{\{\s*(\w+)\s*\}\}")


def throttled(retry_after: int | None) -> Answer:
    seconds = str(retry_after if retry_after is not None else 60)
    headers = {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "0",
        "retry-after": seconds,
        "x-apiquota-remaining": "900",
    }
    return Answer(429, {"message": "Too Many Attempts."}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"message": "Server Error"})


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.bearer):
        raise Refused(401, {"message": "Unauthenticated."})
    path = request.path.rstrip("/")
    if request.method == "GET" and path.startswith("/bulk-email/"):
        return _status(path.rpartition("/")[2], account)
    route = ROUTES.get((request.method, path))
    if not route:
        raise Refused(404, {"message": "Resource not found."})
    if len(request.body) > OCTETS:
        raise Refused(413, {"message": "Payload Too Large"})
    try:
        data = request.json
    except ValueError:
        raise _invalid("body", "The body is not valid JSON.") from None
    return route(data, account)


def _invalid(field: str, words: str) -> Refused:
    return Refused(422, {"message": words, "errors": {field: [words]}})


def _single(data: dict, account: Account) -> Reply:
    """With several recipients each sees all of them."""
    _check(data, account)
    name = uuid.uuid4().hex[:24]
    suppressed = [each["email"] for each in data["to"] if account.refusal(each["email"])]
    taken = [each for each in data["to"] if each["email"] not in suppressed]
    headers = {"X-Message-Id": name} if taken else {}
    body = _warning(suppressed, is_all=not taken) if suppressed else ""
    addresses = [each["email"] for each in taken]

    def render(index: int) -> Message:
        return _message(data, taken[index], name)

    refused = dict.fromkeys(suppressed, "suppressed")
    return Reply(Answer(202, body, headers), addresses, render, refused, sorted(_unfilled(data)))


def _warning(addresses: list[str], *, is_all: bool) -> dict:
    people = [{"email": each, "name": "", "reasons": ["hard_bounced"]} for each in addresses]
    kind = "ALL_SUPPRESSED" if is_all else "SOME_SUPPRESSED"
    words = "There are some warnings for your request."
    return {"message": words, "warnings": [{"type": kind, "warning": "Suppressed.", "recipients": people}]}


def _bulk(data: list, account: Account) -> Reply:
    """Taken now and looked at later: what is wrong with a message stands in the job's status."""
    if not isinstance(data, list) or not 0 < len(data) <= A_BULK:
        raise _invalid("message", f"A bulk call is an array of 1 to {A_BULK} messages.")
    job, taken, refused, errors = uuid.uuid4().hex[:24], [], {}, {}
    for index, each in enumerate(data):
        try:
            _check(each, account)
        except Refused as wrong:
            errors[f"message.{index}"] = wrong.answer.body["errors"]
            continue
        for person in each["to"]:
            if account.refusal(person["email"]):
                refused[person["email"]] = "suppressed"
            else:
                taken.append((each, person, uuid.uuid4().hex[:24]))
    account.jobs[job] = {
        "id": job,
        "state": "completed",
        "looks": account.looks,
        "total_recipients_count": sum(len(each.get("to", ())) for each in data),
        "suppressed_recipients_count": len(refused),
        "suppressed_recipients": sorted(refused),
        "validation_errors_count": len(errors),
        "validation_errors": errors or None,
        "messages_id": [name for _, _, name in taken],
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(),
    }

    def render(index: int) -> Message:
        return _message(*taken[index])

    answer = Answer(202, {"message": "The bulk email is being processed.", "bulk_email_id": job})
    gone = {name for each, _, _ in taken for name in _unfilled(each)}
    return Reply(answer, [person["email"] for _, person, name in taken], render, refused, sorted(gone))


def _status(job: str, account: Account) -> Reply:
    if job not in account.jobs:
        raise Refused(404, {"message": "Resource not found."})
    data = account.jobs[job]
    if data["looks"]:
        data["looks"] -= 1
        return Reply(Answer(200, {"data": {"id": job, "state": "processing", "validation_errors": None}}))
    return Reply(Answer(200, {"data": data}))


def _check(data: dict, account: Account) -> None:
    if strange := named(data, KNOWN):
        raise _invalid(strange[0], f"The documents know no field {strange[0]}.")
    if "headers" in data and not account.is_enterprise:
        raise _invalid("headers", "The headers feature is not available on your plan. #MS42235")
    sender = (data.get("from") or {}).get("email", "")
    if account.refusal(sender) == "invalid" or not account.may_send_from(sender):
        raise _invalid(
            "from.email", "The from.email domain must be verified in your account to send emails. #MS42207"
        )
    people = data.get("to") or []
    if not 0 < len(people) <= RECIPIENTS:
        raise _invalid("to", f"The to field has between 1 and {RECIPIENTS} items.")
    for index, person in enumerate(people):
        if account.refusal(str(person.get("email"))) == "invalid":
            raise _invalid(f"to.{index}.email", f"The to.{index}.email must be a valid email address.")
    if not 0 < len(data.get("subject") or "") <= SUBJECT_CHARACTERS:
        raise _invalid("subject", f"The subject has between 1 and {SUBJECT_CHARACTERS} characters.")
    if not (data.get("html") or data.get("text")):
        raise _invalid("text", "The text field is required when none of html and template_id are present.")
    if any(len((data.get(body) or "").encode()) > BODY_OCTETS for body in ("html", "text")):
        raise _invalid("html", "A body has at most 2 MB.")
    if len(data.get("tags") or ()) > TAGS:
        raise _invalid("tags", f"At most {TAGS} tags.")
    addresses = {person["email"] for person in people}
    if not {each["email"] for each in data.get("personalization", ())} <= addresses:
        raise _invalid("personalization", "An email of personalization is not among the recipients.")


def _values(data: dict, address: str) -> dict:
    return next((each["data"] for each in data.get("personalization", ()) if each["email"] == address), {})


def _unfilled(data: dict) -> set[str]:
    text = " ".join(data.get(part) or "" for part in ("subject", "html", "text"))
    wanted = set(TAG.findall(text)) if "{{" in text else set()
    return (
        {name for person in data["to"] for name in wanted - _values(data, person["email"]).keys()}
        if wanted
        else wanted
    )


def _message(data: dict, person: dict, name: str) -> Message:
    values = _values(data, person["email"])

    def fill(part: str) -> str:
        return TAG.sub(lambda found: str(values.get(found[1], "")), data.get(part) or "")

    return Message(
        "mailersend",
        name,
        person["email"],
        to_name=person.get("name", ""),
        sender=data["from"]["email"],
        sender_name=data["from"].get("name", ""),
        reply_to=(data.get("reply_to") or {}).get("email", ""),
        subject=fill("subject"),
        html=fill("html"),
        text=fill("text"),
        headers={each["name"]: each["value"] for each in data.get("headers", ())},
        tags=tuple(data.get("tags") or ()),
        options={**data.get("settings", {}), "to": [each["email"] for each in data["to"]]},
    )


ROUTES = {("POST", "/email"): _single, ("POST", "/bulk-email"): _bulk}
