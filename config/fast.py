"""In front of Django: a few paths are answered without its middleware, and mail's pages are for any host's name.

One line of FRONTS a path; the pages of config.urls answer the same where no WSGI application is around them (tests).
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port, validate_host
from django.views.decorators.csrf import csrf_exempt

from delivery.front import Answer, Environ, Handler
from delivery.hooks import calls
from delivery.tracking import hits

# {what the path begins with: who answers}
FRONTS: Final[dict[str, Handler]] = {
    "/o/": hits.pixel,
    "/c/": hits.click,
    "/.well-known/volley": hits.well_known,
    "/hooks/": calls.take,
}
# Pages that links in mail lead to, which begin with a workspace's own domain: it is ours for these and for no other.
MAIL_PAGES: Final = ("/u/", "/p/", "/confirm/")
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


def in_front_of(django: Wsgi) -> Wsgi:
    def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        handler = _handler(environ["PATH_INFO"])
        if handler is None:
            if environ["PATH_INFO"].startswith(MAIL_PAGES):
                _take_as_ours(environ)
            return django(environ, start_response)
        answer = handler(environ)
        start_response(f"{answer.status.value} {answer.status.phrase}", [*_headers(answer)])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else answer.body]

    return application


@csrf_exempt  # a signature in the address or in the body is the proof
def page(request: HttpRequest, **_parts: str) -> HttpResponse:
    """The same as a Django view."""
    environ: Environ = request.META  # of a WSGI request the environ itself
    handler = _handler(environ["PATH_INFO"])
    answer = handler(environ) if handler else Answer(HTTPStatus.NOT_FOUND)
    return HttpResponse(answer.body, status=answer.status, headers=dict(answer.headers))


def _handler(path: str) -> Handler | None:
    return next((handler for prefix, handler in FRONTS.items() if path.startswith(prefix)), None)


def _headers(answer: Answer) -> Iterable[tuple[str, str]]:
    yield from answer.headers
    yield "Content-Length", str(len(answer.body))


def _take_as_ours(environ: Environ) -> None:
    """Let a foreign name of this host be that of PUBLIC_URL, and what came from its own pages from ours."""
    host = environ.get("HTTP_HOST", "")
    domain, _port = split_domain_port(host)
    if not host or validate_host(domain, settings.ALLOWED_HOSTS):
        return
    ours = urlsplit(settings.PUBLIC_URL)
    environ["HTTP_HOST"] = ours.netloc
    for header in ("HTTP_ORIGIN", "HTTP_REFERER"):
        with suppress(ValueError):  # what is no address came from nowhere
            came_from = urlsplit(environ.get(header, ""))
            if came_from.netloc == host:
                environ[header] = came_from._replace(scheme=ours.scheme, netloc=ours.netloc).geturl()
