"""What conditions are written with: SQL around expressions, and the workspace's days."""

import datetime
import string
import zoneinfo
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import BooleanField, Expression, Q, QuerySet, Subquery, Value

DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """Today, and the zone whose days are meant."""

    today: datetime.date
    zone: zoneinfo.ZoneInfo

    def starts(self, day: datetime.date) -> datetime.datetime:
        return datetime.datetime.combine(day, datetime.time(), tzinfo=self.zone)

    def since(self, days: int) -> datetime.datetime:
        """When "the last N days" began: today and the N days before it."""
        return self.starts(self.today - days * DAY)


def looked_up(rows: QuerySet[Any]) -> Q:
    """Whether the contact that an outer query is at has one of the rows; looked up for each contact, never joined."""
    one = Subquery(rows.order_by().annotate(one=Value(1)).values("one")[:1])
    return Q(Sql("(({0}) IS NOT NULL)", one))


class Sql(Expression):
    """SQL around other expressions: Sql("lower({0}) = {1}", F("email"), Value("x")); {0} may stand twice.

    It must be true or false, never NULL: NOT around a NULL would lose people.
    """

    conditional = True

    def __init__(self, template: str, *sources: Any, output_field: Any = None) -> None:
        super().__init__(output_field=output_field or BooleanField())
        self.template, self.sources = template, list(sources)

    def get_source_expressions(self) -> list[Any]:
        return self.sources

    def set_source_expressions(self, exprs: Any) -> None:
        self.sources = list(exprs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        compiled = [compiler.compile(source) for source in self.sources]
        sql, params = "", ()  # type: str, tuple[Any, ...]
        for literal, index, _spec, _conversion in string.Formatter().parse(self.template):
            sql += literal
            if index is not None:
                sql += compiled[int(index)][0]
                params += tuple(compiled[int(index)][1])
        return sql, params
