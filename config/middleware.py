"""What holds for every answer: the content security policy, and refusals rendered in one place."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from accounts.errors import Refusal

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
    """Render a Refusal that no view has bound to a field: a toast for htmx, JSON for the API, a page otherwise."""

    def __init__(self, get_response: Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Vary", "Cookie, HX-Request, HX-Target")
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if not isinstance(error, Refusal):
            return None
        if request.path.startswith("/api/"):
            return JsonResponse({"code": error.code, "message": error.message}, status=error.status)
        context = {"refusal": error}
        if not getattr(request, "htmx", False):
            return render(request, "refusal.html", context, status=error.status)
        response = render(request, "shared/_refusal.html", context, status=error.status)
        response["HX-Retarget"], response["HX-Reswap"] = "#toasts", "beforeend"
        return response
