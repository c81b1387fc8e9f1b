"""How a page of the contacts that fit is read in a time that does not depend on how many contacts there are.

Whether many or few fit is found out by trying, never by the planner's statistics: those of words and lists are guesses.

1. Walk: take the next WALK_ROWS contacts in the page's order and look at each. Where one in a hundred fits this fills
   the page, mostly after a few hundred; small workspaces and last pages are seen to their end.
2. Else few fit: gather all of them by what they have in common (letters, a list) and sort them. Where many do after
   all, but stand together far off in the order, this takes the time of so many.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql.datastructures import BaseTable

from contacts.models import Contact
from contacts.queries.limits import at_most

WALK_ROWS: Final = 8_000
SECONDS: Final = 5  # for one statement; a tenth of it where the machine has nothing else to do
TOO_LONG: Final = "This search takes too long. Type three letters or more of a word."
# Few are found by their indexes, and those are in memory mostly. The planner would rather read a million contacts than
# look up ten thousand, since it takes a comparison of letters to cost no more than one of numbers; and to compile a
# statement takes longer than these run.
PLANNING: Final = {
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "random_page_cost": "1",
    "work_mem": "32MB",  # else the places of many would be kept by the page, and each page read through
    "jit": "off",
}
TABLE: Final = Contact._meta.db_table


def read(
    ordered: QuerySet[Contact],
    count: int,
    *,
    looked_up: Callable[[QuerySet[Contact]], QuerySet[Contact]],
    found: QuerySet[Contact],
) -> list[Contact]:
    """The first of the ordered contacts that fit.

    looked_up: leaves those that fit of any rows, and looks at each by itself. found: all that fit, in no order.
    Raises: TakesTooLong.
    """
    with quickly():
        walked = list(_walked(ordered[:WALK_ROWS], looked_up)[:count])
        if len(walked) == count or not ordered.values("pk")[WALK_ROWS : WALK_ROWS + 1]:
            return walked
        return list(_from(ordered, found)[:count])


@contextmanager
def quickly() -> Iterator[None]:
    """Plan what is inside as its costs really are, and let no statement of it take longer than SECONDS.

    Raises: TakesTooLong.
    """
    with at_most(SECONDS, TOO_LONG, **PLANNING):
        yield


def _walked(
    walk: QuerySet[Contact], looked_up: Callable[[QuerySet[Contact]], QuerySet[Contact]]
) -> QuerySet[Contact]:
    """Those of the walk that fit, in its order: it is read only until there are enough."""
    # Its sort keys by name: PostgreSQL knows that they are sorted, but not what is computed from them again.
    keys: dict[str, Any] = {
        name: RawSQL(f'"{TABLE}"."{name}"', ())  # noqa: S611  (ours, not typed)
        for name in walk.query.annotations
    }
    rows = looked_up(Contact.objects.annotate(**keys))
    return _from(rows.order_by(*walk.query.order_by), walk)


class _Rows(BaseTable):
    """The rows of a query, where another query has its table. OFFSET keeps the planner from mixing the two."""

    def __init__(self, rows: QuerySet[Contact]) -> None:
        super().__init__(TABLE, TABLE)
        self._rows = rows

    def as_sql(self, _compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        sql, params = self._rows.query.get_compiler(connection=connection).as_sql()
        return f'({sql} OFFSET 0) "{TABLE}"', params


def _from(rows: QuerySet[Contact], source: QuerySet[Contact]) -> QuerySet[Contact]:
    rows = rows.all()
    rows.query.get_initial_alias()
    rows.query.alias_map[TABLE] = _Rows(source)
    return rows
