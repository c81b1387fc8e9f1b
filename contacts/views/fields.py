"""The custom fields' pages."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.models import Role
from contacts.actions import fields as actions
from contacts.forms.fields import FieldForm
from contacts.models import CustomField
from contacts.queries import fields as queries


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    return render(request, "contacts/fields.html", {"fields": queries.fields(request.workspace)})


@needs(Role.ADMIN)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = FieldForm(request.POST or None, workspace=request.workspace)
    if form.is_valid():
        try:
            made = actions.create(request.workspace, **form.cleaned_data, by=request.user)
        except actions.LabelTaken as refusal:
            form.add_error("label", refusal.message)
        else:
            messages.success(request, f"The field “{made}” is there; in messages it is contact.{made.key}.")
            return redirect("fields")
    return render(request, "contacts/field_edit.html", {"form": form}, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    field = get_object_or_404(CustomField.objects.of(request.workspace), pk=pk)
    form = FieldForm(request.POST or None, workspace=request.workspace, field=field)
    if form.is_valid():
        actions.rename(field, label=form.cleaned_data["label"], by=request.user)
        messages.success(request, "Saved.")
        return redirect("fields")
    context = {"form": form, "field": field}
    return render(request, "contacts/field_edit.html", context, status=422 if form.is_bound else 200)


@needs(Role.ADMIN)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Ask in numbers, then delete."""
    fields = CustomField.objects.of(request.workspace).select_related("workspace")
    field = get_object_or_404(fields, pk=pk)
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
