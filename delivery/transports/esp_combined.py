"""Finished messages next to each other in one call, for APIs that take them so.

Anymail writes the call with one body for all; here each recipient's own takes its place, in the API's own JSON.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final
from uuid import UUID

from delivery.transports.base import Letter, Skeleton
from delivery.transports.esp_slots import texts_of

BODY: Final = "-"  # what anymail writes for the body that is replaced; an API refuses an empty one


def combine(provider: str, written: str, skeleton: Skeleton, letters: Sequence[Letter], key: UUID) -> str:
    """The call's body with each letter's subject, HTML and text. written: by anymail, recipients in that order."""
    data = json.loads(written)
    names, messages = SPREAD[provider](data)
    for message, letter in zip(messages, letters, strict=True):
        *texts, literals = texts_of(provider, skeleton, letter)
        for name, text in zip(names, texts, strict=True):
            message.pop(name, None)
            if text:
                message[name] = text
        if literals:
            add_data(provider, message, literals, letter)
        if provider == "mailersend" and "headers" in message:  # anymail knows none of one's own there
            own = [{"name": name, "value": value} for name, value in letter.headers.items()]
            message["headers"] = message["headers"] + own
    if provider == "brevo":
        data.setdefault("headers", {})["idempotencyKey"] = str(key)
    return json.dumps(data)


def add_data(provider: str, message: dict[str, Any], values: dict[str, str], letter: Letter) -> None:
    """What the placeholders of a finished message stand for."""
    match provider:
        case "brevo":
            message["params"] = values
        case "mailersend":
            message["personalization"] = [{"email": letter.to, "data": values}]
        case "mailjet":
            message.get("Globals", message)["Variables"] = values


Messages = tuple[tuple[str, str, str], list[dict[str, Any]]]


def _postmark(data: list[dict[str, Any]]) -> Messages:
    return ("Subject", "HtmlBody", "TextBody"), data


def _plain_list(data: list[dict[str, Any]]) -> Messages:
    return ("subject", "html", "text"), data


def _brevo(data: dict[str, Any]) -> Messages:
    """A version's headers stand in place of those of the call."""
    common = data.pop("headers", {})
    for version in data["messageVersions"]:
        version["headers"] = {**common, **version.get("headers", {})}
    data.pop("textContent", None)
    return ("subject", "htmlContent", "textContent"), data["messageVersions"]


def _mailjet(data: dict[str, Any]) -> Messages:
    """All into each message: whether Mailjet joins the headers of both places is not said."""
    common = data.pop("Globals")
    headers = common.get("Headers", {})
    data["Messages"] = [
        {**common, **message, "Headers": {**headers, **message.get("Headers", {})}}
        for message in data["Messages"]
    ]
    return ("Subject", "HTMLPart", "TextPart"), data["Messages"]


def _mailtrap(data: dict[str, Any]) -> Messages:
    for name in ("subject", "html", "text"):
        data["base"].pop(name, None)
    return ("subject", "html", "text"), data["requests"]


SPREAD: Final[dict[str, Callable[[Any], Messages]]] = {
    "brevo": _brevo,
    "mailersend": _plain_list,
    "mailjet": _mailjet,
    "mailtrap": _mailtrap,
    "postmark": _postmark,
    "resend": _plain_list,
}
