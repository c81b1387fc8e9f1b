"""What stands on a contact's page and is changed where it stands: values, tags, the timeline."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.ids import SHORT_DIGITS, id_in
from accounts.models import Role
from contacts.actions import contacts as actions
from contacts.actions import tags as tag_actions
from contacts.actions.erasure import WasErased
from contacts.forms.contacts import ValueForm, taken
from contacts.forms.tags import TagsForm
from contacts.models import NAMES, Contact
from contacts.queries import contacts as queries
from contacts.queries import tags as tag_queries
from contacts.queries import timeline as timelines
from contacts.queries.fields import fields


@dataclass(frozen=True)
class Shown:
    """One value of the profile. name: as the form calls its field. kind: its field's type."""

    name: str
    label: str
    value: Any
    kind: str = "text"
    description: str = ""


def profile_of(contact: Contact) -> list[Shown]:
    """Address, names and every custom field, in the order of the page."""
    own = [Shown(name, label, getattr(contact, name)) for name, label in NAMES.items()]
    return own + [
        Shown(
            f"attribute_{each.key}", each.label, contact.attributes.get(each.key), each.type, each.description
        )
        for each in fields(contact.workspace)
    ]


def contact_of(request: WorkspaceRequest, pk: int) -> Contact:
    contact: Contact = get_object_or_404(
        Contact.objects.of(request.workspace).select_related("workspace"), pk=pk
    )
    return contact


def kind_of(request: WorkspaceRequest) -> str:
    """The kind of entries that the timeline is to show, "" for all."""
    kind = request.GET.get("kind", "")
    return kind if kind in timelines.KINDS else ""


@needs(Role.MARKETER)
def value(request: WorkspaceRequest, pk: int, name: str) -> HttpResponse:
    """One value's form in its place, ?shown the value again; without htmx the whole form serves."""
    contact = contact_of(request, pk)
    _shown(contact, name)
    if not request.htmx:
        return redirect(f"{reverse('contact_edit', args=[pk])}#id_{name}")
    if "shown" in request.GET:
        return _value_part(request, contact, name)
    form = ValueForm(request.POST or None, contact=contact, name=name)
    if form.is_valid() and _save(request, contact, form):
        return _value_part(request, contact_of(request, pk), name, is_saved=True)
    context = {"form": form, "contact": contact, "shown": _shown(contact, name)}
    return render(request, "contacts/_contact_value_form.html", context, status=422 if form.is_bound else 200)


def _save(request: WorkspaceRequest, contact: Contact, form: ValueForm) -> bool:
    typed, asked_back = form.cleaned_data[form.name], form.cleaned_data.get("asked_back", False)
    try:
        actions.set_value(contact, name=form.name, value=typed, asked_back=asked_back, by=request.user)
    except actions.AddressTaken as refusal:
        form.add_error("email", taken(typed, refusal.existing))
    except WasErased as refusal:
        form.refuse_erased(refusal.message)
    else:
        return True
    return False


def _value_part(
    request: WorkspaceRequest, contact: Contact, name: str, *, is_saved: bool = False
) -> HttpResponse:
    context = {"contact": contact, "shown": _shown(contact, name), "is_saved": is_saved}
    return render(request, "contacts/_contact_value.html", context)


def _shown(contact: Contact, name: str) -> Shown:
    for each in profile_of(contact):
        if each.name == name:
            return each
    raise Http404


@needs(Role.MARKETER)
@require_POST
def tags(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Add the tags of a `name`, or take off the one of an id, `off`; the chips again, or the contact's page."""
    contact, problem = contact_of(request, pk), ""
    off = id_in(request.POST.get("off"), digits=SHORT_DIGITS)
    if off is not None:
        tag_actions.untag(contact, tag_id=off, by=request.user)
    else:
        problem = _tag(request, contact)
    if not request.htmx and not problem:
        return redirect("contact", pk)
    contact.refresh_from_db(fields=["tag_ids"])
    queries.give_tags([contact])
    context = {
        "contact": contact,
        "problem": problem,
        "typed": request.POST.get("name", "") if problem else "",
    }
    page = "contacts/_contact_tags.html" if request.htmx else "contacts/contact_tags.html"
    return render(request, page, context | {"is_answer": True}, status=422 if problem else 200)


def _tag(request: WorkspaceRequest, contact: Contact) -> str:
    """Add what was typed. Returns what is wrong with it, in words."""
    form = TagsForm(request.POST, workspace=request.workspace)
    if not form.is_valid():
        return str(form.errors["name"][0])
    try:
        tag_actions.tag(contact, names=form.cleaned_data["name"], by=request.user)
    except Refusal as refusal:
        return refusal.message
    return ""


@needs(Role.VIEWER)
def tag_suggestions(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """The options below the box in which a tag is typed."""
    contact = contact_of(request, pk)
    words = request.GET.get("name", "").replace("\0", "").strip()
    found = tag_queries.suggested(request.workspace, words, besides=contact.tag_ids)
    return render(request, "contacts/_tag_suggestions.html", {"found": found})


@needs(Role.VIEWER)
def timeline(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """The next entries of the timeline, put behind those that are there; without htmx the page shows them."""
    contact, kind = contact_of(request, pk), kind_of(request)
    if not request.htmx:
        return redirect(f"{reverse('contact', args=[pk])}?{request.GET.urlencode()}#timeline")
    held, suppression = queries.memberships(contact), queries.suppression_of(contact)
    page = timelines.page(contact, held, suppression, kind=kind, cursor=request.GET.get("older", ""))
    context = {"contact": contact, "timeline": page, "kind": kind}
    return render(request, "contacts/_contact_timeline_entries.html", context)
