"""The workspace's rules of tracking."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from delivery.tracking import domain, rules
from delivery.tracking.forms import TrackingForm


@needs(Role.ADMIN)
def tracking(request: WorkspaceRequest) -> HttpResponse:
    held = rules.rules_of(request.workspace)
    before = held.domain
    form = TrackingForm(request.POST if request.method == "POST" else None, rules=held)
    if form.is_valid():
        held = rules.change(request.workspace, **form.cleaned_data, by=request.user)
        messages.success(request, "Saved. It holds for campaigns that are sent from now on.")
        if held.domain and held.domain != before:
            domain.check(held, by=request.user)
        return redirect("tracking")
    context = {"form": form, "rules": held, "leads_to": domain.leads_to(), "kind": domain.record_kind()}
    return render(request, "delivery/tracking.html", context, status=422 if form.is_bound else 200)


@require_POST
@needs(Role.ADMIN)
def tracking_check(request: WorkspaceRequest) -> HttpResponse:
    held = rules.rules_of(request.workspace)
    if held.domain:
        domain.check(held, by=request.user)
    return redirect("tracking")
