"""The local inbox's pages: open to whoever uses this machine, and not there where the inbox is off."""

import re
from collections.abc import Callable
from functools import wraps

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.pages import page_of, render_part
from delivery import letter
from delivery.models import InboxMessage

SHOWN_SOURCE = 200_000  # bytes on the page; all of it has its own address
TABS = (("html", "HTML"), ("text", "Text"), ("headers", "Headers"), ("source", "Source"))
# A stranger's HTML: no script, no form, nothing of ours; pictures and styles as mail programs allow them.
POLICY = (
    "default-src 'none'; img-src * data:; media-src *; font-src *; style-src * 'unsafe-inline'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
View = Callable[..., HttpResponse]


def _while_on(view: View) -> View:
    @wraps(view)
    def guarded(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not settings.INBOX:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


@_while_on
def inbox(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("search", "").replace("\0", "").strip()
    page = page_of(_found(search), order="-id", cursor=request.GET.get("cursor", ""))
    is_first = not (page.previous or search)
    context = {"page": page, "search": search, "is_first": is_first, "port": settings.INBOX_PORT}
    return render_part(request, "delivery/inbox.html", "delivery/_inbox.html", context, target="messages")


def _found(search: str) -> QuerySet[InboxMessage]:
    rows = InboxMessage.objects.defer("source")
    if search:
        rows = rows.filter(Q(envelope_to__icontains=search) | Q(subject__icontains=search))
    return rows


@_while_on
def inbox_message(request: HttpRequest, pk: int) -> HttpResponse:
    message = get_object_or_404(InboxMessage, pk=pk)
    source = bytes(message.source)
    found = letter.read(source)
    asked = request.GET.get("tab", "")
    tab = asked if asked in dict(TABS) else "html" if found.html else "text"
    context = {"message": message, "letter": found, "tab": tab, "tabs": TABS, "size": len(source)}
    if tab == "source":
        context |= {
            "source": source[:SHOWN_SOURCE].decode("utf-8", "replace"),
            "is_cut": len(source) > SHOWN_SOURCE,
        }
    return render(request, "delivery/inbox_message.html", context)


@_while_on
def inbox_part(request: HttpRequest, pk: int, part: str) -> HttpResponse:
    source = bytes(get_object_or_404(InboxMessage, pk=pk).source)
    match part:
        case "html":
            html = _opening_new_tabs(letter.read(source).html)
            return HttpResponse(html, headers={"Content-Security-Policy": POLICY})
        case "text":
            return HttpResponse(letter.read(source).text, content_type="text/plain; charset=utf-8")
        case "source":
            return HttpResponse(source, content_type="text/plain; charset=utf-8")
    raise Http404


def _opening_new_tabs(html: str) -> str:
    """Links lead out of the frame."""
    base = '<base target="_blank">'
    placed, count = re.subn(r"<head\b[^>]*>", lambda head: head[0] + base, html, count=1, flags=re.IGNORECASE)
    return (
        placed
        if count
        else re.sub(
            r"\A(\s*<!doctype[^>]*>)?", lambda start: start[0] + base, html, count=1, flags=re.IGNORECASE
        )
    )


@require_POST
@_while_on
def inbox_clear(request: HttpRequest) -> HttpResponse:
    InboxMessage.objects.all().delete()
    return redirect("inbox")
