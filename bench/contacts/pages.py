"""How long the database takes for a page of contacts: searches, filters and sorts, the first page and a far one."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from statistics import median
from typing import Any, Final

from django.db import connection

from accounts.models import Workspace
from accounts.pages import PAGE_SIZE, _cursor
from contacts.models import List
from contacts.queries import columns, contacts
from contacts.queries.columns import Column
from contacts.queries.contacts import SORT_KEYS, SORTS, SUPPRESSED, Finder
from contacts.queries.limits import TakesTooLong

USUAL: Final = columns.USUAL["contacts"]
LIMIT_MS: Final = 150
FAR_PAGE: Final = 1_000  # the last one where there are fewer
RUNS: Final = 3  # the quickest counts: what else the machine does is not measured
QUICK_MS: Final = 5  # what is as quick as that is not measured again
SLOWEST: Final = 8  # told by name
SEARCHES: Final = {
    "frequent": "gmail",
    "all": "com",
    "a name": "müller",
    "upper case": "SOPHIE",
    "middling": "nakamura",
    "gathered in one place": "info",
    "rare": "zapata-77",
    "one": "anna.müller4",
    "none": "qqxjzw",
    "two words": "anna gmail",
    "two rare words": "xander okafor",
    "three letters": "zoë",
    "wild cards": "100%_",
    "a part without letters": "@web.de",
}
COLUMNS: Final = columns.Columns("contacts", [Column(name, name, name) for name in USUAL], frozenset(USUAL))
SHORT: Final = {"two letters": "qu", "one letter": "x"}  # there is no index for them
# Those that filters are tried with.
BESIDE_FILTERS: Final = ("", "gmail", "nakamura", "zapata-77")


def measure_pages(workspace: Workspace, _count: int) -> dict[str, object]:
    """Milliseconds at the database, all statements of a page and its usual columns together, the cache warm."""
    took = dict(_all(workspace, _finders(workspace)))
    short = dict(_all(workspace, ((name, Finder(search=words)) for name, words in SHORT.items())))
    within = sum(ms <= LIMIT_MS for ms in took.values())
    slowest = sorted(took.items(), key=lambda each: -each[1])[:SLOWEST]
    return {
        "pages": len(took),
        "median_ms": round(median(took.values()), 1),
        "worst_ms": slowest[0][1],
        f"share_under_{LIMIT_MS}_ms": round(within / len(took), 3),
        "slowest": dict(slowest),
        "short_searches_worst_ms": max(short.values()),
    }


def _all(workspace: Workspace, finders: Iterable[tuple[str, Finder]]) -> Iterator[tuple[str, float]]:
    for name, finder in finders:
        for sort in SORTS:
            sorted_so = replace(finder, sort=sort)
            yield f"{name}, {sort}, first page", _quickest(workspace, sorted_so, "")
            if cursor := _far_cursor(workspace, sorted_so):
                yield f"{name}, {sort}, far page", _quickest(workspace, sorted_so, cursor)


def _finders(workspace: Workspace) -> Iterator[tuple[str, Finder]]:
    yield "everybody", Finder()
    for name, words in SEARCHES.items():
        yield f"{name} ({words})", Finder(search=words)
    for name, filters in _filters(workspace).items():
        for words in BESIDE_FILTERS:
            yield f"{name}, search “{words}”", Finder(search=words, **filters)


def _filters(workspace: Workspace) -> dict[str, dict[str, Any]]:
    lists = {each.name: each for each in List.objects.of(workspace)}
    filters: dict[str, dict[str, Any]] = {f"list {name}": {"in_list": each} for name, each in lists.items()}
    return filters | {
        "unsubscribed": {"status": "unsubscribed"},
        "suppressed": {"status": SUPPRESSED},
        "unconfirmed on Half": {"in_list": lists["Half"], "status": "pending"},
        "suppressed on Few": {"in_list": lists["Few"], "status": SUPPRESSED},
    }


def _far_cursor(workspace: Workspace, finder: Finder) -> str:
    """That of FAR_PAGE or of the last page; "" where there is but one."""
    order = SORTS[finder.sort]
    column, sign = order.lstrip("-"), "-" if order.startswith("-") else ""
    rows = contacts.find(workspace, finder)
    if key := SORT_KEYS.get(order):
        rows = rows.annotate(**{order: key})
    rows = rows.order_by(order, f"{sign}pk").only("pk")[: (FAR_PAGE - 1) * PAGE_SIZE + 1]
    found = list(rows)
    return _cursor("n", column, found[-2]) if len(found) > PAGE_SIZE else ""


def _quickest(workspace: Workspace, finder: Finder, cursor: str) -> float:
    milliseconds(workspace, finder, cursor)
    best = float("inf")
    for _ in range(RUNS):
        if best > QUICK_MS:
            best = min(best, milliseconds(workspace, finder, cursor))
    return best


def milliseconds(workspace: Workspace, finder: Finder, cursor: str) -> float:
    """All statements of the page together, or until it was given up."""
    with statements_timed() as spent, suppress(TakesTooLong):
        page = contacts.page(workspace, finder, cursor=cursor)
        columns.filled(page.rows, COLUMNS, in_list=finder.in_list)
    return round(sum(spent) * 1000, 1)


@contextmanager
def statements_timed() -> Iterator[list[float]]:
    """Gets the seconds of each statement, as they end."""
    spent: list[float] = []

    def timed(execute, *call):
        began = time.perf_counter()
        try:
            return execute(*call)
        finally:
            spent.append(time.perf_counter() - began)

    with connection.execute_wrapper(timed):
        yield spent
