"""What holds for every answer: the content security policy, what may be kept, refusals rendered in one place."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.errors import Refusal
from config import statement_time

SAFE = ("GET", "HEAD", "OPTIONS")
TOOK_TOO_LONG = (
    "It took too long and was stopped, so that other pages go on. Search for less, or try again in a minute."
)
Handler = Callable[[HttpRequest], HttpResponse]
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'self'"
)


def content_security_policy(get_response: Handler) -> Handler:
    """Set the strict policy, except where a view has set its own (the sandboxed previews of mail)."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


class refusals:  # noqa: N801  (reads as a function in settings; process_exception needs a class)
    """Render a Refusal that no view has bound to a field; no browser keeps the page of somebody signed in."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Vary", "Cookie, HX-Request, HX-Target")
        if request.user.is_authenticated:
            # "Back" asks again, rather than show a draft that has left meanwhile.
            add_never_cache_headers(response)
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if statement_time.has_struck(error):
            return refused(request, Refusal(TOOK_TOO_LONG, code="took_too_long", status=503))
        return refused(request, error) if isinstance(error, Refusal) else None


def time_for_deeds(get_response: Handler) -> Handler:
    """Let what somebody does take longer than what somebody looks at."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if request.method in SAFE:
            return get_response(request)
        with statement_time.for_a_deed():
            return get_response(request)

    return middleware


def refused(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """JSON for the API; for htmx a toast, or words beside a form that saves itself; a page otherwise."""
    if request.path.startswith("/api/"):
        return JsonResponse({"code": refusal.code, "message": refusal.message}, status=refusal.status)
    context = {"refusal": refusal, "back": _back(request)}
    htmx = getattr(request, "htmx", None)
    if not htmx:
        return render(request, "refusal.html", context, status=refusal.status)
    if (htmx.target or "").endswith("#saved"):
        return render(request, "shared/_not_saved.html", context, status=refusal.status)
    response = render(request, "shared/_refusal.html", context, status=refusal.status)
    response["HX-Retarget"], response["HX-Reswap"] = "#toasts", "beforeend"
    return response


def _back(request: HttpRequest) -> str:
    """The page of ours that led here, or nothing; never the refused page itself."""
    came_from = request.headers.get("Referer", "")
    is_ours = url_has_allowed_host_and_scheme(came_from, {request.get_host()})
    is_itself = request.method == "GET" and came_from == request.build_absolute_uri()
    return came_from if is_ours and not is_itself else ""
