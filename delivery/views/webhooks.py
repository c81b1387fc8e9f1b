"""The webhook's part of a sending account's page; the webhook itself is `delivery.hooks.calls`."""

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from delivery.hooks import actions
from delivery.hooks.forms import KeyForm
from delivery.hooks.setup import SETUPS
from delivery.models import SendingAccount
from delivery.views.sending import account_page


@require_POST
@needs(Role.ADMIN)
def sending_hook_key(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = _account(request, pk)
    if not SETUPS[account.provider].key:
        raise Http404
    form = KeyForm(request.POST, provider=account.provider, is_known=False)
    if not form.is_valid():
        return account_page(request, account, key_form=form)
    actions.give_key(account, key=form.cleaned_data["key"], by=request.user)
    messages.success(request, "The key is kept. Calls are known by it from now on.")
    return redirect("sending_edit", account.pk)


@require_POST
@needs(Role.ADMIN)
def sending_hook_renew(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = _account(request, pk)
    actions.renew(account, by=request.user)
    messages.success(request, "The webhook has a new address. Enter it at the provider: the old one is dead.")
    return redirect("sending_edit", account.pk)


@require_POST
@needs(Role.ADMIN)
def sending_hook_confirm(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = _account(request, pk)
    said = actions.confirm_topic(account, topic=request.POST.get("topic", ""), by=request.user)
    if said:
        messages.error(request, said)
    else:
        messages.success(request, "The topic is confirmed. Amazon tells of messages from now on.")
    return redirect("sending_edit", account.pk)


@require_POST
@needs(Role.ADMIN)
def sending_hook_bounce(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = _account(request, pk)
    to = SETUPS[account.provider].bounces
    if not to:
        raise Http404
    said = actions.send_bounce(account, by=request.user)
    if said:
        messages.error(request, said)
    else:
        messages.success(
            request, f"A message to {to} is on its way. Its bounce is shown here within a minute."
        )
    return redirect("sending_edit", account.pk)


def _account(request: WorkspaceRequest, pk: int) -> SendingAccount:
    """Of a provider that has webhooks."""
    return get_object_or_404(SendingAccount.objects.of(request.workspace).filter(provider__in=SETUPS), pk=pk)
