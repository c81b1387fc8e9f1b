"""The page that the link in a confirmation leads to: public, without a session, of use on any device."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.access import client_ip
from delivery.confirming import answering
from delivery.preferences import languages


@never_cache
@csrf_exempt  # the signed token is the proof; it must work without cookies
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    link = answering.find(token)
    if link is None:
        with languages.reading(request):
            return render(request, "confirm/unknown.html", status=404)
    if request.method != "POST":
        return _page(request, link)
    match request.POST.get("do"):
        case "confirm":
            answering.confirm(link, ip=client_ip(request))
        case "come_back":
            answering.come_back(link, ip=client_ip(request))
        case "ask_anew":
            why_not = answering.ask_anew(link)
            if why_not:
                return _page(request, link, why_not=why_not, status=409)
    return redirect("confirm", token)


def _page(
    request: HttpRequest, link: answering.Link, *, why_not: str = "", status: int = 200
) -> HttpResponse:
    contact = link.subscription.contact if link.subscription else None
    with languages.reading(request, contact, link.mailing.workspace):
        return render(request, "confirm/page.html", {"link": link, "why_not": why_not}, status=status)
