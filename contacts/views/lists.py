"""The lists' pages: all of them with their counts, one with its people, making and archiving."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts import registry
from contacts.actions import lists as actions
from contacts.actions.confirmations import ask_all_again, to_ask_again
from contacts.actions.names import NameTaken
from contacts.forms.contacts import FindForm
from contacts.forms.lists import ListForm
from contacts.models import List, OptIn
from contacts.queries import growth, imports
from contacts.queries import lists as queries
from contacts.queries.limits import TakesTooLong
from contacts.views.bulk import deeds_for
from contacts.views.contacts import found

SORTS: Sorts = {"name": ("By name", "name_key"), **BY_AGE}


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words, archived = request.GET.get("q", "").replace("\0", "").strip(), "archived" in request.GET
    rows = queries.search(request.workspace, words, archived=archived)
    sort, sorts = sort_of(request, SORTS)
    page = page_of(rows, order=SORTS[sort][1], cursor=request.GET.get("cursor", ""))
    context = {
        "page": page,
        "rows": _rows(request, page.rows),
        "search": words,
        "sort": sort,
        "sorts": sorts,
        "archived": archived,
        "has_archived": queries.has_archived(request.workspace),
    }
    return render_part(request, "contacts/lists.html", "contacts/_lists.html", context, target="lists-found")


def _rows(request: WorkspaceRequest, lists: list[List]) -> list[dict[str, Any]]:
    """Each list with its counts, its growth and the ways on; two queries."""
    counts, gained = queries.counts(request.workspace, lists), growth.gained(lists)
    none = queries.Counts()
    return [
        {
            "list": each,
            "counts": counts.get(each.pk, none),
            "gained": gained.get(each.pk, 0),
            "links": _asked(registry.list_links, each),
        }
        for each in lists
    ]


def _asked(hooks: list[Callable[[List], list[Any]]], held: List) -> list[Any]:
    return [each for ask in hooks for each in ask(held)]


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    form = FindForm(request.GET, workspace=request.workspace, in_list=held)
    finder = form.finder()
    context = {
        "list": held,
        "form": form,
        "finder": finder,
        "deeds": deeds_for(request),
        **_shown(request, held),
        **found(request, finder, table="list"),
    }
    return render_part(
        request, "contacts/list.html", "contacts/_list_people.html", context, target="people-found"
    )


def _shown(request: WorkspaceRequest, held: List) -> dict[str, Any]:
    """What stands above the list's people; a part alone needs none of it."""
    if request.htmx and not request.htmx.history_restore_request:
        return {}
    counts = queries.counts(request.workspace, [held]).get(held.pk, queries.Counts())
    asked = request.GET.get("days", "")
    days = int(asked) if asked in map(str, growth.SPANS) else growth.USUAL_SPAN
    found = growth.growth(held, subscribed=counts.subscribed, days=days)
    return {
        "counts": counts,
        "growth": found,
        "chart": growth.chart(found),
        "is_new": not (counts.total or found.joined or found.left),
        "spans": growth.SPAN_WORDS,
        "notes": _asked(registry.list_notes, held),
        "links": _asked(registry.list_links, held),
        "imports": [] if held.archived_at else imports.filling(held),
        "uses": [] if held.archived_at else _asked(registry.list_uses, held),
    }


@needs(Role.VIEWER)
def health(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """What takes longer to count than the rest of the list's page, which asks for it by itself."""
    held = _list(request, pk)
    counts = queries.counts(request.workspace, [held]).get(held.pk, queries.Counts())
    context: dict[str, Any] = {"list": held, "counts": counts, "facts": _asked(registry.list_facts, held)}
    try:
        context["suppressed"] = queries.suppressed(held)
    except TakesTooLong:
        context["takes_too_long"] = True
    if held.opt_in == OptIn.DOUBLE and not held.archived_at:
        context["to_ask_again"] = queries.counted(to_ask_again(held))
    return render_part(
        request, "contacts/list_health.html", "contacts/_list_health.html", context, target="health"
    )


@needs(Role.MARKETER)
@require_POST
def ask_again(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    count = ask_all_again(held, by=request.user)
    people = "1 person is" if count == 1 else f"{count:,} people are"
    messages.success(request, f"{people} asked again." if count else "Nobody is left to be asked again.")
    return redirect("list", held.pk)


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = ListForm(request.POST or None, workspace=request.workspace)
    if form.is_valid():
        try:
            made = actions.create(request.workspace, **form.cleaned_data, by=request.user)
        except NameTaken as refusal:
            form.add_error("name", refusal.message)
        else:
            return redirect("list", made.pk)
    return render(request, "contacts/list_edit.html", {"form": form}, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    form = ListForm(request.POST or None, workspace=request.workspace, held=held)
    if form.is_valid():
        try:
            actions.change(held, **form.cleaned_data, by=request.user)
        except NameTaken as refusal:
            form.add_error("name", refusal.message)
        else:
            messages.success(request, "Saved.")
            return redirect("list", held.pk)
    context = {"form": form, "list": held}
    return render(request, "contacts/list_edit.html", context, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
@require_POST
def archive(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    actions.archive(held, by=request.user)
    messages.success(request, f"“{held}” is archived. Its people and their consent stay.")
    return redirect("list", held.pk)


@needs(Role.MARKETER)
@require_POST
def unarchive(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    actions.unarchive(held, by=request.user)
    messages.success(request, f"“{held}” is in use again.")
    return redirect("list", held.pk)


def _list(request: WorkspaceRequest, pk: int) -> List:
    held: List = get_object_or_404(List.objects.of(request.workspace), pk=pk)
    held.workspace = request.workspace  # else the page reads it once more
    return held
