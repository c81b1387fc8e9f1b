"""A provider's call: see who calls, keep what is said, answer. In front of Django's middleware (config.fast)."""

import logging
import re
import time
from http import HTTPStatus
from typing import Final

import requests
from django.core.handlers.wsgi import WSGIRequest
from django.db import DatabaseError, close_old_connections
from django.http import HttpRequest, UnreadablePostError

from delivery.feedback import stream
from delivery.front import Answer, Environ, said
from delivery.hooks import entries, refusals, replays
from delivery.hooks.actions import ask_to_confirm
from delivery.hooks.checks import Refused, check
from delivery.hooks.setup import SETUPS
from delivery.models import SendingAccount

MOST_BYTES: Final = 5 * 2**20  # of one call; providers group some hundred events of a kilobyte
NEEDED: Final = ("provider", "hook_key", "hook", "secrets")  # of the account
ALLOWED: Final = ("POST", "GET", "HEAD")
WORDS: Final = {
    HTTPStatus.BAD_REQUEST: "This cannot be read.",
    HTTPStatus.NOT_FOUND: "There is no such webhook.",
    HTTPStatus.METHOD_NOT_ALLOWED: "POST only.",
    HTTPStatus.NOT_ACCEPTABLE: "This came before.",  # the one refusal after which Mailgun does not try again
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "This is too large.",
    HTTPStatus.SERVICE_UNAVAILABLE: "This cannot be kept just now. Come again.",
}
log = logging.getLogger(__name__)
_PATH: Final = re.compile(r"/hooks/([a-z_]{1,30})/([A-Za-z0-9_-]{22})/?", re.ASCII)
_OK: Final = said(HTTPStatus.OK, "OK")


def take(environ: Environ) -> Answer:
    """200 once what was said is kept; 4xx where it is not the provider's own, and then nothing is."""
    found, method = _PATH.fullmatch(environ["PATH_INFO"]), environ["REQUEST_METHOD"]
    if not found or found[1] not in SETUPS:
        return _no(HTTPStatus.NOT_FOUND)
    if method not in ALLOWED:
        return _no(HTTPStatus.METHOD_NOT_ALLOWED)
    if not _is_short(environ):
        return _no(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    request = WSGIRequest(environ)
    try:
        return _answer(found[1], found[2], request)
    except DatabaseError:
        close_old_connections()  # it may be one of before PostgreSQL was restarted
    try:
        return _answer(found[1], found[2], request)
    except DatabaseError as error:
        log.warning("hook.not_kept error=%s", error)
        return _no(HTTPStatus.SERVICE_UNAVAILABLE)


def _answer(provider: str, key: str, request: HttpRequest) -> Answer:
    """Raises: DatabaseError: it could not be kept."""
    known = SendingAccount.objects.filter(hook_key=key, provider=provider).only(*NEEDED).order_by()
    account = next(iter(known), None)
    if account is None:
        return _no(HTTPStatus.NOT_FOUND)
    if request.method == "POST":
        return _take_from(account, request)
    return _OK  # providers look whether somebody is there


def _is_short(environ: Environ) -> bool:
    try:
        return int(environ.get("CONTENT_LENGTH") or 0) <= MOST_BYTES
    except ValueError:
        return False


def _take_from(account: SendingAccount, request: HttpRequest) -> Answer:
    try:
        _ = request.body  # before anything looks at the form, which would read it as a stream
        _keep(account, request)
    except UnreadablePostError:  # it hung up
        return _no(HTTPStatus.BAD_REQUEST)
    except requests.RequestException as error:
        log.warning("hook.no_certificate account=%s error=%s", account.pk, error)
        return _no(HTTPStatus.SERVICE_UNAVAILABLE)
    except Refused as refusal:
        refusals.count(account.pk)
        return _no(refusal.status)
    return _OK


def _keep(account: SendingAccount, request: HttpRequest) -> None:
    sign = check(account, request)
    if sign and replays.came_before(account.pk, sign):
        raise Refused(HTTPStatus.NOT_ACCEPTABLE)
    if not (account.provider == "amazon_ses" and ask_to_confirm(account, request)):
        stream.put(entries.STREAM, entries.packed(account.pk, time.time(), request))
    if sign:
        replays.remember(account.provider, account.pk, sign)


def _no(status: HTTPStatus) -> Answer:
    return said(status, WORDS.get(status, "This was not signed as it has to be."))
