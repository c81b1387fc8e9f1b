"""The custom fields' pages."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from contacts import fitting
from contacts.actions import fields as actions
from contacts.forms.fields import SPARE_ROWS, FieldForm
from contacts.models import CustomField
from contacts.queries import fields as queries
from contacts.queries.limits import TakesTooLong, at_most

COUNT_SECONDS = 3  # longer, and the page says so instead of waiting


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    used = queries.segments_by_field(request.workspace)
    rows = [
        (each, fitting.in_words(each), used.get(each.key, [])) for each in queries.fields(request.workspace)
    ]
    return render(request, "contacts/fields.html", {"rows": rows})


@needs(Role.VIEWER)
def counts(request: WorkspaceRequest) -> HttpResponse:
    """How many have a value in each field, put into the page once it stands."""
    found: dict[str, int] | None = None
    try:
        with at_most(COUNT_SECONDS):
            found = queries.value_counts(request.workspace)
    except TakesTooLong:
        pass
    fields = queries.fields(request.workspace)
    rows = [(each.pk, None if found is None else found.get(each.key, 0)) for each in fields]
    return render(request, "contacts/_field_counts.html", {"rows": rows})


@needs(Role.ADMIN)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = FieldForm(request.POST or None, workspace=request.workspace)
    if form.is_valid():
        kind = form.cleaned_data["type"]
        try:
            made = actions.create(request.workspace, type=kind, settings=form.settings(), by=request.user)
        except actions.LabelTaken as refusal:
            form.add_error("label", refusal.message)
        else:
            messages.success(request, f"The field “{made}” is there; in messages it is contact.{made.key}.")
            return redirect("fields")
    return _form(request, form)


@needs(Role.ADMIN)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    field = _field(request, pk)
    form = FieldForm(request.POST or None, workspace=request.workspace, field=field)
    if form.is_valid() and _may_remove(field, form):
        followed = actions.change(field, settings=form.settings(), renamed=form.renamed(), by=request.user)
        also = f" {followed:,} contact{'' if followed == 1 else 's'} followed." if followed else ""
        messages.success(request, f"Saved.{also}")
        return redirect("fields")
    return _form(request, form, field)


def _may_remove(field: CustomField, form: FieldForm) -> bool:
    """Whether nobody has the options that go, or it was confirmed that their values go, too."""
    removed = [option for option, name in form.renamed().items() if name is None]
    held = {option: count for option, count in queries.option_counts(field, removed).items() if count}
    if held and not form.cleaned_data["remove"]:
        form.ask_removal(held)
        return False
    return True


def _form(request: WorkspaceRequest, form: FieldForm, field: CustomField | None = None) -> HttpResponse:
    context = {"form": form, "field": field, "spare_rows": range(SPARE_ROWS)}
    return render(request, "contacts/field_edit.html", context, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
@require_POST
def move(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """One place up, or down where `to` says so."""
    actions.move(_field(request, pk), up=request.POST.get("to") != "down", by=request.user)
    return redirect("fields")


@needs(Role.ADMIN)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Ask in numbers, then delete."""
    field = _field(request, pk)
    if request.method != "POST":
        context = {
            "field": field,
            "count": queries.value_count(field),
            "segments": queries.segments_with(field),
        }
        return render(request, "contacts/field_delete.html", context)
    forgotten = actions.delete(field, by=request.user)
    messages.success(request, f"The field “{field}” and its {forgotten:,} values were deleted.")
    return redirect("fields")


def _field(request: WorkspaceRequest, pk: int) -> CustomField:
    fields = CustomField.objects.of(request.workspace).select_related("workspace")
    field: CustomField = get_object_or_404(fields, pk=pk)
    return field
