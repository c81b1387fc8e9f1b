"""Choosing a table's columns: a page of its own, and the same form in the menu above the table."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from contacts.actions import columns as actions
from contacts.models import Contact, List
from contacts.queries import columns as queries

PAGES = {
    "contacts": "contacts",
    "list": "lists",
    "segment": "segments",
}  # where one is led who came from nowhere


def table_of(
    request: WorkspaceRequest, table: str, contacts: Sequence[Contact], *, in_list: List | None = None
) -> dict[str, Any]:
    """What `contacts/_people.html` needs of these contacts: the columns, and each contact with its cells."""
    columns = queries.columns_of(request.membership, table)
    return {"columns": columns, "people": queries.filled(contacts, columns, in_list=in_list)}


@needs(Role.VIEWER)
def columns(request: WorkspaceRequest, table: str) -> HttpResponse:
    """Ask which, keep them, and lead back to the table."""
    if table not in queries.USUAL:
        raise Http404
    shown, problem = queries.columns_of(request.membership, table), ""
    if request.method == "POST":
        try:
            _keep(request, table)
            return redirect(_back(request, table))
        except actions.TooManyColumns as refusal:
            shown, problem = _typed(request, shown), refusal.message
    context = {"columns": shown, "problem": problem, "back": _back(request, table)}
    return render(request, "contacts/columns.html", context, status=422 if problem else 200)


def _keep(request: WorkspaceRequest, table: str) -> None:
    if "reset" in request.POST:
        actions.reset(request.membership, table=table)
    else:
        actions.choose(request.membership, table=table, names=request.POST.getlist("column"))


def _typed(request: WorkspaceRequest, columns: queries.Columns) -> queries.Columns:
    return queries.Columns(columns.table, columns.offered, frozenset(request.POST.getlist("column")))


def _back(request: WorkspaceRequest, table: str) -> str:
    """The table that one came from, never an address elsewhere."""
    back = request.POST.get("back") or request.GET.get("back", "")
    is_ours = back.startswith("/") and url_has_allowed_host_and_scheme(back, None)
    return back if is_ours else reverse(PAGES[table])
