"""SparkPost: POST /transmissions. https://developers.sparkpost.com/api/transmissions/

GET /suppression-list: https://developers.sparkpost.com/api/suppression-list/
"""

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
    page_of,
    words,
)
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import BadTemplate, curly_names, sparkpost, unfilled

RECIPIENTS = 10_000  # advised, 2 000 to 10 000 a call
OCTETS, CONTENT_OCTETS = 50 * MEGABYTE, 20 * MEGABYTE
METADATA_OCTETS, CAMPAIGN_OCTETS = 1000, 64
KNOWN = words("options recipients campaign_id description metadata substitution_data return_path content")
KNOWN_OF_ONE = {"address", "return_path", "tags", "metadata", "substitution_data"}
KNOWN_OF_CONTENT = words("from subject reply_to headers text html amp_html attachments inline_images")
RESERVED = {"subject", "from", "to", "reply-to", "content-type", "content-transfer-encoding"}


def throttled(retry_after: int | None) -> Answer:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Answer(429, _errors("Too many requests", "1950"), headers)


def broken(status: int) -> Answer:
    if status == 420:
        return Answer(420, _errors("Exceed Sending Limit (hourly)", "2101"))
    return Answer(status, _errors("Internal Server Error", "1600"))


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("authorization", "")):
        raise Refused(401, {"errors": [{"message": "Unauthorized."}]})
    if (request.method, request.path.rstrip("/")) == ("GET", "/suppression-list"):
        return _listed(request, account)
    if (request.method, request.path.rstrip("/")) != ("POST", "/transmissions"):
        raise Refused(404, _errors("Resource could not be found", "1600"))
    if len(request.body) > OCTETS:
        raise Refused(413, _errors("Payload too large", "1600"))
    try:
        data = request.json
    except ValueError:
        raise Refused(400, _errors("Problems parsing request as JSON", "1300")) from None
    _check(data, account)
    return _take(data, account)


def _errors(message: str, code: str, description: str = "") -> dict:
    return {"errors": [{"message": message, "description": description or message, "code": code}]}


def _refused(status: int, message: str, code: str, description: str = "") -> Refused:
    return Refused(status, _errors(message, code, description))


def _listed(request: Request, account: Account) -> Reply:
    """By cursors, the first of which is called initial; the last page names no next one."""
    if not account.may_read:
        raise Refused(403, {"errors": [{"message": "Forbidden."}]})
    query = request.asked
    start, count = query.get("cursor", ""), int(query.get("per_page", 1000))
    kinds = query.get("types", "transactional,non_transactional").split(",")
    entries = [each for each in account.lists.get("suppression-list", ()) if each["type"] in kinds]
    begin = 0 if start == "initial" else int(start, 16)
    page = page_of(entries, begin, count, 10_000)
    if page is None:
        raise _refused(400, "per_page must be between 1 and 10000", "1300")
    href = f"/api/v1/suppression-list?cursor={begin + count:x}&per_page={count}"
    links = [{"href": "/api/v1/suppression-list?cursor=initial", "rel": "first"}]
    if begin + count < len(entries):
        links.append({"href": href, "rel": "next"})
    return Reply(Answer(200, {"results": page, "links": links, "total_count": len(entries)}))


def _check(data: dict, account: Account) -> None:
    if strange := named(data, KNOWN):
        raise _refused(422, "invalid data format/type", "1300", f"unknown field '{strange[0]}'")
    content = data.get("content") or {}
    if strange := named(content, KNOWN_OF_CONTENT):
        raise _refused(422, "invalid data format/type", "1300", f"unknown field 'content.{strange[0]}'")
    sender = content.get("from") or ""
    address = sender.get("email", "") if isinstance(sender, dict) else mailbox(sender)[1]
    for name, value in (("from", address), ("subject", content.get("subject"))):
        if not value:
            raise _refused(422, "required field is missing", "1400", f"content.{name} is required")
    if not content.get("html") and not content.get("text"):
        raise _refused(
            422, "required field is missing", "1400", "At least one of text or html needs to exist in content"
        )
    if len((content.get("html") or "").encode()) + len((content.get("text") or "").encode()) > CONTENT_OCTETS:
        raise _refused(422, "content exceeds 20 MB", "3005")
    if not account.may_send_from(address):
        raise _refused(
            400, "Invalid domain", "7001", f"Unconfigured Sending Domain <{address.rpartition('@')[2]}>"
        )
    if len((data.get("campaign_id") or "").encode()) > CAMPAIGN_OCTETS:
        raise _refused(422, "invalid data format/type", "1300", "campaign_id is at most 64 bytes")
    for name, value in (content.get("headers") or {}).items():
        if name.lower() in RESERVED or not isinstance(value, str):
            raise _refused(422, "invalid data format/type", "1300", f"content.headers: {name} is not allowed")
    people = data.get("recipients")
    if not isinstance(people, list) or not 0 < len(people) <= RECIPIENTS:
        raise _refused(
            422, "invalid data format/type", "1300", "recipients must be a list, at most 10 000 as advised"
        )
    for each in people:
        _check_one(each)


