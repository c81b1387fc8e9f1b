"""A sending account's fetch of its provider's suppressions: asked for and stopped; its account's page shows it."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from delivery.fetching import actions
from delivery.views.sending import account_of


@require_POST
@needs(Role.ADMIN)
def sending_fetch(request: WorkspaceRequest, pk: int) -> HttpResponse:
    actions.ask(account_of(request, pk), by=request.user)
    return _back(pk)


@require_POST
@needs(Role.ADMIN)
def sending_fetch_cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    actions.cancel(account_of(request, pk), by=request.user)
    return _back(pk)


def _back(pk: int) -> HttpResponse:
    return redirect(f"{reverse('sending_edit', args=[pk])}#fetch")
