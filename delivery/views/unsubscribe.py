"""The pages that the links in a message lead to: public, without a session, of use on any device."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.access import client_ip
from delivery import unsubscribe as actions


@never_cache
@csrf_exempt  # the signed token is the proof; it must work without cookies
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    link = actions.find(token)
    if link is None:
        return render(request, "unsubscribe/unknown.html", status=404)
    if request.method != "POST":
        return render(request, "unsubscribe/page.html", {"link": link})
    match request.POST.get("do"):
        case "lists":
            actions.leave_lists(link, ip=client_ip(request))
        case "everything":
            actions.leave_everything(link, ip=client_ip(request))
        case "undo":
            actions.come_back(link, ip=client_ip(request))
    return redirect("unsubscribe", token)


@never_cache
@csrf_exempt  # mail programs post here by themselves (RFC 8058)
def unsubscribe_one_click(request: HttpRequest, token: str) -> HttpResponse:
    link = actions.find(token)
    if link is None:
        return render(request, "unsubscribe/unknown.html", status=404)
    if request.method != "POST":
        return redirect("unsubscribe", token)
    actions.leave(link, ip=client_ip(request))
    return HttpResponse("You are unsubscribed.\n", content_type="text/plain; charset=utf-8")
