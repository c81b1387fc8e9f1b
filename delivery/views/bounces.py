"""The list of bounces, blocks and complaints: found, exported, taken back."""

import uuid
from datetime import datetime, time, timedelta
from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.ids import id_in
from accounts.models import Role
from contacts.csv_answer import csv_answer
from contacts.models import Contact
from delivery.hygiene import returned
from delivery.hygiene.returned import KINDS, Returned, Wanted
from delivery.models import EventKind, Mailing, SendingAccount

HEADER: Final = ("E-mail", "What", "Campaign", "Code", "The server’s words", "When (UTC)", "Taken back (UTC)")


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    wanted = _wanted(request)
    context = _about(request, wanted)
    context["page"] = returned.page(request.workspace, wanted, after=_key(request.GET.get("after", "")))
    return render(request, "delivery/bounces.html", context)


@needs(Role.MARKETER)
@require_POST
def export(request: WorkspaceRequest) -> HttpResponse:
    """The filter is in the address; a row at a time, however many."""
    rows = returned.every(request.workspace, _wanted(request))
    return csv_answer("bounces.csv", HEADER, map(_cells, rows))


def _cells(row: Returned) -> list[Any]:
    return [row.email, row.label, row.mailing, row.code, row.said, row.at, row.undone_at]


@needs(Role.ADMIN)
def undo(request: WorkspaceRequest) -> HttpResponse:
    """Say what it would take back, then do so."""
    wanted = _wanted(request)
    if request.method == "POST":
        done = returned.undo(request.workspace, wanted, by=request.user)
        messages.success(
            request,
            f"{done.events:,} taken back; {done.lifted:,} address{'' if done.lifted == 1 else 'es'} can get mail again.",
        )
        return redirect(f"{reverse('bounces')}?{_rest(request)}")
    counts = returned.counts(request.workspace, wanted)
    lines = [
        (EventKind(kind).label, counts[kind][0] - counts[kind][1]) for kind in KINDS[:3] if kind in counts
    ]
    context = _about(request, wanted) | {
        "lines": lines,
        "count": sum(count for _, count in lines),
        "complaints": counts.get(EventKind.COMPLAINED, (0, 0))[0],
        "back": f"{reverse('bounces')}?{_rest(request)}",
    }
    return render(request, "delivery/bounces_undo.html", context)


def _rest(request: WorkspaceRequest) -> str:
    """The filter without the one."""
    rest = request.GET.copy()
    rest.pop("key", None)
    return rest.urlencode()


def _about(request: WorkspaceRequest, wanted: Wanted) -> dict[str, Any]:
    query = request.GET.copy()
    query.pop("after", None)
    return {
        "wanted": wanted,
        "kinds": [(kind.value, kind.label) for kind in KINDS],
        "query": query.urlencode(),
        "is_filtered": any(query.values()),
    }


def _wanted(request: WorkspaceRequest) -> Wanted:
    """What the address asks for. What is another workspace's is a 404; what cannot be read, too, since it must not
    mean everything."""
    given = {name: str(value).replace("\0", "").strip() for name, value in request.GET.items()}
    kind = given.get("kind", "")
    key = _key(given.get("key", ""))
    if (kind and kind not in [each.value for each in KINDS]) or (given.get("key") and key is None):
        raise Http404
    return Wanted(
        kind=kind,
        mailing=_own(request, Mailing, given.get("campaign", "")),
        contact=_own(request, Contact, given.get("contact", "")),
        account=_own(request, SendingAccount, given.get("account", "")),
        since=_day(request, given.get("since", "")),
        until=_day(request, given.get("until", ""), days=1),
        search=given.get("q", ""),
        key=key,
    )


def _own(request: WorkspaceRequest, model: Any, text: str) -> Any:
    if not text:
        return None
    number = id_in(text)
    if number is None:
        raise Http404
    return get_object_or_404(model.objects.of(request.workspace), pk=number)


def _day(request: WorkspaceRequest, text: str, *, days: int = 0) -> datetime | None:
    """The beginning of the day in the workspace's zone; days: so many later, so that a last day is whole."""
    if not text:
        return None
    try:
        day = parse_date(text)
        if day is None:
            raise Http404
        return timezone.make_aware(
            datetime.combine(day + timedelta(days=days), time()), request.workspace.zone
        )
    except (ValueError, OverflowError) as problem:
        raise Http404 from problem


def _key(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
