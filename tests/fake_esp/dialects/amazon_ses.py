"""Amazon SES v2: SendEmail, SendBulkEmail, GetAccount, ListSuppressedDestinations.

https://docs.aws.amazon.com/ses/latest/APIReference-V2/
"""

import base64
import binascii
import datetime
import email
import email.policy
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
    page_of,
    words,
)
from tests.fake_esp.happenings import certified_key
from tests.fake_esp.messages import Message
from tests.fake_esp.placeholders import BadTemplate, curly, curly_names, unfilled

DESTINATIONS = RECIPIENTS = 50  # entries of a bulk call, recipients of a message
RAW_OCTETS, INLINE_OCTETS, DATA_CHARACTERS = 40 * MEGABYTE, 1024 * 1024, 262_144
HEADERS, NAME_CHARACTERS, VALUE_CHARACTERS = 15, 126, 995
KNOWN = words(
    "FromEmailAddress FromEmailAddressIdentityArn Destination ReplyToAddresses "
    "FeedbackForwardingEmailAddress FeedbackForwardingEmailAddressIdentityArn Content EmailTags "
    "ConfigurationSetName EndpointId TenantName ListManagementOptions"
)
KNOWN_OF_BULK = KNOWN - {"Destination", "Content", "EmailTags", "ListManagementOptions"} | words(
    "DefaultEmailTags DefaultContent BulkEmailEntries"
)
KNOWN_OF_ONE = {"Destination", "ReplacementTags", "ReplacementEmailContent", "ReplacementHeaders"}
SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/[a-z0-9-]+/ses/aws4_request, "
    r"SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}"
)
CLOCK_SECONDS = 300
QUOTA = {"Max24HourSend": 50000.0, "MaxSendRate": 500.0, "SentLast24Hours": 0.0}


def throttled(retry_after: int | None) -> Answer:
    """By either of the two errors that the documents have for it, and no header; the common one where nothing is asked."""
    if retry_after is None:
        return _error(400, "ThrottlingException", "Maximum sending rate exceeded.")
    return _error(429, "TooManyRequestsException", "Maximum sending rate exceeded.")


def broken(status: int) -> Answer:
    return _error(status, "InternalServiceErrorException", "Internal Server Error")


def handle(request: Request, account: Account) -> Reply:
    if request.method == "GET" and request.path.endswith(".pem"):  # SNS's, which anybody may read
        return Reply(Answer(200, certified_key().certificate))
    _check_signature(request, account)
    route = ROUTES.get((request.method, request.path.rstrip("/")))
    if not route:
        raise _refused(404, "UnknownOperationException", "")
    try:
        return route(request, account)
    except ValueError:
        raise _bad("The body is not valid JSON.") from None


def _error(status: int, kind: str, words: str) -> Answer:
    return Answer(
        status, {"message": words}, {"x-amzn-ErrorType": kind, "x-amzn-RequestId": str(uuid.uuid4())}
    )


def _refused(status: int, kind: str, words: str) -> Refused:
    return Refused(*_error(status, kind, words))


def _bad(words: str) -> Refused:
    return _refused(400, "BadRequestException", words)


