"""Bulk actions: choosing whom on a list, saying in numbers what will happen, progress, result and undo."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.access import NotAllowed, WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import BY_AGE, page_of, render_part, sort_of
from contacts import chosen
from contacts.actions import bulk as actions
from contacts.actions.exports import in_words
from contacts.bulk.deeds import DEEDS, Deed
from contacts.forms.bulk import FORMS, chosen_ids
from contacts.forms.contacts import FindForm
from contacts.models import BulkAction, BulkRun, Contact, Segment
from contacts.queries import bulk as queries
from contacts.queries.imports import pace
from contacts.views.asked import asked_for


def deeds_for(request: WorkspaceRequest) -> list[tuple[str, str, Deed]]:
    """(key, label, deed) of what the person may do to many; nothing for who only looks."""
    held = Role(request.membership.role)
    return [(key, BulkAction(key).label, deed) for key, deed in DEEDS.items() if held.may(deed.lowest)]


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    search = request.GET.get("q", "").replace("\0", "").strip()
    sort, sorts = sort_of(request, BY_AGE)
    found = queries.recent(request.workspace, search)
    page = page_of(found, order=BY_AGE[sort][1], cursor=request.GET.get("cursor", ""))
    context = {"page": page, "search": search, "sort": sort, "sorts": sorts}
    context["is_open"] = any(run.is_open for run in page.rows)
    return render_part(
        request, "contacts/bulk_runs.html", "contacts/_bulk_runs.html", context, target="bulk-runs"
    )


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    """Ask, then queue it. It is for whom the form names, or for all that the address finds."""
    whom = _whom(request)
    action, deed = _deed(request)
    is_sent = "go" in request.POST
    data, initial = request.POST if is_sent else None, _initial(request, action)
    form = FORMS[action](data, workspace=request.workspace, initial=initial)
    if is_sent and form.is_valid():
        run = actions.ask(request.workspace, form.plan(), whom, by=request.user)
        return redirect("bulk", run.pk)
    context: dict[str, Any] = {"form": form, "whom": whom, "action": action, "deed": deed}
    context |= {"ids": ",".join(map(str, whom.chosen.get("ids", ()))), "keep_days": queries.KEEP_DAYS}
    context["back"] = _back(request)
    page, part = "contacts/bulk_new.html", "contacts/_bulk_form.html"
    return render_part(request, page, part, context, target="bulk-form", status=422 if is_sent else 200)


@needs(Role.VIEWER)
def count(request: WorkspaceRequest) -> HttpResponse:
    """How many the address finds: all of them for the bar below a list, ?found what is told above it, where all are
    counted only ?exactly."""
    found, _ = _found(*asked_for(request))
    if "found" in request.GET:
        most = None if "exactly" in request.GET else queries.FOUND_MOST
        context = {"count": queries.count(found, request.workspace, most=most), "most": most}
        return render(request, "contacts/_found_count.html", context)
    return render(request, "contacts/_bulk_count.html", {"count": queries.count(found, request.workspace)})


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = _run(request, pk)
    context = {
        "run": run,
        "deed": DEEDS[run.undoes.action if run.undoes else run.action],
        "pace": pace(run),
        "left_to_undo": queries.left_to_undo(run),
        "undoing": queries.open_undoing(run),
        "keep_days": queries.KEEP_DAYS,
    }
    return render_part(request, "contacts/bulk.html", "contacts/_bulk_run.html", context, target="bulk-run")


@needs(Role.MARKETER)
@require_POST
def cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = _run(request, pk)
    actions.cancel(run, by=request.user)
    messages.success(request, "Stopped. What was done before stays.")
    return redirect("bulk", run.pk)


@needs(Role.MARKETER)
@require_POST
def undo(request: WorkspaceRequest, pk: int) -> HttpResponse:
    undoing = actions.undo(_run(request, pk), by=request.user)
    return redirect("bulk", undoing.pk)


def _whom(request: WorkspaceRequest) -> actions.Whom:
    """Whom it is for. Another workspace's contacts are nobody. Raises: Refusal: nobody was chosen."""
    segment, find = asked_for(request)
    if request.method == "POST" and "all" not in request.POST:
        named = chosen_ids([*request.POST.getlist("contact"), *request.POST.getlist("contacts")])
        pks = list(Contact.objects.of(request.workspace).filter(pk__in=named).values_list("pk", flat=True))
        if not pks:
            raise Refusal("Nobody of those chosen is a contact any more. Choose others.")
        return actions.Whom(chosen.of_ids(pks), f"{len(pks):,} chosen one by one", len(pks))
    found, words = _found(segment, find)
    return actions.Whom(found, words, queries.count(found, request.workspace))


def _found(segment: Segment | None, find: FindForm) -> tuple[dict[str, Any], str]:
    """All that the address finds, as `contacts.chosen` keeps them and in words."""
    if segment:
        return chosen.of_segment(segment), f"Segment “{segment}”"
    return chosen.of_finder(find.finder()), in_words(find.finder())


def _deed(request: WorkspaceRequest) -> tuple[BulkAction, Deed]:
    key = request.POST.get("action") or request.GET.get("action", "")
    if key not in DEEDS:
        raise Http404
    deed = DEEDS[key]
    if not Role(request.membership.role).may(deed.lowest):
        raise NotAllowed(
            f"To do this to many needs the role “{deed.lowest.label}”. Ask an admin of the workspace."
        )
    return BulkAction(key), deed


def _initial(request: WorkspaceRequest, action: BulkAction) -> dict[str, Any]:
    """What is filled in at first: the list that one looks at, to be taken off it."""
    known = {"list": request.GET.get("list", "")} if action == BulkAction.REMOVE_FROM_LIST else {}
    return known | {key: value for key, value in request.POST.items() if key == "field"}


def _back(request: WorkspaceRequest) -> str:
    """Where these people stand: the segment, or the contacts with the same filter."""
    if segment := request.GET.get("segment"):
        return reverse("segment", args=[segment])
    query = request.GET.copy()
    query.pop("action", None)
    return f"{reverse('contacts')}?{query.urlencode()}"


def _run(request: WorkspaceRequest, pk: int) -> BulkRun:
    runs = BulkRun.objects.of(request.workspace).select_related("workspace", "created_by", "undoes")
    run: BulkRun = get_object_or_404(runs, pk=pk)
    return run
