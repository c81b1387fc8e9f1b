"""What a person may ask of whoever holds their data: to get no more mail, to see it all, to be forgotten."""

from typing import cast

from django.contrib import messages
from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role, record
from contacts.actions import erasure as actions
from contacts.actions import exports, imports
from contacts.actions.suppression import suppress_many
from contacts.forms.contacts import SuppressContactForm
from contacts.queries import contacts as queries
from contacts.queries import erasure, person_file
from contacts.views.profile import contact_of


@needs(Role.MARKETER)
def suppress(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Say the consequence, then suppress the contact's address."""
    contact = contact_of(request, pk)
    if queries.suppression_of(contact):
        messages.info(request, f"{contact} is suppressed already.")
        return redirect("contact", pk)
    form = SuppressContactForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        note = form.cleaned_data["note"]
        suppress_many(request.workspace, emails=[contact.email], note=note, by=request.user)
        messages.success(request, f"Nothing is sent to {contact} any more.")
        return redirect("contact", pk)
    context = {"contact": contact, "form": form, "memberships": queries.memberships(contact)}
    return render(request, "contacts/contact_suppress.html", context, status=422 if form.errors else 200)


@needs(Role.ADMIN)
def erase(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Say in numbers what goes and what stays, then erase the person for good."""
    contact = contact_of(request, pk)
    typed = request.POST.get("email", "").strip().lower()
    if request.method == "POST" and typed == contact.email.lower():
        actions.erase(contact, by=request.user)
        messages.success(request, "The person was erased. If the address comes back, it is refused.")
        return redirect("contacts")
    is_wrong = request.method == "POST"
    context = {"contact": contact, "held": erasure.held_on(contact), "is_wrong": is_wrong}
    context["keep_days"] = max(exports.KEEP_DAYS, imports.KEEP_DAYS)
    return render(request, "contacts/contact_erase.html", context, status=422 if is_wrong else 200)


@needs(Role.MARKETER)
@require_POST
def file(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Everything held on the person as one file of JSON, streamed."""
    contact = contact_of(request, pk)
    record(request.user, "contact.exported", contact)
    answer = StreamingHttpResponse(person_file.written(contact), content_type="application/json")
    name = slugify(contact.email.replace("@", " at ").replace(".", " ")) or f"contact-{contact.pk}"
    answer["Content-Disposition"] = f'attachment; filename="{name}.json"'
    answer["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, answer)
