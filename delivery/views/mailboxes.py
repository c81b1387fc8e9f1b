"""The mailboxes that bounces arrive in: the list with its tests, one mailbox's form."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from accounts.pages import render_part
from delivery.bounces import mailboxes as actions
from delivery.bounces.forms import MailboxForm
from delivery.models import Mailbox


@needs(Role.ADMIN)
def mailboxes(request: WorkspaceRequest) -> HttpResponse:
    rows = Mailbox.objects.of(request.workspace)
    return render(request, "delivery/mailboxes.html", {"mailboxes": rows})


@needs(Role.ADMIN)
def mailbox_new(request: WorkspaceRequest) -> HttpResponse:
    form = MailboxForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            mailbox = actions.create(workspace=request.workspace, values=form.values(), by=request.user)
        except actions.MailboxKnown as refusal:
            form.add_error("user", refusal.message)
        else:
            messages.success(request, f"“{mailbox}” is read from now on. Test it to see that it can be.")
            return redirect("mailboxes")
    return render(request, "delivery/mailbox_form.html", {"form": form}, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def mailbox_edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    mailbox = _mailbox(request, pk)
    form = MailboxForm(request.POST if request.method == "POST" else None, mailbox=mailbox)
    if form.is_valid():
        try:
            actions.update(mailbox, values=form.values(), by=request.user)
        except actions.MailboxKnown as refusal:
            form.add_error("user", refusal.message)
        else:
            messages.success(request, f"“{form.cleaned_data['name']}” is changed.")
            return redirect("mailboxes")
    context = {"form": form, "mailbox": mailbox}
    return render(request, "delivery/mailbox_form.html", context, status=422 if form.is_bound else 200)


@require_POST
@needs(Role.ADMIN)
def mailbox_test(request: WorkspaceRequest, pk: int) -> HttpResponse:
    mailbox = _mailbox(request, pk)
    actions.test(mailbox)
    if not request.htmx:
        return redirect("mailboxes")
    context = {"mailbox": mailbox}
    return render_part(
        request, "delivery/mailboxes.html", "delivery/_mailbox_test.html", context, target=f"test-{pk}"
    )


@require_POST
@needs(Role.ADMIN)
def mailbox_read(request: WorkspaceRequest, pk: int) -> HttpResponse:
    mailbox = _mailbox(request, pk)
    actions.read_soon(mailbox)
    messages.success(request, f"“{mailbox}” is read within seconds.")
    return redirect("mailboxes")


@require_POST
@needs(Role.ADMIN)
def mailbox_delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    mailbox = _mailbox(request, pk)
    actions.delete(mailbox, by=request.user)
    messages.success(request, f"“{mailbox}” is read no more.")
    return redirect("mailboxes")


def _mailbox(request: WorkspaceRequest, pk: int) -> Mailbox:
    return get_object_or_404(Mailbox.objects.of(request.workspace), pk=pk)
