"""Postal: POST /api/v1/send/message; every answer is a 200. https://docs.postalserver.io/developer/api"""

from tests.fake_esp.core import Account, Answer, Refused, Reply, Request, mailbox, named, words
from tests.fake_esp.messages import Message

RECIPIENTS = 50  # of each kind
KNOWN = words("to cc bcc from sender subject tag reply_to plain_body html_body attachments headers bounce")


def throttled(retry_after: int | None) -> Answer:
    return Answer(429, "Too Many Requests")  # by a proxy before it: Postal itself only holds messages back


def broken(status: int) -> Answer:
    return Answer(
        status, {"status": "error", "data": {"code": "InternalError", "message": "Internal Server Error"}}
    )


def handle(request: Request, account: Account) -> Reply:
    if not account.knows(request.headers.get("x-server-api-key", "")):
        raise _refused("InvalidServerAPIKey", "The API token provided in X-Server-API-Key was not valid.")
    if (request.method, request.path.rstrip("/")) != ("POST", "/api/v1/send/message"):
        raise Refused(404, "Not found")
    try:
        data = request.json
    except ValueError:
        raise _refused("InvalidJSON", "The body is not valid JSON.") from None
    if strange := named(data, KNOWN):
        raise _refused("UnknownField", f"The documents know no field {strange[0]}.")
    _check(data, account)
    return _take(data, account)


def _refused(code: str, message: str) -> Refused:
    body = {"status": "error", "time": 0.01, "flags": {}, "data": {"code": code, "message": message}}
    return Refused(200, body)


def _check(data: dict, account: Account) -> None:
    people = data.get("to") or []
    if not people:
        raise _refused("NoRecipients", "There are no recipients defined to receive this message")
    if len(people) > RECIPIENTS:
        raise _refused(
            "TooManyToAddresses", "The maximum number of To addresses has been reached (maximum 50)"
        )
    if not (data.get("plain_body") or data.get("html_body")):
        raise _refused("NoContent", "There is no content defined for this e-mail")
    if not data.get("from"):
        raise _refused("FromAddressMissing", "The From address is missing and is required")
    if not account.may_send_from(mailbox(data["from"])[1]):
        raise _refused(
            "UnauthenticatedFromAddress", "The From address is not authorised to send mail from this server"
        )
    if any(account.refusal(mailbox(each)[1]) == "invalid" for each in people):
        raise _refused("ValidationError", "The provided data was not sufficient to send an email")


def _take(data: dict, account: Account) -> Reply:
    """What it suppresses it takes, and holds."""
    people = {mailbox(each)[1]: mailbox(each)[0] for each in data["to"]}
    first = account.number(len(people))
    numbers = {address: first + index for index, address in enumerate(people)}
    messages = {address: {"id": number, "token": f"tok{number}"} for address, number in numbers.items()}
    answer = {"message_id": f"{first}@rp.postal.example", "messages": messages}
    taken = [address for address in people if not account.refusal(address)]

    def render(index: int) -> Message:
        address = taken[index]
        return _message(data, address, people[address], str(numbers[address]))

    return Reply(
        Answer(200, {"status": "success", "time": 0.02, "flags": {}, "data": answer}),
        taken,
        render,
        {address: "suppressed" for address in people if account.refusal(address)},
    )


def _message(data: dict, to: str, to_name: str, name: str) -> Message:
    sender_name, sender = mailbox(data["from"])
    return Message(
        "postal",
        name,
        to,
        to_name=to_name,
        sender=sender,
        sender_name=sender_name,
        reply_to=data.get("reply_to") or "",
        subject=data.get("subject") or "",
        html=data.get("html_body") or "",
        text=data.get("plain_body") or "",
        headers=data.get("headers") or {},
        tags=(data["tag"],) if data.get("tag") else (),
        options={"to": [mailbox(each)[1] for each in data["to"]]},
    )
