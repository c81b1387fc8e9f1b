"""The suppression list's pages."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts.actions import suppression as actions
from contacts.forms.suppression import SuppressForm
from contacts.models import Suppression, SuppressionReason
from contacts.queries import erasure
from contacts.queries import suppression as queries
from contacts.queries.contacts import contact_at

SORTS: Sorts = {**BY_AGE, "email": ("By address", "email")}


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()
    reason = request.GET.get("reason", "")
    reason = reason if reason in SuppressionReason.values else ""
    found = queries.search(request.workspace, words, reason=reason)
    sort, sorts = sort_of(request, SORTS)
    page = page_of(found, order=SORTS[sort][1], cursor=request.GET.get("cursor", ""))
    queries.give_contacts(request.workspace, page.rows)
    context = {"page": page, "search": words, "reason": reason, "reasons": SuppressionReason.choices}
    context |= {"sort": sort, "sorts": sorts, "erased_count": erasure.erased_count(request.workspace)}
    return render_part(
        request,
        "contacts/suppressions.html",
        "contacts/_suppressions.html",
        context,
        target="suppressed-found",
    )


@needs(Role.VIEWER)
def erased(request: WorkspaceRequest) -> HttpResponse:
    """Who was erased: when, and nothing else, since nothing else is known."""
    found = erasure.erased(request.workspace)
    context = {
        "page": page_of(found, order="-id", cursor=request.GET.get("cursor", "")),
        "count": erasure.erased_count(request.workspace),
        "unreadable": erasure.unreadable_count(request.workspace),
    }
    return render(request, "contacts/erased.html", context)


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = SuppressForm(request.POST or None, initial={"emails": request.GET.get("email", "")})
    if form.is_valid():
        data = form.cleaned_data
        emails = data["emails"]
        added = actions.suppress_many(request.workspace, emails=emails, note=data["note"], by=request.user)
        before = len({email.lower() for email in emails}) - added
        said = f"{added:,} address{'' if added == 1 else 'es'} suppressed."
        messages.success(request, said + (f" {before:,} on the list before." if before > 0 else ""))
        return redirect("suppressions")
    return render(
        request, "contacts/suppression_new.html", {"form": form}, status=422 if form.is_bound else 200
    )


@needs(Role.ADMIN)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Say the consequence, then take the address off."""
    suppression = get_object_or_404(Suppression.objects.of(request.workspace), pk=pk)
    contact = contact_at(request.workspace, suppression.email)
    if request.method != "POST":
        context = {"suppression": suppression, "contact": contact}
        return render(request, "contacts/suppression_delete.html", context)
    actions.unsuppress(suppression, by=request.user)
    messages.success(request, f"{suppression} can get mail again where it is subscribed.")
    return redirect("contact", contact.pk) if contact else redirect("suppressions")
