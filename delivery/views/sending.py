"""Sending accounts: the list with its tests, the choice of a provider, one account's form."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from delivery import accounts, days, providers
from delivery.bounces import trial
from delivery.domains import alarms
from delivery.fetching import actions as fetching
from delivery.forms import AccountForm
from delivery.hooks import standing
from delivery.hooks.forms import KeyForm
from delivery.hooks.setup import SETUPS
from delivery.models import SendingAccount

ALARMS_SHOWN = 5  # domains; the page of all has the others, too


@needs(Role.ADMIN)
def sending(request: WorkspaceRequest) -> HttpResponse:
    by_name = SendingAccount.objects.of(request.workspace).order_by("-is_default", "name", "pk")
    found = list(by_name.select_related("workspace"))
    today = days.today(found, now=timezone.now())
    offered = fetching.offered(found)
    rows = [
        _row(account) | {"today": today.get(account.pk), "may_fetch": account.pk in offered}
        for account in found
    ]
    alarmed = alarms.raised(request.workspace)[:ALARMS_SHOWN]
    return render(request, "delivery/sending.html", {"rows": rows, "alarmed": alarmed})


def _row(account: SendingAccount) -> dict[str, object]:
    provider = providers.PROVIDERS[account.provider]
    summary = provider.summary(account.settings)
    has_webhook = account.provider in SETUPS
    return {"account": account, "provider": provider, "summary": summary, "has_webhook": has_webhook}


@needs(Role.ADMIN)
def sending_new(request: WorkspaceRequest) -> HttpResponse:
    provider = providers.find(request.GET.get("provider", ""))
    if provider is None:
        return render(request, "delivery/sending_new.html", {"providers": providers.offered()})
    form = AccountForm(request.POST if request.method == "POST" else None, provider=provider)
    if form.is_valid():
        account = accounts.create(
            workspace=request.workspace, provider=provider.name, values=form.values(), by=request.user
        )
        messages.success(request, f"“{account}” is added. Test it before you send with it.")
        return redirect("sending")
    context = {"form": form, "provider": provider}
    return render(request, "delivery/sending_form.html", context, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def sending_edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = account_of(request, pk)
    provider = providers.PROVIDERS[account.provider]
    form = AccountForm(request.POST if request.method == "POST" else None, provider=provider, account=account)
    if form.is_valid():
        accounts.update(account, values=form.values(), by=request.user)
        messages.success(request, f"“{form.cleaned_data['name']}” is changed.")
        return redirect("sending")
    return account_page(request, account, form=form)


def account_page(
    request: WorkspaceRequest,
    account: SendingAccount,
    *,
    form: AccountForm | None = None,
    key_form: KeyForm | None = None,
) -> HttpResponse:
    """Its settings and its webhook's, either of which may be what was typed wrongly."""
    provider = providers.PROVIDERS[account.provider]
    is_wrong = any(each is not None and each.is_bound for each in (form, key_form))
    webhook = standing.webhook(account)
    if webhook and webhook.setup.key and key_form is None:
        key_form = KeyForm(provider=account.provider, is_known=webhook.is_known)
    context = {
        "form": form or AccountForm(None, provider=provider, account=account),
        "key_form": key_form,
        "provider": provider,
        "account": account,
        "is_used": account.mailings.exists(),
        "webhook": webhook,
        "fetch": fetching.standing(account),
    }
    return render_part(
        request,
        "delivery/sending_form.html",
        "delivery/_fetch.html",
        context,
        target="fetch",
        status=422 if is_wrong else 200,
    )


@require_POST
@needs(Role.ADMIN)
def sending_delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = account_of(request, pk)
    accounts.delete(account, by=request.user)
    messages.success(request, f"“{account}” is deleted.")
    return redirect("sending")


@require_POST
@needs(Role.ADMIN)
def sending_test(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = account_of(request, pk)
    accounts.test(account, by=request.user)
    if not request.htmx:
        return redirect("sending")
    context = {"account": account, "just_now": True, "may_fetch": bool(fetching.offered([account]))}
    return render_part(
        request, "delivery/sending.html", "delivery/_sending_test.html", context, target=f"test-{pk}"
    )


@require_POST
@needs(Role.ADMIN)
def sending_test_bounce(request: WorkspaceRequest, pk: int) -> HttpResponse:
    account = account_of(request, pk)
    said = trial.send(account, by=request.user)
    if said:
        messages.error(request, said)
    else:
        messages.success(
            request, "A test bounce is on its way. Once it is read, it stands here as the last bounce."
        )
    return redirect("sending")


@require_POST
@needs(Role.ADMIN)
def sending_default(request: WorkspaceRequest, pk: int) -> HttpResponse:
    accounts.make_default(account_of(request, pk), by=request.user)
    return redirect("sending")


@require_POST
@needs(Role.ADMIN)
def sending_use(request: WorkspaceRequest, pk: int) -> HttpResponse:
    accounts.use_again(account_of(request, pk), by=request.user)
    return redirect("sending")


@require_POST
@needs(Role.ADMIN)
def sending_set_aside(request: WorkspaceRequest, pk: int) -> HttpResponse:
    accounts.set_aside(account_of(request, pk), by=request.user)
    return redirect("sending")


def account_of(request: WorkspaceRequest, pk: int) -> SendingAccount:
    return get_object_or_404(SendingAccount.objects.of(request.workspace), pk=pk)
