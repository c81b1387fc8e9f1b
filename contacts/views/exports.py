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
from contacts.forms.exports import ExportForm
from contacts.models import Export, ExportFormat
from contacts.queries import exports as queries
from contacts.views.asked import asked_for

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
    segment, find = asked_for(request)
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
    """The file behind a signed link, for those who may export and are signed in; an old link leads to fresh ones."""
    try:
        pk = signing.loads(token, salt=SALT, max_age=LINK_SECONDS)
    except signing.SignatureExpired:
        messages.warning(request, "That link had expired. Files that are still kept can be downloaded here.")
        return redirect("exports")
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


def _export(request: WorkspaceRequest, pk: int) -> Export:
    run: Export = get_object_or_404(Export.objects.of(request.workspace), pk=pk)
    return run
