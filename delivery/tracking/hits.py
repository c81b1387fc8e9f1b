"""The requests for pixels and tracked links: read, kept for a worker and answered, without a look into the database.

In front of Django's middleware (config.fast). An answer is only given once the hit is kept, unless neither Redis nor
PostgreSQL is there to keep it: the reader of the message then comes first.
"""

import base64
import json
import logging
import os
import re
import time
from http import HTTPStatus
from typing import Final, NamedTuple

import idna
from django.conf import settings
from django.db import DatabaseError, close_old_connections
from django.utils import translation
from django.utils.encoding import iri_to_uri
from django.utils.translation import gettext

from delivery.feedback import stream
from delivery.front import NOT_KEPT, Answer, Environ, said, visitor
from delivery.models import EventKind
from delivery.preferences import languages
from delivery.tracking import signing
from delivery.tracking.signing import Person

STREAM: Final = "hit"
AGENT_LENGTH: Final = 300  # characters that are kept of it until it is read
PIXEL: Final = base64.b64decode(
    "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
)  # 1×1, transparent
_NOT_ALLOWED = said(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only.")
_SHOWN = Answer(HTTPStatus.OK, (("Content-Type", "image/gif"), NOT_KEPT), PIXEL)
_QUIET = (NOT_KEPT, ("Referrer-Policy", "no-referrer"), ("X-Robots-Tag", "noindex"))
log = logging.getLogger(__name__)


class Hit(NamedTuple):
    """One request. at: seconds since 1970, UTC. once: tells it from every other, however often it is read.

    ip and agent are there for the verdict, and are not kept beyond it.
    """

    kind: str
    mailing_id: int
    number: int
    at: float
    once: str
    url: str = ""
    label: int = 0
    agent: str = ""
    ip: str = ""
    is_prefetch: bool = False


def pixel(environ: Environ) -> Answer:
    """The open of a message. HEAD shows nobody anything and is not kept."""
    name, dot, ending = environ["PATH_INFO"].removeprefix("/o/").partition(".")
    person = signing.read_person(name) if dot + ending == ".gif" else None
    if person is None:
        return _not_found(environ)
    if (method := environ["REQUEST_METHOD"]) not in ("GET", "HEAD"):
        return _NOT_ALLOWED
    if method == "GET":
        _keep(_hit(environ, EventKind.OPENED, person))
    return _SHOWN


def click(environ: Environ) -> Answer:
    """On to where the link leads. HEAD is what programs ask, and is not kept."""
    token, _, part = environ["PATH_INFO"].removeprefix("/c/").partition("/")
    person = signing.read_person(token)
    target = person and signing.read_link(person.mailing_id, part)
    if person is None or target is None:
        return _not_found(environ)
    if (method := environ["REQUEST_METHOD"]) not in ("GET", "HEAD"):
        return _NOT_ALLOWED
    if method == "GET":
        _keep(_hit(environ, EventKind.CLICKED, person, target))
    if not target.url:  # the link that no person sees
        return Answer(HTTPStatus.NO_CONTENT, _QUIET)
    return Answer(HTTPStatus.FOUND, (("Location", _in_ascii(target.url)), *_QUIET))


def well_known(environ: Environ) -> Answer:
    """Whoever asks under another domain learns that it leads here."""
    return said(HTTPStatus.OK, signing.mark())


def _not_found(environ: Environ) -> Answer:
    """In the language of whoever asks, as far as their browser says it: nothing else is known of them."""
    accepts = environ.get("HTTP_ACCEPT_LANGUAGE", "")
    with translation.override(languages.of_browser(accepts) or settings.LANGUAGE_CODE):
        return said(
            HTTPStatus.NOT_FOUND, gettext("This link is not complete. Open it from the message again.")
        )


def _hit(environ: Environ, kind: str, person: Person, target: signing.Target = signing.Target("")) -> Hit:  # noqa: B008
    purpose = (
        environ.get("HTTP_SEC_PURPOSE") or environ.get("HTTP_PURPOSE") or environ.get("HTTP_X_MOZ") or ""
    )
    return Hit(
        kind=str(kind),
        mailing_id=person.mailing_id,
        number=person.number,
        at=time.time(),
        once=os.urandom(8).hex(),
        url=target.url,
        label=target.label,
        agent=environ.get("HTTP_USER_AGENT", "")[:AGENT_LENGTH],
        ip=visitor(environ),
        is_prefetch="prefetch" in purpose.lower() or "prerender" in purpose.lower(),
    )


def _in_ascii(url: str) -> str:
    """As it goes into a header: a name of letters beyond ASCII as DNS has it, all else in percent signs."""
    if url.isascii():
        return iri_to_uri(url)
    scheme, slashes, rest = url.partition("//")
    end = re.search(r"[/?#]|\Z", rest)
    host = rest[: end.start()] if end else rest
    try:
        named = idna.encode(host, uts46=True).decode()
    except idna.IDNAError:  # with a port or a user's name in it
        named = host
    return iri_to_uri(f"{scheme}{slashes}{named}{rest[len(host) :]}")


def _keep(hit: Hit) -> None:
    entry = json.dumps(hit).encode()
    try:
        stream.put(STREAM, entry)
    except DatabaseError:  # the connection may be one of before PostgreSQL was restarted
        close_old_connections()
        try:
            stream.put(STREAM, entry)
        except DatabaseError as error:
            log.warning("hit.lost mailing=%s error=%s", hit.mailing_id, error)
