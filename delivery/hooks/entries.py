"""A call as it stands in the stream: a line of JSON with what is needed to read it, then its body."""

import io
import json
from typing import Any, Final, NamedTuple

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

STREAM: Final = "hook"
HEADERS: Final = ("svix-id",)  # what anymail's parsers read beside the body and its type


class Call(NamedTuple):
    """at: when it came, in Unix time."""

    account_id: int
    at: float
    content_type: str
    headers: dict[str, str]
    body: bytes


def packed(account_id: int, at: float, request: HttpRequest) -> bytes:
    """The body must have been read."""
    headers = {name: request.headers[name] for name in HEADERS if name in request.headers}
    head = [account_id, at, request.META.get("CONTENT_TYPE", ""), headers]
    return json.dumps(head).encode() + b"\n" + request.body


def unpacked(data: bytes) -> Call:
    head, _, body = data.partition(b"\n")
    account_id, at, content_type, headers = json.loads(head)
    return Call(account_id, at, content_type, headers, body)


def request_of(call: Call, body: bytes | None = None) -> HttpRequest:
    """As anymail's parsers want it. body: a part of it that is looked at alone."""
    body = call.body if body is None else body
    environ: dict[str, Any] = {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": call.content_type,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in call.headers.items()}
    return WSGIRequest(environ)
