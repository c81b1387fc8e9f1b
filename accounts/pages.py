"""What every room's views share: a page or its part by the htmx target, and keyset pages."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import F, Model, Q, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

Row = TypeVar("Row", bound=Model)
PAGE_SIZE = 50  # rows


def render_part(
    request: HttpRequest, page: str, part: str, context: dict[str, Any], *, target: str, status: int = 200
) -> HttpResponse:
    """Render the part alone when htmx asks for its target, else the whole page that includes it."""
    htmx = request.htmx  # type: ignore[attr-defined]
    wanted = htmx and not htmx.history_restore_request and _id_of(htmx.target) == target
    return render(request, part if wanted else page, context, status=status)


def _id_of(htmx_target: str | None) -> str:
    """htmx 4 sends the target as `tag#id`, htmx 2 as the id alone."""
    return (htmx_target or "").rsplit("#", 1)[-1]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Rows in order, and the cursors of the pages beside it ("" where there is none)."""

    rows: list[Row]
    next: str
    previous: str


def _first(rows: QuerySet[Row], count: int) -> list[Row]:
    return list(rows[:count])


def page_of(
    rows: QuerySet[Row],
    *,
    order: str,
    cursor: str = "",
    size: int = PAGE_SIZE,
    read: Callable[[QuerySet[Row], int], list[Row]] = _first,
) -> Page[Row]:
    """Read one keyset page: as quick at the end of a million rows as at the start, and never a COUNT.

    order: a column, "-" before it for descending; must not hold NULL; ties are broken by the key.
    cursor: from `Page.next` or `Page.previous`; anything else gives the first page.
    read: gives the first of the ordered rows, and may leave some out.
    """
    column, descending = order.lstrip("-"), order.startswith("-")
    backwards, place = _parse(cursor)
    upwards = descending if backwards else not descending
    found = _read(rows, column, place, upwards=upwards, read=read, count=size + 1)
    if place and not found:  # the page beyond an end, or a cursor that is none
        backwards, place = False, None
        found = _read(rows, column, None, upwards=not descending, read=read, count=size + 1)
    more, shown = len(found) > size, found[:size]
    if backwards:
        shown.reverse()
    before, after = (more, True) if backwards else (place is not None, more)
    return Page(
        shown,
        next=_cursor("n", column, shown[-1]) if after and shown else "",
        previous=_cursor("p", column, shown[0]) if before and shown else "",
    )


# {key in the address: (label, order of page_of)}; the first is the usual one.
Sorts = dict[str, tuple[str, str]]
BY_AGE: Sorts = {"newest": ("Newest first", "-id"), "oldest": ("Oldest first", "id")}


def sort_of(request: HttpRequest, sorts: Sorts) -> tuple[str, list[tuple[str, str]]]:
    """The sort that was asked for, or the usual one, and all of them as choices for `shared/_sort.html`."""
    asked = request.GET.get("sort", "")
    sort = asked if asked in sorts else next(iter(sorts))
    return sort, [(key, label) for key, (label, _order) in sorts.items()]


def _read(
    rows: QuerySet[Row],
    column: str,
    place: tuple[Any, Any] | None,
    *,
    upwards: bool,
    read: Callable[[QuerySet[Row], int], list[Row]],
    count: int,
) -> list[Row]:
    sign = "" if upwards else "-"
    order = [f"{sign}{column}"] if column in ("pk", "id") else [f"{sign}{column}", f"{sign}pk"]
    if place:
        try:
            rows.filter(**{f"{column}__gt": place[0]})  # can it be a value of that column at all?
            rows = rows.filter(_beyond(column, place, upwards=upwards))
        except (ValueError, TypeError, OverflowError, ValidationError):
            return []
    return read(rows.order_by(*order), count)


def _beyond(column: str, place: tuple[Any, Any], *, upwards: bool) -> Any:
    value, pk = place
    if column in ("pk", "id"):
        return Q(**{f"pk__{'gt' if upwards else 'lt'}": pk})
    # Both in one comparison, so that an index of both begins there: a million may share the column's value.
    step = TupleGreaterThan if upwards else TupleLessThan
    return step(Tuple(F(column), F("pk")), (value, pk))


def _cursor(direction: str, column: str, row: Model) -> str:
    place = json.dumps([getattr(row, column), row.pk], default=str)
    return direction + base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _parse(cursor: str) -> tuple[bool, tuple[Any, Any] | None]:
    try:
        value, pk = json.loads(base64.urlsafe_b64decode(cursor[1:] + "=" * (-len(cursor[1:]) % 4)))
        json.dumps([value, pk], ensure_ascii=False).encode()  # a lone surrogate is no text for the database
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return False, None
    if not isinstance(pk, int) or not isinstance(value, str | int | float) or "\0" in str(value):
        return False, None
    return cursor.startswith("p"), (value, pk)
