"""Whom the address of a page is about, as exports and bulk actions read it."""

from django.http import Http404
from django.shortcuts import get_object_or_404

from accounts.access import WorkspaceRequest
from accounts.ids import id_in
from contacts.forms.contacts import FindForm
from contacts.models import List, Segment, Tag
from contacts.queries.imported import imported


def asked_for(request: WorkspaceRequest) -> tuple[Segment | None, FindForm]:
    """The segment, or what the list of contacts looks for; what is another's or cannot be read is a 404.

    Strict, unlike the list's own page: a filter that makes no sense must not mean everybody.
    """
    nothing = FindForm({}, workspace=request.workspace)
    if "segment" in request.GET:
        segments = Segment.objects.of(request.workspace)
        return get_object_or_404(segments, pk=_number(request.GET.get("segment"))), nothing
    if asked := request.GET.get("list"):
        get_object_or_404(List.objects.of(request.workspace), pk=_number(asked))
    if asked := request.GET.get("tag"):
        get_object_or_404(Tag.objects.of(request.workspace), pk=_number(asked))
    if (asked := request.GET.get("import")) and imported(request.workspace, asked) is None:
        raise Http404
    find = FindForm(request.GET, workspace=request.workspace)
    if not find.is_valid():
        raise Http404
    return None, find


def _number(text: str | None) -> int:
    number = id_in(text)
    if number is None:
        raise Http404
    return number
