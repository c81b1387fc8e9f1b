"""Sending domains: their list, one domain's records, and the rules of the big receivers."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from delivery.domains import actions, standing
from delivery.domains.forms import DomainForm, SetupForm
from delivery.domains.provider_records import asked_by
from delivery.domains.rules import rules
from delivery.models import SendingAccount, SendingDomain
from delivery.providers import PROVIDERS


@needs(Role.ADMIN)
def domains(request: WorkspaceRequest) -> HttpResponse:
    found = SendingDomain.objects.of(request.workspace)
    rows = [{"domain": each, **standing.shown_state(each)} for each in found]
    is_open = any(each.is_being_checked for each in found)
    context = {"rows": rows, "is_open": is_open}
    return render_part(request, "delivery/domains.html", "delivery/_domains.html", context, target="domains")


@needs(Role.ADMIN)
def domain_new(request: WorkspaceRequest) -> HttpResponse:
    form = DomainForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            made = actions.add(request.workspace, form.cleaned_data["name"], by=request.user)
            return redirect("domain", made.pk)
        except actions.DomainKnown as error:
            form.add_error("name", error.message)
    return render(request, "delivery/domain_new.html", {"form": form}, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def domain(request: WorkspaceRequest, pk: int) -> HttpResponse:
    shown = _domain(request, pk)
    form = SetupForm(request.POST if request.method == "POST" else None, domain=shown)
    if form.is_valid():
        actions.set_up(shown, form.setup(), by=request.user)
        messages.success(request, f"“{shown}” is changed.")
        return redirect("domain", pk)
    context = {**_context(shown), "form": form}
    status = 422 if form.is_bound else 200
    return render_part(
        request,
        "delivery/domain.html",
        "delivery/_domain_polled.html",
        context,
        target="checks",
        status=status,
    )


@require_POST
@needs(Role.ADMIN)
def domain_check(request: WorkspaceRequest, pk: int) -> HttpResponse:
    actions.ask_check(_domain(request, pk))
    return redirect("domain", pk)


@require_POST
@needs(Role.ADMIN)
def domain_rotate(request: WorkspaceRequest, pk: int) -> HttpResponse:
    key = actions.rotate(_domain(request, pk), by=request.user)
    messages.success(request, f"The new key is “{key.selector}”. It signs once its record is found.")
    return redirect("domain", pk)


@require_POST
@needs(Role.ADMIN)
def domain_delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    gone = _domain(request, pk)
    actions.delete(gone, by=request.user)
    messages.success(request, f"“{gone}” is deleted. Take its DKIM records out of DNS.")
    return redirect("domains")


@needs(Role.ADMIN)
def sender_rules(request: WorkspaceRequest) -> HttpResponse:
    found = list(SendingDomain.objects.of(request.workspace))
    return render(request, "delivery/sender_rules.html", {"found": rules(found, request.workspace)})


def _domain(request: WorkspaceRequest, pk: int) -> SendingDomain:
    found = SendingDomain.objects.of(request.workspace).select_related("workspace")
    return get_object_or_404(found, pk=pk)


def _context(domain: SendingDomain) -> dict[str, object]:
    accounts = SendingAccount.objects.of(domain.workspace)
    esps = [each for each in accounts if PROVIDERS[each.provider].is_esp]
    late = domain.asked_at is not None and timezone.now() - domain.asked_at > actions.TOO_LATE
    return {
        "domain": domain,
        **standing.shown_state(domain),
        "records": standing.findings(domain, "records"),
        "hosts": standing.findings(domain, "hosts"),
        "blocklists": standing.findings(domain, "blocklists"),
        "keys": list(domain.keys.all()),
        "is_open": domain.is_being_checked and not late,
        "is_late": domain.is_being_checked and late,
        "esps": [{"account": each, "asked": asked_by(each.provider)} for each in esps],
    }
