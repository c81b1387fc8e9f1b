"""The segments' pages: the list, the rule builder with its live count, one segment."""

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.access import WorkspaceRequest, needs
from accounts.errors import Refusal
from accounts.models import Role
from accounts.pages import BY_AGE, Sorts, page_of, render_part, sort_of
from contacts import registry, segments
from contacts.actions import segments as actions
from contacts.actions.names import NameTaken
from contacts.forms.deeds import edited
from contacts.forms.drawn import drawn
from contacts.forms.segments import NEW_RULE, SegmentForm, rules_in
from contacts.models import Segment
from contacts.queries import segments as queries
from contacts.queries.limits import TakesTooLong
from contacts.segments.rules import RulesProblem, read
from contacts.segments.vocabulary import Vocabulary
from contacts.views.bulk import deeds_for
from contacts.views.columns import table_of

SORTS: Sorts = {"name": ("By name", "name"), **BY_AGE}
BLANK = {"join": "and", "rules": [NEW_RULE]}


def _segment(request: WorkspaceRequest, pk: int) -> Segment:
    found: Segment = get_object_or_404(
        Segment.objects.of(request.workspace).select_related("workspace"), pk=pk
    )
    return found


@needs(Role.VIEWER)
def index(request: WorkspaceRequest) -> HttpResponse:
    words = request.GET.get("q", "").replace("\0", "").strip()
    sort, sorts = sort_of(request, SORTS)
    found = queries.search(request.workspace, words)
    page = page_of(found, order=SORTS[sort][1], cursor=request.GET.get("cursor", ""))
    vocabulary = Vocabulary(request.workspace)
    rows = [(segment, segments.segment_in_words(segment, vocabulary)) for segment in page.rows]
    context = {"page": page, "rows": rows, "search": words, "sort": sort, "sorts": sorts}
    return render_part(
        request, "contacts/segments.html", "contacts/_segments.html", context, target="segments"
    )


@needs(Role.MARKETER)
def new(request: WorkspaceRequest) -> HttpResponse:
    return _build(request, None)


@needs(Role.MARKETER)
def edit(request: WorkspaceRequest, pk: int) -> HttpResponse:
    segment = _segment(request, pk)
    return _rename(request, segment) if segment.is_snapshot else _build(request, segment)


def _build(request: WorkspaceRequest, segment: Segment | None) -> HttpResponse:
    """Draw the builder; redraw its rules after a press of a button (the "deed"); or save.

    A new one begins with the rules in the address, as a report's numbers give them.
    """
    stored = segment.rules if segment else rules_in(request.GET) if "rule.0.subject" in request.GET else BLANK
    rules = rules_in(request.POST) if request.method == "POST" else stored
    form = SegmentForm(request.POST or None, workspace=request.workspace, segment=segment)
    if segment is None:
        form.initial["name"] = request.GET.get("name", "")[:120]
    if "deed" in request.POST:
        form = SegmentForm(None, initial=request.POST, workspace=request.workspace, segment=segment)
        return _builder(request, segment, form, rules, focus=edited(rules, request.POST["deed"]))
    if request.method == "POST" and form.is_valid():
        try:
            return redirect("segment", _save(request, segment, form.cleaned_data["name"], rules).pk)
        except Refusal as refusal:
            form.add_error(None if isinstance(refusal, RulesProblem) else "name", refusal.message)
    return _builder(request, segment, form, rules, say_errors=request.method == "POST")


def _save(request: WorkspaceRequest, segment: Segment | None, name: str, rules: dict[str, Any]) -> Segment:
    if segment is None:
        return actions.create(request.workspace, name=name, rules=rules, by=request.user)
    actions.change(segment, name=name, rules=rules, by=request.user)
    return segment


