"""The import's pages: the list, upload, columns, progress and result."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import BY_AGE, page_of, render_part, sort_of
from accounts.uploads import is_too_large
from contacts.actions import imports as actions
from contacts.csv_answer import csv_answer
from contacts.forms.import_columns import guessed, sent, without_new
from contacts.forms.imports import MappingForm, ReadingForm, UploadForm, as_there, earlier
from contacts.importing.columns import mark_of
from contacts.models import Import, ImportState
from contacts.queries import imports as queries
from contacts.queries.imported import kinds

REFUSALS_SHOWN = 100  # rows of a page; the whole is a download
ENDED = (ImportState.DONE, ImportState.FAILED)
MAPPABLE = (ImportState.MAPPING, ImportState.CHECKED)


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    search = request.GET.get("q", "").replace("\0", "").strip()
    found = queries.recent(request.workspace, search)
    sort, sorts = sort_of(request, BY_AGE)
    page = page_of(found, order=BY_AGE[sort][1], cursor=request.GET.get("cursor", ""))
    return render_part(
        request,
        "contacts/imports.html",
        "contacts/_imports.html",
        {"page": page, "search": search, "sort": sort, "sorts": sorts},
        target="imports",
    )


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    if request.method != "POST":
        form = UploadForm(initial={"list": request.GET.get("list", "")})
        return render(request, "contacts/import_new.html", {"form": form})
    form = UploadForm(request.POST, request.FILES, is_too_large=is_too_large(request))
    if form.is_valid():
        try:
            run = actions.upload(form.cleaned_data["upload"], workspace=request.workspace, by=request.user)
        except Refusal as refusal:
            form.add_error(form.source, refusal.message)
        else:
            chosen_list = form.cleaned_data["list"]
            url = reverse("import_map", args=[run.pk])
            return redirect(f"{url}?list={chosen_list}" if chosen_list else url)
    return render(request, "contacts/import_new.html", {"form": form}, status=422)


@needs(Role.MARKETER)
def map_columns(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(Import.objects.of(request.workspace), pk=pk)
    posted = request.method == "POST"
    if run.state not in MAPPABLE and not posted:
        return redirect("import", run.pk)
    reading_form = ReadingForm.of(run, request.POST if posted else request.GET)
    form = _mapping_form(request, run, reading_form)
    is_deed = "deed" in request.POST  # other columns are to be shown, or all new ones left out
    if posted and not is_deed and form.is_valid():
        actions.check(run, form.plan(), by=request.user)
        return redirect("import", run.pk)
    context = {"run": run, "reading": reading_form, "form": form}
    page, part = "contacts/import_map.html", "contacts/_import_columns.html"
    return render_part(
        request, page, part, context, target="import-columns", status=422 if posted and not is_deed else 200
    )


def _mapping_form(request: WorkspaceRequest, run: Import, reading_form: ReadingForm) -> MappingForm:
    reading = reading_form.reading()
    columns = queries.columns(run, reading) if run.state in MAPPABLE else []
    data = request.POST if request.method == "POST" else None
    chosen = earlier(run, request.GET.get("list", ""))
    like = queries.like(run, mark_of(columns)) if reading.has_header and not run.mapping else None
    chosen = as_there(like, columns) | chosen
    about: dict[str, Any] = {
        "workspace": request.workspace,
        "columns": columns,
        "reading": reading,
        "like": like,
    }
    if data is None or "deed" not in data:
        return MappingForm(data, **about, chosen=chosen)
    held = sent(data, guessed(columns, chosen))
    if data["deed"] == "leave-out":
        held = without_new(held)
    typed = {
        **data.dict(),
        "lists": data.getlist("lists"),
        "consent": "consent" in data,
        "adds_options": "adds_options" in data,
    }
    typed = {name: value for name, value in typed.items() if not name.startswith(("column_", "label_"))}
    return MappingForm(None, **about, chosen=chosen | typed, held=held, asked=data)


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    imports = Import.objects.of(request.workspace).select_related("created_by")
    run = get_object_or_404(imports, pk=pk)
    if run.state == ImportState.MAPPING and Role(request.membership.role).may(Role.MARKETER):
        return _to_columns(request, run)
    context: dict[str, Any] = {"run": run, "pace": queries.pace(run), "lists": run.lists.all()}
    if not run.is_open:
        cursor = request.GET.get("cursor", "")
        refusals = queries.refusals(run)
        context["page"] = page_of(refusals, order="row_number", cursor=cursor, size=REFUSALS_SHOWN)
        context["outcome"] = queries.outcome(run)
        context["unasked"] = queries.unasked(run)
    if run.state in ENDED:
        context["links"] = {each.which or "all": each for each in kinds(run)}
    return render_part(
        request, "contacts/import.html", "contacts/_import_run.html", context, target="import-run"
    )


def _to_columns(request: WorkspaceRequest, run: Import) -> HttpResponse:
    """To the columns; the page, not its part, when a check that was looked at has gone back to them."""
    answer = redirect("import_map", run.pk)
    return HttpResponseClientRedirect(answer.url) if request.htmx else answer


@needs(Role.MARKETER)
@require_POST
def start(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(Import.objects.of(request.workspace), pk=pk)
    actions.start(run, by=request.user)
    return redirect("import", run.pk)


@needs(Role.MARKETER)
@require_POST
def cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(Import.objects.of(request.workspace), pk=pk)
    actions.cancel(run, by=request.user)
    return redirect("import", run.pk)


@needs(Role.MARKETER)
def undo(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(Import.objects.of(request.workspace), pk=pk)
    if request.method == "POST":
        actions.undo(run, by=request.user)
    if request.method == "POST" or not run.can_be_undone:
        return redirect("import", run.pk)
    return render(request, "contacts/import_undo.html", {"run": run, "lists": run.lists.all()})


@needs(Role.VIEWER)
def refused(request: WorkspaceRequest, pk: int) -> HttpResponse:
    run = get_object_or_404(Import.objects.of(request.workspace), pk=pk)
    rows = queries.refused_rows(run)
    return csv_answer(f"refused-rows-{run.pk}.csv", ["Row", "Reason", "Text"], rows)
