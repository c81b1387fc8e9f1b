"""The page that the link in a confirmation leads to: public, without a session, of use on any device."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.access import client_ip
from delivery.confirming import answering


@never_cache
@csrf_exempt  # the signed token is the proof; it must work without cookies
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    link = answering.find(token)
    if link is None:
        return render(request, "confirm/unknown.html", status=404)
    if request.method != "POST":
        return render(request, "confirm/page.html", {"link": link})
    match request.POST.get("do"):
        case "confirm":
            answering.confirm(link, ip=client_ip(request))
        case "come_back":
            answering.come_back(link, ip=client_ip(request))
        case "ask_anew":
            why_not = answering.ask_anew(link)
            if why_not:
                return render(request, "confirm/page.html", {"link": link, "why_not": why_not}, status=409)
    return redirect("confirm", token)
