"""The suppression list's pages: found, added to, exported, lifted one by one or as found."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.ids import id_in
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts.actions import suppression as actions
from contacts.csv_answer import csv_answer
from contacts.forms.suppression import LiftForm, SuppressForm, Typed
from contacts.models import List, ListSuppression, Suppression, SuppressionReason
from contacts.queries import erasure
from contacts.queries import suppression as queries
from contacts.queries.contacts import contact_at

SORTS: Sorts = {**BY_AGE, "email": ("By address", "email")}


def _asked(request: WorkspaceRequest) -> tuple[str, str, List | None]:
    """Words, reason and list of the address. A list of another workspace's is a 404."""
    words = request.GET.get("q", "").replace("\0", "").strip()
    reason = request.GET.get("reason", "")
    in_list = None
    if asked := request.GET.get("list", ""):
        if id_in(asked) is None:
            raise Http404
        in_list = get_object_or_404(List.objects.of(request.workspace), pk=id_in(asked))
    return words, reason if reason in SuppressionReason.values else "", in_list


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words, reason, in_list = _asked(request)
    found = queries.search(request.workspace, words, reason=reason, in_list=in_list)
    sort, sorts = sort_of(request, SORTS)
    page = page_of(found, order=SORTS[sort][1], cursor=request.GET.get("cursor", ""))
    queries.give_contacts(request.workspace, page.rows)
    counts = queries.counts(request.workspace, in_list=in_list)
    context: dict[str, Any] = {
        "page": page,
        "search": words,
        "reason": reason,
        "in_list": in_list,
        "lists": queries.lists_with_own(request.workspace).order_by("name"),
        "reasons": [(value, label, counts.get(value, 0)) for value, label in SuppressionReason.choices],
        "total": sum(counts.values()),
        "query": _query(request),
        "hash_count": queries.hash_count(request.workspace),
        "sort": sort,
        "sorts": sorts,
        "erased_count": erasure.erased_count(request.workspace),
    }
    return render_part(
        request,
        "contacts/suppressions.html",
        "contacts/_suppressions.html",
        context,
        target="suppressed-found",
    )


def _query(request: WorkspaceRequest) -> str:
    query = request.GET.copy()
    for name in ("cursor", "sort"):
        query.pop(name, None)
    return query.urlencode()


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
    chosen = {"emails": request.GET.get("email", ""), "list": request.GET.get("list", "")}
    form = SuppressForm(
        request.POST or None, request.FILES or None, workspace=request.workspace, initial=chosen
    )
    if form.is_valid():
        data = form.cleaned_data
        messages.success(request, _suppress(request, data["typed"], data["list"], data["note"]))
        back = reverse("suppressions")
        return redirect(f"{back}?list={data['list'].pk}" if data["list"] else back)
    return render(
        request, "contacts/suppression_new.html", {"form": form}, status=422 if form.is_bound else 200
    )


def _suppress(request: WorkspaceRequest, typed: Typed, in_list: List | None, note: str) -> str:
    """Returns: what was done, in words."""
    said = []
    if typed.emails:
        added = actions.suppress_many(
            request.workspace, emails=typed.emails, note=note, in_list=in_list, by=request.user
        )
        before = len({email.lower() for email in typed.emails}) - added
        said.append(f"{added:,} address{'' if added == 1 else 'es'} suppressed.")
        said += [f"{before:,} on the list before."] if before > 0 else []
    if typed.digests:
        new_count, found = actions.suppress_hashes(
            request.workspace, digests=typed.digests, note=note, by=request.user
        )
        said.append(
            f"{new_count:,} hash{'' if new_count == 1 else 'es'} added; {found:,} of your contacts fit and are suppressed."
        )
    said += [f"Lines without an address: {typed.left_out:,}."] if typed.left_out else []
    return " ".join(said)


@needs(Role.MARKETER)
@require_POST
def export(request: WorkspaceRequest) -> HttpResponse:
    """What the page shows, as CSV; the filter is in the address."""
    words, reason, in_list = _asked(request)
    rows = queries.search(request.workspace, words, reason=reason, in_list=in_list).order_by("id")
    return csv_answer(
        "suppressed.csv", ["E-mail", "Reason", "Note", "Since (UTC)"], map(_cells, rows.iterator(2_000))
    )


def _cells(row: Any) -> list[Any]:
    return [row.email, row.get_reason_display(), row.note, row.created_at]


@needs(Role.ADMIN)
def lift(request: WorkspaceRequest) -> HttpResponse:
    """Say how many the filter finds, then take them off; `?hashes=` is about the hashes."""
    if "hashes" in request.GET:
        return _drop_hashes(request)
    words, reason, in_list = _asked(request)
    found = queries.search(request.workspace, words, reason=reason, in_list=in_list)
    what = _in_words(words, reason, in_list)
    back = f"{reverse('suppressions')}?{_query(request)}"
    if request.method == "POST":
        count = actions.unsuppress_many(request.workspace, found, what=what, by=request.user)
        messages.success(
            request, f"{count:,} address{'' if count == 1 else 'es'} can get mail again where subscribed."
        )
        return redirect("suppressions")
    kept = found.filter(reason__in=actions.WISHES).count()
    context = {"count": found.count() - kept, "kept": kept, "what": what, "back": back}
    return render(request, "contacts/suppression_lift.html", context)


def _in_words(words: str, reason: str, in_list: List | None) -> str:
    parts = [SuppressionReason(reason).label if reason else "Any reason"]
    parts += [f"“{words}” in the address"] if words else []
    parts += [f"for the list “{in_list}”"] if in_list else []
    return ", ".join(parts)


def _drop_hashes(request: WorkspaceRequest) -> HttpResponse:
    if request.method == "POST":
        count = actions.drop_hashes(request.workspace, by=request.user)
        messages.success(request, f"{count:,} hash{'' if count == 1 else 'es'} forgotten.")
        return redirect("suppressions")
    context = {
        "count": queries.hash_count(request.workspace),
        "is_hashes": True,
        "back": reverse("suppressions"),
    }
    return render(request, "contacts/suppression_lift.html", context)


@needs(Role.ADMIN)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    return _delete(request, get_object_or_404(Suppression.objects.of(request.workspace), pk=pk))


@needs(Role.ADMIN)
def delete_of_list(request: WorkspaceRequest, pk: int) -> HttpResponse:
    return _delete(request, get_object_or_404(ListSuppression.objects.of(request.workspace), pk=pk))


def _delete(request: WorkspaceRequest, suppression: Suppression | ListSuppression) -> HttpResponse:
    """Say the consequence, then take the address off; against the person's own wish only by another one."""
    contact = contact_at(request.workspace, suppression.email)
    form = LiftForm(request.POST or None) if suppression.reason in actions.WISHES else None
    if request.method == "POST" and (form is None or form.is_valid()):
        consent = form.cleaned_data["consent"] if form else ""
        actions.unsuppress(suppression, consent=consent, by=request.user)
        messages.success(request, f"{suppression} can get mail again where it is subscribed.")
        return redirect("contact", contact.pk) if contact else redirect("suppressions")
    context = {"suppression": suppression, "contact": contact, "form": form}
    status = 422 if request.method == "POST" else 200
    return render(request, "contacts/suppression_delete.html", context, status=status)
