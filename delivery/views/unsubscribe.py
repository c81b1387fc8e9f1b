"""The pages that the links in a message lead to: public, without a session, of use on any device."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt

from accounts.access import client_ip
from delivery import unsubscribe as actions
from delivery.models import Why
from delivery.preferences import languages, reasons


@never_cache
@csrf_exempt  # the signed token is the proof; it must work without cookies
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    link = actions.find(token)
    if link is None:
        return _unknown(request)
    if request.method != "POST":
        context = {"link": link, "token": token, "reasons": Why, "is_back": "back" in request.GET}
        if link.has_left:
            context["answer"] = reasons.answer_of(link)
        with languages.reading(request, link.contact, link.mailing.workspace):
            return render(request, "unsubscribe/page.html", context)
    match request.POST.get("do"):
        case "lists":
            actions.leave_lists(link, ip=client_ip(request))
        case "everything":
            actions.leave_everything(link, ip=client_ip(request))
        case "undo":
            if actions.come_back(link, ip=client_ip(request)):
                return redirect(reverse("unsubscribe", args=[token]) + "?back")
        case "reason":
            reasons.answer(link, why=request.POST.get("why", ""), words=request.POST.get("words", ""))
    return redirect("unsubscribe", token)


@never_cache
@csrf_exempt  # mail programs post here by themselves (RFC 8058)
def unsubscribe_one_click(request: HttpRequest, token: str) -> HttpResponse:
    link = actions.find(token)
    if link is None:
        return _unknown(request)
    if request.method != "POST":
        return redirect("unsubscribe", token)
    actions.leave(link, ip=client_ip(request))
    with languages.reading(request, link.contact, link.mailing.workspace):
        return HttpResponse(gettext("You are unsubscribed") + ".\n", content_type="text/plain; charset=utf-8")


def _unknown(request: HttpRequest) -> HttpResponse:
    with languages.reading(request):
        return render(request, "unsubscribe/unknown.html", status=404)
