"""The contacts' pages: the list, one contact, adding, changing, deleting, subscribing by hand."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import render_part
from contacts import registry
from contacts.actions import confirmations, subscriptions
from contacts.actions import contacts as actions
from contacts.actions.erasure import WasErased
from contacts.forms.contacts import ASK, ContactForm, FindForm, SubscribeForm, taken
from contacts.models import Contact, List, Subscription, SubscriptionStatus
from contacts.queries import contacts as queries
from contacts.queries import timeline
from contacts.queries.limits import TakesTooLong
from contacts.queries.lists import open_to
from contacts.queries.suppression import of_contact
from contacts.views.bulk import deeds_for
from contacts.views.columns import table_of
from contacts.views.profile import contact_of, kind_of, profile_of


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    form = FindForm(request.GET, workspace=request.workspace)
    finder = form.finder()
    context = {"form": form, "finder": finder, "deeds": deeds_for(request)} | found(
        request, finder, table="contacts"
    )
    return render_part(
        request, "contacts/contacts.html", "contacts/_contacts.html", context, target="contacts-found"
    )


def found(request: WorkspaceRequest, finder: queries.Finder, *, table: str) -> dict[str, Any]:
    """The page that was asked for with its table, or the problem: why there is none."""
    try:
        page = queries.page(request.workspace, finder, cursor=request.GET.get("cursor", ""))
    except TakesTooLong as refusal:
        return {"problem": refusal.message}
    return {"page": page, **table_of(request, table, page.rows, in_list=finder.in_list)}


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """One contact; the address of one that was merged leads on to the one that stayed."""
    if stayed := queries.stayed(request.workspace, pk):
        return redirect("contact", stayed)
    contact = contact_of(request, pk)
    return render(request, "contacts/contact.html", _profile(request, contact))


def _profile(request: WorkspaceRequest, contact: Contact) -> dict[str, Any]:
    held, suppression = queries.memberships(contact), queries.suppression_of(contact)
    queries.give_tags([contact])
    kind, cursor = kind_of(request), request.GET.get("older", "")
    return {
        "contact": contact,
        "values": profile_of(contact),
        "memberships": held,
        "suppression": suppression,
        "suppressed_lists": of_contact(contact),
        "links": [link for ask in registry.contact_links for link in ask(contact)],
        "is_subscribed": any(each.status == SubscriptionStatus.SUBSCRIBED for each in held),
        "has_open_list": open_to(contact).exists(),
        "timeline": timeline.page(contact, held, suppression, kind=kind, cursor=cursor),
        "kind": kind,
        "kinds": timeline.KINDS.items(),
    }


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    chosen = {"lists": [request.GET.get("list", "")], "email": request.GET.get("email", "")}
    form = ContactForm(request.POST or None, workspace=request.workspace, initial=chosen)
    if form.is_valid():
        try:
            contact = _create(request, form)
        except actions.AddressTaken as refusal:
            form.add_error("email", taken(form.cleaned_data["email"], refusal.existing))
        except WasErased as refusal:
            form.refuse_erased(refusal.message)
        else:
            messages.success(request, f"{contact} was added.")
            return redirect("contact", contact.pk)
    return render(request, "contacts/contact_edit.html", {"form": form}, status=422 if form.is_bound else 200)


def _create(request: WorkspaceRequest, form: ContactForm) -> Contact:
    data = form.cleaned_data
    return actions.create(
        request.workspace,
        details=form.details(),
        lists=data["lists"],
        agreed=data["agreed"],
        asked_back=data["asked_back"],
        by=request.user,
    )


@needs(Role.MARKETER)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    contact = contact_of(request, pk)
    form = ContactForm(request.POST or None, workspace=request.workspace, contact=contact)
    if form.is_valid():
        try:
            asked_back = form.cleaned_data["asked_back"]
            actions.change(contact, details=form.details(), asked_back=asked_back, by=request.user)
        except actions.AddressTaken as refusal:
            form.add_error("email", taken(form.cleaned_data["email"], refusal.existing))
        except WasErased as refusal:
            form.refuse_erased(refusal.message)
        else:
            messages.success(request, "Saved.")
            return redirect("contact", contact.pk)
    context = {"form": form, "contact": contact}
    return render(request, "contacts/contact_edit.html", context, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Ask, then delete."""
    contact = contact_of(request, pk)
    if request.method != "POST":
        context = {"contact": contact, "memberships": queries.memberships(contact)}
        return render(request, "contacts/contact_delete.html", context)
    actions.delete(contact, by=request.user)
    messages.success(request, f"{contact} was deleted.")
    return redirect("contacts")


@needs(Role.MARKETER)
def subscribe(request: WorkspaceRequest, pk: int) -> HttpResponse:
    contact = contact_of(request, pk)
    held, initial = queries.memberships(contact), {"list": request.GET.get("list")}
    form = SubscribeForm(request.POST or None, contact=contact, held=held, initial=initial)
    if form.is_valid():
        try:
            _subscribe(request, contact, form)
        except subscriptions.LeftByThemselves as refusal:
            form.add_error("asked_again" if "asked_again" in form.fields else None, refusal.message)
        except Refusal as refusal:
            form.add_error("agreed", refusal.message)
        else:
            said = "is asked to confirm" if form.cleaned_data["how"] == ASK else "is subscribed to"
            messages.success(request, f"{contact} {said} “{form.cleaned_data['list']}”.")
            return redirect("contact", contact.pk)
    context = {"form": form, "contact": contact, "suppression": queries.suppression_of(contact)}
    return render(request, "contacts/contact_subscribe.html", context, status=422 if form.is_bound else 200)


def _subscribe(request: WorkspaceRequest, contact: Contact, form: SubscribeForm) -> None:
    data, asked_again = form.cleaned_data, form.cleaned_data.get("asked_again", False)
    if data["how"] == ASK:
        confirmations.ask_by_hand(contact, held=data["list"], asked_again=asked_again, by=request.user)
        return
    subscriptions.subscribe_by_hand(
        contact, lists=[data["list"]], agreed=data["agreed"], asked_again=asked_again, by=request.user
    )


@needs(Role.MARKETER)
@require_POST
def ask_again(request: WorkspaceRequest, pk: int, list_pk: int) -> HttpResponse:
    contact = contact_of(request, pk)
    rows = Subscription.objects.select_related("list__workspace", "contact__workspace")
    held = get_object_or_404(rows, workspace=request.workspace, contact=contact, list=list_pk)
    try:
        confirmations.ask_again(held, by=request.user)
    except confirmations.NotAsked as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"{contact} is asked again to confirm “{held.list}”.")
    return redirect("contact", contact.pk)


@needs(Role.MARKETER)
@require_POST
def unsubscribe(request: WorkspaceRequest, pk: int, list_pk: int) -> HttpResponse:
    contact = contact_of(request, pk)
    left = get_object_or_404(List.objects.of(request.workspace), pk=list_pk)
    if subscriptions.unsubscribe_by_hand(contact, lists=[left], by=request.user):
        messages.success(request, f"{contact} gets no more mail for “{left}”.")
    else:
        messages.info(request, f"{contact} was not on “{left}” any more.")
    return redirect("contact", contact.pk)
