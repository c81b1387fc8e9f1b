"""The preference centre, the link that confirms a new address, and the marketer's page of why people leave."""

from contextlib import suppress

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.access import WorkspaceRequest, client_ip, needs
from accounts.errors import Refusal
from accounts.models import Role
from contacts.importing import addresses
from contacts.models import Frequency, List
from delivery import unsubscribe as leaving
from delivery.preferences import centre, languages, limits, moving, reasons
from delivery.unsubscribe import Link


@never_cache
@csrf_exempt  # the signed token is the proof; it must work without cookies
def preferences(request: HttpRequest, token: str) -> HttpResponse:
    link = leaving.find(token)
    if link is None:
        with languages.reading(request):
            return render(request, "unsubscribe/unknown.html", status=404)
    if request.method != "POST":
        return _page(request, link, token)
    match request.POST.get("do"):
        case "save":
            if limits.is_too_much("saves", link.delivery.pk, limits.SAVES):
                return _page(request, link, token, problem="too_often", status=429)
            centre.save(link, _choice(request), ip=client_ip(request))
            return redirect(reverse("preferences", args=[token]) + "?saved")
        case "address":
            return _address_asked(request, link, token)
        case "everything":
            leaving.leave_everything(link, ip=client_ip(request))
            return redirect("unsubscribe", token)
    return redirect("preferences", token)


def _choice(request: HttpRequest) -> centre.Choice:
    typed = request.POST
    return centre.Choice.read(
        shown=typed.getlist("shown"),
        chosen=typed.getlist("list"),
        frequency=typed.get("frequency", "as it is"),
        pause=typed.get("pause", ""),
        language=typed.get("language", ""),
    )


def _address_asked(request: HttpRequest, link: Link, token: str) -> HttpResponse:
    """Whatever becomes of it, the page says the same."""
    contact = link.contact
    if link.mailing.is_test or contact is None or centre.has_left_everything(contact):
        return redirect("preferences", token)
    typed = request.POST.get("email", "").strip()
    try:
        email = addresses.clean(typed)
    except addresses.NotAnAddress:
        return _page(request, link, token, problem="no_address", typed=typed, status=422)
    if limits.is_too_much("address", contact.pk, limits.MAILS_OF_LINK) or limits.is_too_much(
        "address_ip", client_ip(request), limits.MAILS_OF_VISITOR
    ):
        return _page(request, link, token, problem="too_often", typed=typed, status=429)
    language = languages.of(request, contact, link.mailing.workspace)
    moving.ask(contact, email, language=language)
    return redirect(reverse("preferences", args=[token]) + "?asked")


def _page(
    request: HttpRequest, link: Link, token: str, *, problem: str = "", typed: str = "", status: int = 200
) -> HttpResponse:
    contact = link.contact
    context = {"link": link, "token": token, "problem": problem, "typed": typed}
    if contact and not link.mailing.is_test:
        context |= {
            "topics": centre.topics(link),
            "frequencies": Frequency,
            "pauses": centre.PAUSES,
            "languages": settings.LANGUAGES,
            "is_held": centre.is_held(contact),
            "has_left_everything": centre.has_left_everything(contact),
            "is_saved": "saved" in request.GET and not problem,
            "is_asked": "asked" in request.GET and not problem,
        }
    with languages.reading(request, contact, link.mailing.workspace):
        return render(request, "preferences/page.html", context, status=status)


@never_cache
@csrf_exempt  # as above
def address(request: HttpRequest, token: str) -> HttpResponse:
    """The link of the mail to a new address: a look changes nothing, the button does."""
    found = moving.find(token)
    if found is None:
        with languages.reading(request):
            return render(request, "unsubscribe/unknown.html", status=404)
    contact, email, stands = found
    if request.method == "POST" and stands == moving.Stands.OPEN:
        with suppress(Refusal):  # somebody was faster: the page says how it stands
            moving.confirm(contact, email)
        return redirect("address", token)
    context = {"workspace": contact.workspace, "masked_email": _masked(email), "stands": stands}
    with languages.reading(request, contact, contact.workspace):
        return render(request, "preferences/address.html", context)


def _masked(email: str) -> str:
    local, _, domain = email.rpartition("@")
    return f"{local[:1]}…@{domain}"


@needs(Role.VIEWER)
def list_reasons(request: WorkspaceRequest, pk: int) -> HttpResponse:
    held: List = get_object_or_404(List.objects.of(request.workspace).select_related("workspace"), pk=pk)
    context = {"list": held, "answers": reasons.of_list(held)}
    return render(request, "delivery/list_reasons.html", context)
