"""The exports' pages: the list with its progress, asking for one, its file."""

from typing import Any, Final, cast

from django.contrib import messages
from django.core import signing
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import BY_AGE, page_of, render_part, sort_of
from contacts.actions import exports as actions
from contacts.forms.contacts import FindForm
from contacts.forms.exports import ExportForm
from contacts.models import Export, ExportFormat, List, Segment, Tag
from contacts.queries import exports as queries

LINK_SECONDS: Final = 3600  # from when the page was shown; the page shows a fresh one each time
SALT: Final = "volley.export"


@needs(Role.MARKETER)
def index(request: WorkspaceRequest) -> HttpResponse:
    search = request.GET.get("q", "").replace("\0", "").strip()
    sort, sorts = sort_of(request, BY_AGE)
    found = queries.recent(request.workspace, search)
    page = page_of(found, order=BY_AGE[sort][1], cursor=request.GET.get("cursor", ""))
    context = {
        "page": page,
        "rows": [(run, signing.dumps(run.pk, salt=SALT) if run.file else "") for run in page.rows],
        "is_open": any(run.is_open for run in page.rows),
        "search": search,
        "sort": sort,
        "sorts": sorts,
        "keep_days": actions.KEEP_DAYS,
    }
    return render_part(request, "contacts/exports.html", "contacts/_exports.html", context, target="exports")


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    """The address says of whom: ?segment=, or what the contacts' list is filtered by."""
    segment, find = _asked_for(request)
    form = ExportForm(request.POST or None)
    if form.is_valid():
        file_format = ExportFormat(form.cleaned_data["format"])
        if segment:
            actions.of_segment(segment, file_format=file_format, by=request.user)
        else:
            actions.of_found(
                find.finder(), workspace=request.workspace, file_format=file_format, by=request.user
            )
        messages.success(request, "The export is on its way. Its file stands here when it is ready.")
        return redirect("exports")
    context: dict[str, Any] = {
        "form": form,
        "words": f"Segment “{segment}”" if segment else actions.in_words(find.finder()),
        "keep_days": actions.KEEP_DAYS,
    }
    return render(request, "contacts/export_new.html", context, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
@require_POST
def cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = _export(request, pk)
    actions.cancel(run, by=request.user)
    messages.success(request, "The export was canceled.")
    return redirect("exports")


@needs(Role.MARKETER)
@require_POST
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = _export(request, pk)
    actions.delete_file(run, by=request.user)
    messages.success(request, "The file was deleted.")
    return redirect("exports")


@needs(Role.MARKETER)
def file(request: WorkspaceRequest, token: str) -> HttpResponse:
    """The file behind a signed link, for those who may export and are signed in."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=LINK_SECONDS)
    except signing.SignatureExpired:
        raise Refusal("This link has expired. Open Exports for a fresh one.", status=410) from None
    except signing.BadSignature:
        raise Http404 from None
    run = _export(request, pk)
    try:
        opened = run.file.storage.open(run.file.name or "", "rb")
    except (OSError, ValueError):
        raise Refusal("This file was deleted. Export again.", status=410) from None
    answer = FileResponse(opened, as_attachment=True, filename=run.file_name)
    answer["Cache-Control"] = "private, no-store"
    return cast(HttpResponse, answer)


def _asked_for(request: WorkspaceRequest) -> tuple[Segment | None, FindForm]:
    """The segment, or what the list of contacts looks for; what is another's or cannot be read is a 404.

    Strict, unlike the list's own page: a filter that makes no sense must not export everybody.
    """
    nothing = FindForm({}, workspace=request.workspace)
    if "segment" in request.GET:
        segments = Segment.objects.of(request.workspace)
        return get_object_or_404(segments, pk=_number(request.GET.get("segment"))), nothing
    if asked := request.GET.get("list"):
        get_object_or_404(List.objects.of(request.workspace), pk=_number(asked))
    if asked := request.GET.get("tag"):
        get_object_or_404(Tag.objects.of(request.workspace), pk=_number(asked))
    find = FindForm(request.GET, workspace=request.workspace)
    if not find.is_valid():
        raise Http404
    return None, find


def _number(text: str | None) -> int:
    if not (text and text.isascii() and text.isdigit() and len(text) < 19):
        raise Http404
    return int(text)


def _export(request: WorkspaceRequest, pk: int) -> Export:
    run: Export = get_object_or_404(Export.objects.of(request.workspace), pk=pk)
    return run
