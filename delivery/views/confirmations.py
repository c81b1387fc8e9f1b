"""How a list asks to confirm: the mail, its preview and a test, and what of it stands still."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.html import escape
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from contacts.models import List
from delivery import actions
from delivery.confirming import asking, standing
from delivery.confirming.forms import BESIDE, ConfirmationForm
from delivery.confirming.sender import sender_of, way_of
from delivery.confirming.wording import draft, words_of
from delivery.liquid import TemplateProblem
from delivery.models import Mailing
from delivery.preview import SAMPLE
from delivery.views.inbox import POLICY


@needs(Role.MARKETER)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    form = ConfirmationForm(request.POST or None, words=words_of(held), held=held)
    if form.is_valid():
        try:
            asking.save(form.typed(), by=request.user)
        except TemplateProblem as problem:
            form.add_error(BESIDE.get(problem.field, "body"), problem.message)
        except Refusal as refusal:
            form.add_error("body", refusal.message)
        else:
            messages.success(request, "Saved. Whoever is asked from now on gets this mail.")
            return redirect("list_confirmation", held.pk)
    way = way_of(form.words, request.workspace)
    stuck = standing.stuck(held)
    context = {"list": held, "form": form, "way": way, "stuck": stuck}
    return render(request, "delivery/confirmation.html", context, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
def preview(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """What a frame shows: the mail as it is stored, or as it is typed; nothing is saved."""
    held = _list(request, pk)
    words = words_of(held)
    if request.method == "POST":
        words = ConfirmationForm(request.POST, words=words, held=held).typed()
    try:
        html = draft(words, request.workspace, sender_of(words, request.workspace)).render(SAMPLE).html
    except Refusal as refusal:
        html = f"<!DOCTYPE html><title>Preview</title><p>{escape(refusal.message)}</p>"
    return HttpResponse(html, headers={"Content-Security-Policy": POLICY, "X-Frame-Options": "SAMEORIGIN"})


@needs(Role.MARKETER)
@require_POST
def send_test(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held = _list(request, pk)
    try:
        asking.send_test(held, to=[request.user.email], sample=None, by=request.user)
    except Refusal as refusal:
        messages.error(request, f"No test was sent. {refusal.message}")
    else:
        messages.success(request, f"A test of what is saved is on its way to {request.user.email}.")
    return redirect("list_confirmation", held.pk)


@needs(Role.MARKETER)
@require_POST
def resume(request: WorkspaceRequest, pk: int, mailing_pk: int) -> HttpResponse:
    actions.resume(_paused(request, pk, mailing_pk), by=request.user)
    messages.success(request, "The confirmations go on.")
    return redirect("list_confirmation", pk)


@needs(Role.MARKETER)
@require_POST
def cancel(request: WorkspaceRequest, pk: int, mailing_pk: int) -> HttpResponse:
    actions.cancel(_paused(request, pk, mailing_pk), by=request.user)
    messages.success(request, "Given up. Who was not reached is still unconfirmed and can be asked again.")
    return redirect("list_confirmation", pk)


def _list(request: WorkspaceRequest, pk: int) -> List:
    held: List = get_object_or_404(List.objects.of(request.workspace).select_related("workspace"), pk=pk)
    return held


def _paused(request: WorkspaceRequest, pk: int, mailing_pk: int) -> Mailing:
    rows = Mailing.objects.of(request.workspace).select_related("account")
    mailing: Mailing = get_object_or_404(rows, pk=mailing_pk, confirms=pk, is_test=False)
    return mailing
