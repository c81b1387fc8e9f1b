"""How a campaign will read, as any contact, and the test send."""

import re
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.html import escape
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.ids import id_in
from accounts.models import Role
from accounts.pages import render_part
from campaigns.actions import testing
from campaigns.content import compile_content
from campaigns.forms.testing import SendTestForm
from campaigns.models import Campaign
from campaigns.views.editor import campaign_at, review_page
from contacts.models import Contact
from delivery.pipeline.mold import Rendered
from delivery.preview import preview

_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)  # links lead out of the frame
FOUND = 8  # contacts below the search box
# The campaign's HTML: no script, no form, nothing of ours; pictures and styles as mail programs allow them.
POLICY = (
    "default-src 'none'; img-src * data:; style-src * 'unsafe-inline'; font-src *; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """The preview's page or panel; ?part=html and ?part=text are what its frame shows."""
    campaign, contact = campaign_at(request, pk), _contact(request)
    part = request.GET.get("part", "")
    context: dict[str, Any] = {"campaign": campaign, "contact": contact}
    try:
        context["rendered"] = _rendered(campaign, contact)
    except Refusal as problem:
        context["problem"] = problem.message
    if part in ("html", "text"):
        return _framed(part, context.get("rendered"), context.get("problem", ""))
    page, panel = "campaigns/preview.html", "campaigns/_preview.html"
    return render_part(request, page, panel, context, target="preview")


def _rendered(campaign: Campaign, contact: Contact | None) -> Rendered:
    content = compile_content(campaign)
    return preview(content, workspace=campaign.workspace, name=campaign.name, contact=contact)


def _framed(part: str, rendered: Rendered | None, problem: str) -> HttpResponse:
    if rendered is None:
        body, status = f"<title>Preview</title><p style='font: 1rem sans-serif'>{escape(problem)}</p>", 422
        response = HttpResponse(body, status=status)
    elif part == "html":
        response = HttpResponse(_HEAD.sub(r'\g<0><base target="_blank">', rendered.html, count=1))
    else:
        response = HttpResponse(rendered.text, content_type="text/plain; charset=utf-8")
    response["Content-Security-Policy"] = POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


def _contact(request: WorkspaceRequest) -> Contact | None:
    """Whom ?contact= names; anybody else's contact is nobody."""
    pk = id_in(request.GET.get("contact")) or 0
    found: Contact | None = Contact.objects.of(request.workspace).filter(pk=pk).first()
    return found


@needs(Role.VIEWER)
def contacts(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """The first contacts whose address has these letters in it."""
    campaign = campaign_at(request, pk)
    words = request.GET.get("q", "").replace("\0", "").strip()[:254]
    found = Contact.objects.of(request.workspace).filter(email__icontains=words).order_by("-pk")
    context = {"campaign": campaign, "found": found[:FOUND] if words else [], "search": words}
    return render(request, "campaigns/_preview_contacts.html", context)


@needs(Role.MARKETER)
@require_POST
def send_test(request: WorkspaceRequest, pk: int) -> HttpResponse:
    campaign = campaign_at(request, pk)
    form = SendTestForm(request.POST, workspace=request.workspace)
    if form.is_valid():
        try:
            testing.send_test(campaign, to=form.addresses, sample=form.sample, by=request.user)
        except Refusal as refusal:
            form.add_error(None, refusal.message)
    return _tested(request, campaign, form)


def _tested(request: WorkspaceRequest, campaign: Campaign, form: SendTestForm) -> HttpResponse:
    status = 422 if form.errors else 200
    if request.htmx:
        sent = [] if form.errors else form.addresses
        context = {"campaign": campaign, "form": form, "sent_to": sent, "inbox_on": _in_inbox(campaign)}
        return render(request, "campaigns/_test_send.html", context, status=status)
    if form.errors:
        return review_page(request, campaign, form, status=status)
    messages.success(request, f"A test is on its way to {', '.join(form.addresses)}.")
    return redirect("campaign_review", campaign.pk)


def _in_inbox(campaign: Campaign) -> bool:
    return bool(settings.INBOX and campaign.account and campaign.account.provider == "inbox")
