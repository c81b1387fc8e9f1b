"""The answers of the house itself to what no view has seen: pages in words, and parts where htmx asked."""

from typing import Final

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import page_not_found

from accounts.access import SIGNED_OUT
from accounts.errors import Refusal
from config.middleware import refused

TOO_BIG: Final = "It is larger than 5 MB, and was not taken. Shorten it, or link to large pictures."
TOO_MANY: Final = "It has more than 5,000 fields, and was not taken. Choose fewer at once."
UNREADABLE: Final = "It could not be read. Reload the page and do it again."
TOO_LONG_OPEN: Final = "The page was open too long. Reload it, and do it again."


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django took no further: too large, too many fields, or no request as we know them."""
    match exception:
        case RequestDataTooBig():
            refusal = Refusal(TOO_BIG, code="too_big", status=413)
        case TooManyFieldsSent():
            refusal = Refusal(TOO_MANY, code="too_many_fields", status=413)
        case _:
            refusal = Refusal(UNREADABLE, code="unreadable", status=400)
    return _said(request, refusal, "400.html")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The form's token is not that of the browser's cookie: signed in anew meanwhile, or out."""
    is_known = getattr(request, "user", None) and request.user.is_authenticated
    words = TOO_LONG_OPEN if is_known else SIGNED_OUT
    return _said(request, Refusal(words, code="stale_page", status=403), "403_csrf.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not getattr(request, "htmx", False):
        return page_not_found(request, exception)
    return refused(request, Refusal("It may have been deleted, or belong to another workspace.", status=404))


def _said(request: HttpRequest, refusal: Refusal, page: str) -> HttpResponse:
    """The page stands outside the shell: who asks may not be known yet."""
    if getattr(request, "htmx", False):
        return refused(request, refusal)
    return render(request, page, {"refusal": refusal}, status=refusal.status)
