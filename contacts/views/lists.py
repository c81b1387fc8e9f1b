"""The lists' pages: all of them with their counts, one with its people, making and archiving."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts.actions import lists as actions
from contacts.forms.contacts import FindForm
from contacts.forms.lists import ListForm
from contacts.models import List
from contacts.queries import contacts
from contacts.queries import lists as queries
from contacts.views.bulk import deeds_for

SORTS: Sorts = {"name": ("By name", "name_key"), **BY_AGE}


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words, archived = request.GET.get("q", "").replace("\0", "").strip(), "archived" in request.GET
    found = queries.search(request.workspace, words, archived=archived)
    sort, sorts = sort_of(request, SORTS)
    page = page_of(found, order=SORTS[sort][1], cursor=request.GET.get("cursor", ""))
    counts = queries.counts(request.workspace, page.rows)
    context = {
        "page": page,
        "rows": [(each, counts.get(each.pk, queries.Counts())) for each in page.rows],
        "search": words,
        "sort": sort,
        "sorts": sorts,
        "archived": archived,
        "has_archived": queries.has_archived(request.workspace),
    }
    return render_part(request, "contacts/lists.html", "contacts/_lists.html", context, target="lists-found")


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    form = FindForm(request.GET, workspace=request.workspace, in_list=held)
    finder = form.finder()
    page = contacts.page(request.workspace, finder, cursor=request.GET.get("cursor", ""))
    counts = queries.counts(request.workspace, [held]).get(held.pk, queries.Counts())
    context = {"list": held, "form": form, "finder": finder, "page": page, "counts": counts}
    context["deeds"] = deeds_for(request)
    return render_part(
        request, "contacts/list.html", "contacts/_list_people.html", context, target="people-found"
    )


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = ListForm(request.POST or None, workspace=request.workspace)
    if form.is_valid():
        try:
            made = actions.create(request.workspace, **form.cleaned_data, by=request.user)
        except actions.NameTaken as refusal:
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
        except actions.NameTaken as refusal:
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
    return held
