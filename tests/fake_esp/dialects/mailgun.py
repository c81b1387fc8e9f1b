"""Mailgun: POST /{domain}/messages. https://documentation.mailgun.com/docs/mailgun/api-reference/send/mailgun/messages

GET /{domain}/bounces, /complaints and /unsubscribes: by address, from the one in the query on.
"""

import time
import urllib.parse

from pydantic_core import from_json

from tests.fake_esp.core import (
    MEGABYTE,
    Account,
    Answer,
    Refused,
    Reply,
    Request,
    mailbox,
    mailboxes,
    page_of,
    words,
)
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import mailgun, mailgun_names, unfilled

LISTS = {"bounces", "complaints", "unsubscribes"}
RECIPIENTS = 1000  # a call
OCTETS = 25 * MEGABYTE
OPTIONS_OCTETS = 16 * 1024  # of o:, h:, v: and t: together
KNOWN = words("from to cc bcc subject text html amp-html template recipient-variables attachment inline")
OPTIONS = words(
    "o:tag o:dkim o:testmode o:tracking o:tracking-clicks o:tracking-opens o:require-tls o:skip- "
    "verification o:deliverytime o:sending-ip o:sending-ip-pool o:tracking-pixel-location-top"
)
SWITCHES = {"yes", "no", "true", "false", "True", "False", "htmlonly"}
# Of the batch's own accord, for each recipient.
BUILT_IN = ("%recipient%", "%recipient_email%", "%recipient_name%")


def throttled(retry_after: int | None) -> Answer:
    reset = int((time.time() + (retry_after or 1)) * 1000)
    headers = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    return Answer(429, {"message": "Too many requests"}, headers)


def broken(status: int) -> Answer:
    return Answer(status, {"message": "Internal Server Error"})


def handle(request: Request, account: Account) -> Reply:
    user, key = request.basic
    if user != "api" or not account.knows(key):
        raise Refused(401, "Forbidden")
    domain, _, rest = request.path.strip("/").partition("/")
    if request.method == "GET" and rest in LISTS:
        return _listed(request, account, domain, rest)
    if request.method != "POST" or rest != "messages":
        raise Refused(404, {"message": "404 page not found"})
    if not account.may_send_from(f"@{domain}"):
        raise Refused(404, {"message": f"Domain not found: {domain}"})
    if len(request.body) > OCTETS:
        raise Refused(413, {"message": "Request entity too large"})
    fields = {name: values[-1] for name, values in request.form.items()}
    _check(fields, request.form)
    return _take(request.form, fields, account, domain)


def _listed(request: Request, account: Account, domain: str, name: str) -> Reply:
    if not account.may_read:
        raise Refused(401, "Forbidden")
    query = request.asked
    limit, pivot = int(query.get("limit", 100)), query.get("address", "")
    entries = sorted(account.lists.get(name, ()), key=lambda each: each["address"])
    page = page_of([each for each in entries if each["address"] > pivot], 0, limit, 1000)
    if page is None:
        raise Refused(400, {"message": "limit parameter is not valid"})

    def at(**query) -> str:
        named = urllib.parse.urlencode({**query, "limit": limit})
        return f"https://elsewhere.example/v3/{domain}/{name}?{named}"

    following = at(page="next", address=page[-1]["address"] if page else pivot)
    paging = {
        "first": at(page="first"),
        "last": at(page="last"),
        "next": following,
        "previous": at(page="previous"),
    }
    return Reply(Answer(200, {"items": page, "paging": paging}))


