"""The tags' pages: all of them with their counts, making, renaming and merging, deleting."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts.access import WorkspaceRequest, needs
from accounts.ids import SHORT_DIGITS, id_in
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts.actions import tags as actions
from contacts.forms.tags import TagForm
from contacts.models import Tag
from contacts.queries import tags as queries
from contacts.queries.limits import TakesTooLong, at_most

SORTS: Sorts = {"name": ("By name", "name_key"), **BY_AGE}
COUNT_SECONDS = 3  # longer, and the page says so instead of waiting


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()
    sort, sorts = sort_of(request, SORTS)
    page = page_of(
        queries.search(request.workspace, words), order=SORTS[sort][1], cursor=request.GET.get("cursor", "")
    )
    context = {"page": page, "search": words, "sort": sort, "sorts": sorts}
    return render_part(request, "contacts/tags.html", "contacts/_tags.html", context, target="tags-found")


@needs(Role.VIEWER)
def counts(request: WorkspaceRequest) -> HttpResponse:
    """How many have each tag that ?tag= names, put into the page once it stands."""
    asked = [id_in(each, digits=SHORT_DIGITS) for each in request.GET.getlist("tag")]
    wanted = [pk for pk in asked if pk is not None]
    tags = list(Tag.objects.of(request.workspace).filter(pk__in=wanted[:100]))
    try:
        with at_most(COUNT_SECONDS):
            found = queries.counts(request.workspace, tags)
    except TakesTooLong:
        found = {}
    context = {"rows": [(tag.pk, found.get(tag.pk)) for tag in tags]}
    return render(request, "contacts/_tag_counts.html", context)


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    form = TagForm(request.POST or None)
    if form.is_valid():
        try:
            made = actions.create(request.workspace, name=form.cleaned_data["name"], by=request.user)
        except actions.NameTaken as refusal:
            form.add_error("name", f"{refusal.message} Choose another name.")
        else:
            messages.success(request, f"The tag “{made}” is there. Put it on contacts on their pages.")
            return redirect("tags")
    return render(request, "contacts/tag_edit.html", {"form": form}, status=422 if form.is_bound else 200)


@needs(Role.MARKETER)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Rename; the name of another tag asks whether the two are to be one."""
    tag = _tag(request, pk)
    form = TagForm(request.POST or None, initial={"name": tag.name})
    context = {"form": form, "tag": tag}
    if form.is_valid():
        try:
            actions.rename(tag, name=form.cleaned_data["name"], by=request.user)
        except actions.NameTaken as refusal:
            if request.POST.get("merge") == str(refusal.existing.pk):
                return _merge(request, tag, refusal.existing)
            context["existing"] = refusal.existing
        else:
            messages.success(request, "Saved.")
            return redirect("tags")
    return render(request, "contacts/tag_edit.html", context, status=422 if form.is_bound else 200)


def _merge(request: WorkspaceRequest, tag: Tag, into: Tag) -> HttpResponse:
    actions.merge(tag, into=into, by=request.user)
    messages.success(request, f"“{tag}” is “{into}” now, for everybody who had it.")
    return redirect("tags")


@needs(Role.MARKETER)
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Ask in numbers, then delete."""
    tag = _tag(request, pk)
    if request.method != "POST":
        context = {"tag": tag, "count": queries.counts(request.workspace, [tag])[tag.pk]}
        return render(request, "contacts/tag_delete.html", context)
    actions.delete(tag, by=request.user)
    messages.success(request, f"The tag “{tag}” was deleted.")
    return redirect("tags")


def _tag(request: WorkspaceRequest, pk: int) -> Tag:
    tag: Tag = get_object_or_404(Tag.objects.of(request.workspace).select_related("workspace"), pk=pk)
    return tag
