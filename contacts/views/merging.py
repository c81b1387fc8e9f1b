"""Merging two contacts: choose the other one, see both side by side, choose what stays."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.ids import id_in
from accounts.models import Role
from contacts.actions import merging as actions
from contacts.forms.merging import MergeForm
from contacts.models import Contact, Subscription
from contacts.queries import contacts as queries
from contacts.queries.contacts import Finder
from contacts.views.profile import contact_of, profile_of

FOUND = 10  # contacts below the search box


@dataclass(frozen=True)
class Side:
    """One value of both. is_gone: taken from the other one unless somebody chooses otherwise."""

    name: str
    label: str
    kind: str
    kept: Any
    gone: Any
    is_gone: bool

    @property
    def is_same(self) -> bool:
        return bool(self.kept == self.gone)


@needs(Role.MARKETER)
def merge(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """?q= finds the other contact, ?other= is the one that was chosen."""
    kept = contact_of(request, pk)
    other = id_in(request.GET.get("other"))
    if other is None:
        return _choose(request, kept)
    gone = get_object_or_404(Contact.objects.of(request.workspace).select_related("workspace"), pk=other)
    if gone.pk == kept.pk:
        return _choose(request, kept, problem="This is the same contact. Choose another one.")
    sides = _sides(kept, gone)
    form = MergeForm(request.POST, names=[side.name for side in sides])
    if request.method == "POST" and form.is_valid():
        return _merge(request, kept, gone, form)
    context = {"contact": kept, "gone": gone, "sides": sides, "lists": _lists(kept, gone)}
    context["suppressed"] = [
        each for each in (queries.suppression_of(kept), queries.suppression_of(gone)) if each
    ]
    status = 422 if request.method == "POST" else 200
    return render(request, "contacts/contact_merge.html", context, status=status)


def _merge(request: WorkspaceRequest, kept: Contact, gone: Contact, form: MergeForm) -> HttpResponse:
    try:
        actions.merge(kept, gone, taken=form.taken(), by=request.user)
    except Refusal as refusal:
        return _choose(request, kept, problem=refusal.message)
    messages.success(request, f"{gone} is part of this contact now.")
    return redirect("contact", kept.pk)


def _choose(request: WorkspaceRequest, kept: Contact, *, problem: str = "") -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()[:200]
    found = queries.find(request.workspace, Finder(search=words)).exclude(pk=kept.pk).order_by("-pk")
    context = {"contact": kept, "search": words, "found": found[:FOUND] if words else [], "problem": problem}
    page = "contacts/contact_merge_choose.html"
    return render(request, page, context, status=409 if problem and request.method == "POST" else 200)


def _sides(kept: Contact, gone: Contact) -> list[Side]:
    """Every value that one of them has."""
    pairs = zip(profile_of(kept), profile_of(gone), strict=True)
    sides = [
        Side(mine.name, mine.label, mine.kind, mine.value, theirs.value, is_gone=mine.value in (None, ""))
        for mine, theirs in pairs
    ]
    return [side for side in sides if {side.kept, side.gone} - {None, ""}]


def _lists(kept: Contact, gone: Contact) -> list[tuple[Subscription, bool]]:
    """What the contact is on afterwards, and whether both were on it."""
    mine = {each.list_id: each for each in queries.memberships(kept)}
    theirs = {each.list_id: each for each in queries.memberships(gone)}
    held = {
        pk: actions.winner(mine[pk], theirs[pk])
        if pk in mine and pk in theirs
        else mine.get(pk) or theirs[pk]
        for pk in [*mine, *(pk for pk in theirs if pk not in mine)]
    }
    return [(each, pk in mine and pk in theirs) for pk, each in held.items()]
