"""Whom an export or a bulk action is about: found by a search, of a list or a segment, or chosen one by one.

As kept in `Export.chosen` and `BulkRun.chosen`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet

from accounts.errors import Refusal
from accounts.models import Workspace
from contacts import segments
from contacts.models import Contact, List, Segment, Tag
from contacts.queries.contacts import Finder, find
from contacts.queries.imported import imported


class Gone(Refusal):
    """The list or segment was deleted meanwhile."""

    code = "gone"
    status = 409


def of_finder(finder: Finder) -> dict[str, Any]:
    return {
        "search": finder.search,
        "list": finder.in_list.pk if finder.in_list else None,
        "status": finder.status,
        "tag": finder.tag.pk if finder.tag else None,
        "import": finder.imported.key if finder.imported else None,
    }


def of_segment(segment: Segment) -> dict[str, Any]:
    return {"segment": segment.pk}


def of_ids(pks: Iterable[int]) -> dict[str, Any]:
    return {"ids": sorted(set(pks))}


def people(chosen: Mapping[str, Any], workspace: Workspace) -> tuple[QuerySet[Contact], List | None]:
    """The contacts, and the list of which their status and consent are told.

    Raises: Gone.
    """
    if "ids" in chosen:
        return Contact.objects.of(workspace).filter(pk__in=chosen["ids"]), None
    if pk := chosen.get("segment"):
        segment = Segment.objects.of(workspace).filter(pk=pk).first()
        if segment is None:
            raise Gone("The segment was deleted before its turn came.")
        return segments.matching(segment, workspace), None
    in_list = None
    if pk := chosen.get("list"):
        in_list = List.objects.of(workspace).filter(pk=pk).first()
        if in_list is None:
            raise Gone("The list was deleted before its turn came.")
    tag = None
    if pk := chosen.get("tag"):
        tag = Tag.objects.of(workspace).filter(pk=pk).first()
        if tag is None:
            raise Gone("The tag was deleted before its turn came.")
    brought = None
    if key := chosen.get("import"):
        brought = imported(workspace, key)
        if brought is None:
            raise Gone("Who was in the import is not known any more, since it can be undone no longer.")
    search, status = chosen.get("search", ""), chosen.get("status", "")
    finder = Finder(search=search, in_list=in_list, status=status, tag=tag, imported=brought)
    return find(workspace, finder), in_list
