"""What is answered before Django's middleware: mail programs and providers ask for it by the thousand a second.

`config.fast` says which paths; a handler takes WSGI's environ and gives an Answer. It never raises for what is asked.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings

Environ = dict[str, Any]


class Answer(NamedTuple):
    """headers: beside Content-Length, which follows from the body."""

    status: HTTPStatus
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Handler = Callable[[Environ], Answer]
TEXT = ("Content-Type", "text/plain; charset=utf-8")
NOT_KEPT = ("Cache-Control", "no-store, no-cache, must-revalidate, private, max-age=0")


def said(status: HTTPStatus, words: str) -> Answer:
    return Answer(status, (TEXT, NOT_KEPT), words.encode() + b"\n")


def visitor(environ: Environ) -> str:
    """Whose request it is: the address that our own proxy appended, or that of the connection."""
    if settings.SECURE_PROXY_SSL_HEADER:
        return str(environ.get("HTTP_X_FORWARDED_FOR", "")).rpartition(",")[2].strip()
    return str(environ.get("REMOTE_ADDR", ""))