def _check_signature(request: Request, account: Account) -> None:
    """Well made and of this time; the secret itself is not known here."""
    found = SIGNED.fullmatch(request.headers.get("authorization", ""))
    if not found:
        raise _refused(403, "IncompleteSignatureException", "Authorization header requires a signature.")
    if not account.knows(found["key"]):
        raise _refused(
            403, "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    signed = datetime.datetime.strptime(request.headers.get("x-amz-date", ""), "%Y%m%dT%H%M%S%z")
    if abs((datetime.datetime.now(datetime.UTC) - signed).total_seconds()) > CLOCK_SECONDS:
        raise _refused(403, "SignatureDoesNotMatch", "Signature expired.")


def _check_rights(operation: str, account: Account) -> None:
    if not account.may_read:
        words = f"User: arn:aws:iam::123456789012:user/volley is not authorized to perform: ses:{operation}"
        raise _refused(403, "AccessDeniedException", words)


def _suppressed(request: Request, account: Account) -> Reply:
    _check_rights("ListSuppressedDestinations", account)
    query, entries = request.asked, account.lists.get("suppressed", [])
    start, count = int(query.get("NextToken", "0"), 16), int(query.get("PageSize", 100))
    page = page_of(entries, start, count, 1000)
    if page is None:
        raise _bad("PageSize is between 1 and 1000.")
    following = {"NextToken": f"{start + count:x}"} if start + count < len(entries) else {}
    return Reply(Answer(200, {"SuppressedDestinationSummaries": page, **following}))


def _account(request: Request, account: Account) -> Reply:
    _check_rights("GetAccount", account)
    answer = {
        "ProductionAccessEnabled": not account.is_sandbox,
        "SendingEnabled": True,
        "EnforcementStatus": "HEALTHY",
        "SendQuota": QUOTA | account.quota,
        "SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    }
    return Reply(Answer(200, answer))


def _check_sender(text: str, account: Account) -> None:
    address = mailbox(text)[1]
    if account.refusal(address) == "invalid":
        raise _bad("Missing or invalid 'From' address.")
    if not account.may_send_from(address):
        words = f"Email address is not verified. The following identities failed the check in region EU-WEST-1: {address}"
        raise _refused(400, "MessageRejected", words)


def _check_destination(destination: dict, account: Account) -> list[str]:
    people = [
        each for kind in ("ToAddresses", "CcAddresses", "BccAddresses") for each in destination.get(kind, ())
    ]
    if not 0 < len(people) <= RECIPIENTS:
        raise _bad(f"Recipient count is not between 1 and {RECIPIENTS}.")
    if any(not each.isascii() for each in people):
        raise _bad("Local address contains control or whitespace, or is not ASCII.")
    for each in people:
        if account.refusal(mailbox(each)[1]) == "invalid":
            raise _bad(f"Illegal address: {each}")
    return people


def _send(request: Request, account: Account) -> Reply:
    data = request.json
    if strange := named(data, KNOWN):
        raise _bad(f"The documents know no field '{strange[0]}'.")
    content = data.get("Content") or {}
    if len(content) != 1 or not set(content) <= {"Raw", "Simple", "Template"}:
        raise _bad("Content has one of Raw, Simple and Template.")
    people = _check_destination(data.get("Destination") or {}, account)
    made = _raw(content["Raw"]) if "Raw" in content else _simple(data, content.get("Simple"))
    _check_sender(data.get("FromEmailAddress") or made["sender"], account)
    taken = [each for each in people if not account.refusal(mailbox(each)[1])]
    name = _name()

    def render(index: int) -> Message:
        to_name, to = mailbox(taken[index])
        sender_name, sender = mailbox(data.get("FromEmailAddress") or made["sender"])
        fields = {key: value for key, value in made.items() if key not in ("sender", "to_name")}
        headers = dict(fields.pop("headers"))
        return Message(
            "amazon_ses", name, to, to_name=to_name or made.get("to_name", ""), sender=sender, sender_name=sender_name,
            headers=headers, metadata=_metadata(headers), options={"to": [mailbox(each)[1] for each in people]}, **fields,
        )  # fmt: skip

    addresses = [mailbox(each)[1] for each in taken]
    refused = {mailbox(each)[1]: "suppressed" for each in people if each not in taken}
    return Reply(Answer(200, {"MessageId": name}), addresses, render, refused)


def _raw(raw: dict) -> dict:
    try:
        octets = base64.b64decode(raw["Data"], validate=True)
    except (KeyError, binascii.Error):
        raise _bad("Raw.Data is not base64.") from None
    if len(octets) > RAW_OCTETS:
        raise _bad("Message length is more than 41943040 bytes long.")
    parsed = email.message_from_bytes(octets, policy=email.policy.SMTP)
    if any(len(line) > 1000 for line in octets.split(b"\n")):
        raise _bad("Message has a line over 1000 characters.")
    if parsed.defects or not parsed["From"]:
        raise _bad("Message is malformed or has no From.")
    bodies = {kind: parsed.get_body((kind,)) for kind in ("html", "plain")}
    text = {kind: body.get_content().replace("\r\n", "\n") if body else "" for kind, body in bodies.items()}
    return {
        "sender": str(parsed["From"]),
        "to_name": mailbox(str(parsed["To"] or ""))[0],
        "subject": str(parsed["Subject"] or "").strip(),
        "reply_to": str(parsed["Reply-To"] or ""),
        "html": text["html"],
        "text": text["plain"],
        "headers": {each: str(value).strip() for each, value in parsed.items()},
        "tags": tuple(parsed.get_all("X-Tag") or ()),
    }


def _simple(data: dict, simple: dict | None) -> dict:
    if not simple:
        raise _bad("Stored templates are not known here.")
    body = simple.get("Body") or {}
    if not simple.get("Subject", {}).get("Data") or not (body.get("Html") or body.get("Text")):
        raise _bad("Subject and a body are needed.")
    _check_headers(simple.get("Headers", []))
    return {
        "sender": data.get("FromEmailAddress", ""),
        "subject": simple["Subject"]["Data"],
        "reply_to": ", ".join(data.get("ReplyToAddresses", [])),
        "html": (body.get("Html") or {}).get("Data", ""),
        "text": (body.get("Text") or {}).get("Data", ""),
        "headers": {each["Name"]: each["Value"] for each in simple.get("Headers", [])},
    }


def _check_headers(headers: list[dict]) -> None:
    if len(headers) > HEADERS:
        raise _bad(f"At most {HEADERS} headers.")
    for each in headers:
        name, value = each.get("Name", ""), each.get("Value", "")
        if not 0 < len(name) <= NAME_CHARACTERS or not re.fullmatch(r"[!-9;-~]+", name):
            raise _bad(f"Header name '{name}' is not allowed.")
        if not 0 < len(value) <= VALUE_CHARACTERS or not re.fullmatch(r"[ -~\t]+", value):
            raise _bad(f"The value of header '{name}' is not allowed.")


def _bulk(request: Request, account: Account) -> Reply:
    """An entry each: one that fails does not touch the others."""
    data = request.json
    if strange := named(data, KNOWN_OF_BULK):
        raise _bad(f"The documents know no field '{strange[0]}'.")
    entries = data.get("BulkEmailEntries") or []
    if not 0 < len(entries) <= DESTINATIONS:
        raise _bad(f"Bulk email entries are between 1 and {DESTINATIONS}.")
    _check_sender(data.get("FromEmailAddress", ""), account)
    content = _template(data, len(request.body))
    results, taken, every = [], [], []
    for entry in entries:
        result, values = _result(entry, content, account)
        results.append(result)
        if result["Status"] == "SUCCESS":
            taken.append((entry, result["MessageId"], values))
            every.append(values)
    parts = (content["Subject"], content["Html"], content["Text"])
    gone = unfilled(curly_names, parts, every)

    def render(index: int) -> Message:
        return _message(data, content, *taken[index])

    addresses = [mailbox(entry["Destination"]["ToAddresses"][0])[1] for entry, name, _ in taken]
    refused = {
        mailbox(entry["Destination"]["ToAddresses"][0])[1]: result["Status"]
        for entry, result in zip(entries, results, strict=True)
        if result["Status"] != "SUCCESS"
    }
    return Reply(Answer(200, {"BulkEmailEntryResults": results}), addresses, render, refused, gone)


def _template(data: dict, octets: int) -> dict:
    """The inline template's parts and its default values."""
    template = (data.get("DefaultContent") or {}).get("Template") or {}
    if sum(name in template for name in ("TemplateName", "TemplateArn", "TemplateContent")) != 1:
        raise _bad("The template has one of a name, an ARN and its content.")
    if "TemplateContent" not in template:
        raise _refused(404, "NotFoundException", f"Template {template.get('TemplateName')} does not exist.")
    if octets > INLINE_OCTETS:
        raise _bad("The request with an inline template exceeds 1 MB.")
    if template.get("Attachments"):
        raise _bad("Attachments are not known here.")
    content = template["TemplateContent"]
    if not content.get("Subject") or not (content.get("Html") or content.get("Text")):
        raise _bad("The template needs a subject and a body.")
    parts = {name: content.get(name) or "" for name in ("Subject", "Html", "Text")}
    try:
        for part in parts.values():
            curly_names(part)
    except BadTemplate as problem:
        raise _bad(f"The template cannot be parsed: {problem}") from None
    _check_headers(template.get("Headers", []))
    return {
        **parts,
        "Data": _values(template.get("TemplateData", "{}")),
        "Headers": template.get("Headers", []),
    }


def _values(text: str) -> dict:
    try:
        values = json.loads(text)
    except (TypeError, ValueError):
        values = None
    if not isinstance(values, dict) or len(text) > DATA_CHARACTERS:
        raise _bad("Template data is a JSON object of at most 262144 characters, in a string.")
    return values


def _result(entry: dict, content: dict, account: Account) -> tuple[dict, dict]:
    if strange := named(entry, KNOWN_OF_ONE):
        raise _bad(f"The documents know no field '{strange[0]}' of an entry.")
    replacement = (entry.get("ReplacementEmailContent") or {}).get("ReplacementTemplate") or {}
    values = {**content["Data"], **_values(replacement.get("ReplacementTemplateData", "{}"))}
    try:
        people = _check_destination(entry.get("Destination") or {}, account)
        _check_headers(entry.get("ReplacementHeaders", []))
    except Refused as refused:
        return {"Status": "INVALID_PARAMETER", "Error": refused.answer.body["message"]}, values
    if any(account.refusal(mailbox(each)[1]) for each in people):
        return {"Status": "MESSAGE_REJECTED", "Error": "Address is on the suppression list."}, values
    return {"Status": "SUCCESS", "MessageId": _name()}, values


def _message(data: dict, content: dict, entry: dict, name: str, values: dict) -> Message:
    """Its Handlebars escape nothing (developer guide, advanced personalization): what people typed is ours to escape."""
    missing: list[str] = []

    def fill(part: str) -> str:
        return curly(content[part], values, missing, escapes=False)

    headers = {
        each["Name"]: each["Value"] for each in [*content["Headers"], *entry.get("ReplacementHeaders", [])]
    }
    to_name, to = mailbox(entry["Destination"]["ToAddresses"][0])
    sender_name, sender = mailbox(data["FromEmailAddress"])
    return Message(
        "amazon_ses",
        name,
        to,
        to_name=to_name,
        sender=sender,
        sender_name=sender_name,
        reply_to=", ".join(data.get("ReplyToAddresses", [])),
        subject=fill("Subject"),
        html=fill("Html"),
        text=fill("Text"),
        headers=headers,
        metadata=_metadata(headers),
        options={
            "to": [mailbox(each)[1] for each in entry["Destination"]["ToAddresses"]],
            "missing": missing,
        },
    )


def _metadata(headers: dict[str, str]) -> dict[str, str]:
    """As anymail sends it, in a header of its own."""
    return json.loads(headers["X-Metadata"]) if "X-Metadata" in headers else {}


def _name() -> str:
    return f"0102{uuid.uuid4().hex[:12]}-{uuid.uuid4()}-000000"


ROUTES = {
    ("POST", "/v2/email/outbound-emails"): _send,
    ("POST", "/v2/email/outbound-bulk-emails"): _bulk,
    ("GET", "/v2/email/account"): _account,
    ("GET", "/v2/email/suppression/addresses"): _suppressed,
}