def _check_one(person: dict) -> None:
    if not person.keys() <= KNOWN_OF_ONE or not _address(person):
        words = "address or address.email is required for each recipient"
        raise _refused(422, "required field is missing", "1400", words)
    metadata = person.get("metadata")
    if metadata and len(repr(metadata)) > METADATA_OCTETS:
        raise _refused(
            422, "invalid data format/type", "1300", "metadata of a recipient is at most 1000 bytes"
        )


def _address(person: dict) -> str:
    address = person.get("address")
    return address.get("email", "") if isinstance(address, dict) else address or ""


def _take(data: dict, account: Account) -> Reply:
    """Bad addresses are counted, not named; suppressed ones are taken and end in an event."""
    people, content = data["recipients"], data["content"]
    addresses = [_address(each) for each in people]
    refused = account.refusals(addresses)
    taken = [each for each in people if _address(each) not in refused] if refused else people
    bad = [address for address, why in refused.items() if why == "invalid"]
    if len(bad) == len(people):
        raise Refused(400, {**_errors("At least one valid recipient is required", "5001")})
    shared = data.get("substitution_data") or {}
    every = [{**shared, **(each.get("substitution_data") or {})} for each in taken] if shared else [
        each.get("substitution_data") or {} for each in taken
    ]  # fmt: skip
    gone = _unfilled(content, every)
    name = str(11_668_787_484_950_000 + account.number())
    results = {
        "total_rejected_recipients": len(bad),
        "total_accepted_recipients": len(people) - len(bad),
        "id": name,
    }
    if bad:
        error = {
            "message": "Message generation rejected",
            "description": "recipient address was invalid",
            "code": "1902",
        }
        results["rcpt_to_errors"] = [error for _ in bad]

    def render(index: int) -> Message:
        return _message(data, taken[index], every[index], name)

    return Reply(
        Answer(200, {"results": results}),
        [each for each in addresses if each not in refused],
        render,
        refused,
        gone,
    )


def _unfilled(content: dict, every: list[dict]) -> list[str]:
    sender = content["from"]
    texts = [content.get(each) for each in ("subject", "html", "text", "reply_to")]
    texts += [sender.get("name") if isinstance(sender, dict) else sender]
    templates = tuple(each for each in [*texts, *(content.get("headers") or {}).values()] if each)
    try:
        return unfilled(curly_names, templates, every)
    except BadTemplate as problem:
        words = "substitution language syntax error in template content"
        raise _refused(422, words, "3000", f"Error while compiling: {problem}") from None


def _message(data: dict, person: dict, values: dict, name: str) -> Message:
    content, missing = data["content"], []

    def fill(template: str, *, escapes: bool = False) -> str:
        return sparkpost(template or "", values, missing, escapes=escapes)

    address = person["address"] if isinstance(person["address"], dict) else {"email": person["address"]}
    sender = content["from"]
    sender_name, sender = (
        (sender.get("name", ""), sender["email"]) if isinstance(sender, dict) else mailbox(fill(sender))
    )
    return Message(
        "sparkpost",
        name,
        address["email"],
        to_name=address.get("name") or mailbox(address.get("header_to", ""))[0],
        sender=sender,
        sender_name=sender_name,
        reply_to=fill(content.get("reply_to", "")),
        subject=fill(content["subject"]),
        html=fill(content.get("html", ""), escapes=True),
        text=fill(content.get("text", "")),
        headers={each: fill(value) for each, value in (content.get("headers") or {}).items()},
        metadata={**(data.get("metadata") or {}), **(person.get("metadata") or {})},
        tags=(data["campaign_id"],) if data.get("campaign_id") else (),
        options={
            **(data.get("options") or {}),
            "to": [each[1] for each in mailboxes(address.get("header_to", address["email"]))],
            "missing": missing,
        },
    )