def _builder(
    request: WorkspaceRequest,
    segment: Segment | None,
    form: SegmentForm,
    rules: Any,
    *,
    say_errors: bool = False,
    focus: str = "",
) -> HttpResponse:
    vocabulary = Vocabulary(request.workspace, edited=segment.pk if segment else None)
    group = drawn(rules, vocabulary, say_errors=say_errors)
    context = {"segment": segment, "form": form, "group": group, "focus": focus}
    page, part = "contacts/segment_edit.html", "contacts/_segment_rules.html"
    return render_part(
        request, page, part, context, target="segment-rules", status=422 if say_errors else 200
    )


def _rename(request: WorkspaceRequest, segment: Segment) -> HttpResponse:
    form = SegmentForm(request.POST or None, workspace=request.workspace, segment=segment)
    if form.is_valid():
        try:
            actions.rename(segment, name=form.cleaned_data["name"], by=request.user)
            return redirect("segment", segment.pk)
        except NameTaken as refusal:
            form.add_error("name", refusal.message)
    context = {"segment": segment, "form": form}
    return render(request, "contacts/segment_rename.html", context, status=422 if form.is_bound else 200)


@needs(Role.VIEWER)
@require_POST
def count(request: WorkspaceRequest) -> HttpResponse:
    """The live count of the rules in a form; saves nothing."""
    context: dict[str, Any] = {"examples_on": True}
    seconds = queries.EXACT_SECONDS if "exactly" in request.POST else queries.LIVE_SECONDS
    try:
        rules = Vocabulary(request.workspace).checked(read(rules_in(request.POST)))
        context["count"] = queries.count(rules, request.workspace, seconds=seconds)
    except Refusal as refusal:
        context["problem"] = refusal.message
    return render(request, "contacts/_segment_count.html", context)


@needs(Role.VIEWER)
@require_POST
def recount(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Count a saved one, and keep the figure for the list."""
    segment = _segment(request, pk)
    seconds = queries.EXACT_SECONDS if "exactly" in request.POST else queries.LIVE_SECONDS
    context = {"segment": segment, "count": actions.count(segment, seconds=seconds)}
    return render(request, "contacts/_segment_count.html", context)


@needs(Role.VIEWER)
def show(request: WorkspaceRequest, pk: int) -> HttpResponse:
    segment = _segment(request, pk)
    vocabulary = Vocabulary(request.workspace)
    links = [each for ask in registry.segment_links for each in ask(segment)]
    context: dict[str, Any] = {"segment": segment, "deeds": deeds_for(request), "links": links}
    context["words"] = segments.segment_in_words(segment, vocabulary)
    context["broken"] = vocabulary.problem(segments.within(segment))
    try:
        context["page"] = queries.page_of_people(segment, cursor=request.GET.get("cursor", ""))
    except TakesTooLong as refusal:
        context["problem"] = refusal.message
    else:
        context |= table_of(request, "segment", context["page"].rows)
    return render_part(
        request, "contacts/segment.html", "contacts/_segment_people.html", context, target="segment-people"
    )


@needs(Role.MARKETER)
@require_POST
def duplicate(request: WorkspaceRequest, pk: int) -> HttpResponse:
    segment = _segment(request, pk)
    try:
        copy = actions.duplicate(segment, by=request.user)
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect("segment", pk)
    messages.success(request, f"Copied as “{copy.name}”.")
    return redirect("segment_edit", copy.pk)


@needs(Role.MARKETER)
@require_POST
def freeze(request: WorkspaceRequest, pk: int) -> HttpResponse:
    try:
        return redirect("segment", actions.freeze(_segment(request, pk), by=request.user).pk)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    return redirect("segment", pk)


@needs(Role.MARKETER)
@require_POST
def delete(request: WorkspaceRequest, pk: int) -> HttpResponse:
    segment = _segment(request, pk)
    try:
        actions.delete(segment, by=request.user)
    except actions.InUse as refusal:
        messages.error(request, refusal.message)
        return redirect("segment", pk)
    messages.success(request, f"The segment “{segment.name}” was deleted. Its people stay.")
    return redirect("segments")