def _check(fields: dict[str, str], form: dict[str, list[str]]) -> None:
    for name in ("from", "to"):
        if not fields.get(name):
            raise Refused(400, {"message": f"{name} parameter is missing"})
    if not (fields.get("text") or fields.get("html") or fields.get("template") or fields.get("amp-html")):
        raise Refused(
            400, {"message": "Need at least one of 'text', 'html' or 'template' parameters specified"}
        )
    for name in fields:
        if name not in KNOWN | OPTIONS and name[:2] not in ("h:", "v:", "t:"):
            raise Refused(400, {"message": f"The documents know no parameter '{name}'"})
    for name in ("o:tracking", "o:tracking-clicks", "o:tracking-opens"):
        if fields.get(name, "no") not in SWITCHES:
            raise Refused(400, {"message": f"'{name}' parameter is not a valid option"})
    options = sum(
        len(name.encode()) + len(value.encode())
        for name, values in form.items()
        if name[:2] in ("o:", "h:", "v:", "t:")
        for value in values
    )
    if options > OPTIONS_OCTETS:
        raise Refused(400, {"message": "Options, headers and variables exceed 16KB in total"})
    if any(len(tag) > 128 for tag in form.get("o:tag", ())) or len(form.get("o:tag", ())) > 10:
        raise Refused(400, {"message": "'o:tag' parameter: too many tags, or one is too long"})


def _take(form: dict[str, list[str]], fields: dict[str, str], account: Account, domain: str) -> Reply:
    people = [person for value in form["to"] for person in _people(value)]
    if len(people) > RECIPIENTS:
        raise Refused(400, {"message": "to parameter exceeds 1000 recipients"})
    by_address = {address: name for name, address in people}
    refused = account.refusals([*by_address, mailbox(fields["from"])[1]])
    if "invalid" in refused.values():
        raise Refused(400, {"message": "'to' parameter is not a valid address. please check documentation"})
    variables = _variables(fields)
    taken = [address for address in by_address if address not in refused]
    message_id = f"<{int(time.time())}.{account.number():x}.{id(form):x}@{domain}>"
    templates = tuple(value for name, value in fields.items() if name not in ("recipient-variables", "to"))
    every = [variables.get(address, {}) for address in taken]

    def render(index: int) -> Message:
        address = taken[index]
        return _message(fields, form, variables, address, by_address[address], message_id)

    return Reply(
        Answer(200, {"id": message_id, "message": "Queued. Thank you."}),
        taken,
        render,
        refused,
        unfilled(mailgun_names, templates, every),
    )


def _people(value: str) -> list[tuple[str, str]]:
    return mailboxes(value) if "," in value else [mailbox(value)]


def _variables(fields: dict[str, str]) -> dict[str, dict]:
    if "recipient-variables" not in fields:
        return {}
    try:
        variables = from_json(fields["recipient-variables"])
    except ValueError:
        raise Refused(400, {"message": "recipient-variables is not a valid JSON"}) from None
    if not isinstance(variables, dict) or not all(isinstance(each, dict) for each in variables.values()):
        raise Refused(400, {"message": "recipient-variables must be a dictionary of dictionaries"})
    return variables


def _message(fields, form, variables, address: str, name: str, message_id: str) -> Message:
    """Without recipient-variables everybody sees everybody, which is what `options["to"]` shows."""
    values, missing = variables.get(address, {}), []

    def fill(template: str) -> str:
        for built_in, value in zip(BUILT_IN, (f"{name} <{address}>", address, name), strict=True):
            template = template.replace(built_in, value)
        return mailgun(template, values, missing)

    sender_name, sender = mailbox(fill(fields["from"]))
    headers = {each[2:]: fill(value) for each, value in fields.items() if each.startswith("h:")}
    return Message(
        "mailgun",
        message_id,
        address,
        to_name=name,
        sender=sender,
        sender_name=sender_name,
        reply_to=headers.pop("Reply-To", ""),
        subject=fill(fields.get("subject", "")),
        html=fill(fields.get("html", "")),
        text=fill(fields.get("text", "")),
        headers=headers,
        metadata={each[2:]: fill(value) for each, value in fields.items() if each.startswith("v:")},
        tags=tuple(form.get("o:tag", ())),
        options={each: fields[each] for each in fields if each.startswith("o:")}
        | {"to": [address] if "recipient-variables" in fields else form["to"], "missing": missing},
    )
