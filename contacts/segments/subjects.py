"""What rules can be about. Each kind of subject knows its operators and the condition that each one is.

A condition is always true or false, never NULL, so that "is not" also finds those who have no value at all.
Values of the wrong type in `Contact.attributes` count as no value, and never raise a cast error.
"""

import datetime
import string
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from django.db.models import BooleanField, Exists, Expression, F, Lookup, OuterRef, Q, TextField, Value
from django.db.models.lookups import Exact, IContains, IEndsWith, IExact, IStartsWith

from contacts.models import FieldType, Subscription, SubscriptionStatus

DAY: Final = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Operator:
    """label: as in a sentence. takes: the value's kind: text, number, date, days, list, or "" for none."""

    label: str
    takes: str = ""


@dataclass(frozen=True)
class Clock:
    """Today, and the zone whose days are meant."""

    today: datetime.date
    zone: zoneinfo.ZoneInfo

    def starts(self, day: datetime.date) -> datetime.datetime:
        return datetime.datetime.combine(day, datetime.time(), tzinfo=self.zone)


class Sql(Expression):
    """SQL around other expressions: Sql("lower({0}) = {1}", F("email"), Value("x")); {0} may stand twice."""

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


class Subject:
    """key: as in the rules; label: as the person knows it."""

    operators: ClassVar[dict[str, Operator]]

    def __init__(self, key: str, label: str) -> None:
        self.key, self.label = key, label

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        raise NotImplementedError

    def in_words(self, operator: Operator, value: str) -> str:
        return f"{self.label} {operator.label} {value}".strip()


EMPTY: Final = {"empty": Operator("is empty"), "not_empty": Operator("is not empty")}


class Text(Subject):
    operators: ClassVar = {
        "is": Operator("is", "text"),
        "is_not": Operator("is not", "text"),
        "contains": Operator("contains", "text"),
        "not_contains": Operator("does not contain", "text"),
        "starts": Operator("starts with", "text"),
        "ends": Operator("ends with", "text"),
        **EMPTY,
    }
    LOOKUPS: ClassVar[dict[str, type[Lookup]]] = {
        "is": IExact, "contains": IContains, "starts": IStartsWith, "ends": IEndsWith,
    }  # fmt: skip

    def text(self) -> Any:
        return F(self.key)

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        match operator:
            case "empty":
                return Q(Exact(self.text(), Value("")))
            case "not_empty":
                return ~self.condition("empty", value, clock)
            case "is_not" | "not_contains":
                return ~self.condition(operator.replace("is_not", "is").removeprefix("not_"), value, clock)
        return Q(self.LOOKUPS[operator](self.text(), value))


class Email(Text):
    operators: ClassVar = {**Text.operators, "domain": Operator("is at the domain", "text")}

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        if operator == "domain":
            return Q(IEndsWith(self.text(), "@" + value.removeprefix("@")))
        return super().condition(operator, value, clock)


class Attribute(Subject):
    @property
    def field(self) -> str:
        return self.key.removeprefix("attribute:")

    def json(self) -> Any:
        return Sql("jsonb_extract_path({0}, {1})", F("attributes"), Value(self.field))

    def plain(self) -> Any:
        """The value as text, '' for none."""
        template = "COALESCE(jsonb_extract_path_text({0}, {1}), '')"
        return Sql(template, F("attributes"), Value(self.field), output_field=TextField())


class TextAttribute(Attribute, Text):
    def text(self) -> Any:
        return self.plain()


class NumberAttribute(Attribute):
    operators: ClassVar = {
        "=": Operator("=", "number"),
        "!=": Operator("≠", "number"),
        "<": Operator("<", "number"),
        "<=": Operator("≤", "number"),
        ">": Operator(">", "number"),
        ">=": Operator("≥", "number"),
        **EMPTY,
    }

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        match operator:
            case "empty":
                return ~self.condition("not_empty", value, clock)
            case "not_empty":
                return Q(Sql("COALESCE(jsonb_typeof({0}) = 'number', FALSE)", self.json()))
            case "!=":
                return ~self.condition("=", value, clock)
            case "=":
                return Q(attributes__contains={self.field: value})  # contact_attributes_idx
        compare = f"({{0}})::numeric {operator} {{1}}::numeric"
        template = f"CASE WHEN jsonb_typeof({{0}}) = 'number' THEN {compare} ELSE FALSE END"
        return Q(Sql(template, self.json(), Value(str(value))))


DATES: Final = {
    "on": Operator("is on", "date"),
    "before": Operator("is before", "date"),
    "after": Operator("is after", "date"),
    "last": Operator("is in the last", "days"),
}


class DateAttribute(Attribute):
    """Dates are "YYYY-MM-DD" and compare as text; whatever else stands there is no date."""

    operators: ClassVar = {**DATES, **EMPTY}
    COMPARE: ClassVar[dict[str, str]] = {"on": "=", "before": "<", "after": ">"}

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        match operator:
            case "empty":
                return ~self.condition("not_empty", value, clock)
            case "not_empty":
                return self._compare(">", "")
            case "last":
                since = self._compare(">=", str(clock.today - value * DAY))
                return since & self._compare("<=", str(clock.today))
        return self._compare(self.COMPARE[operator], str(value))

    def _compare(self, sign: str, value: str) -> Q:
        date = "substring({0} from '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$') COLLATE \"C\""
        return Q(Sql(f"COALESCE({date} {sign} {{1}}, FALSE)", self.plain(), Value(value)))


class Moment(Subject):
    """A time of the contact itself, by the workspace's days."""

    operators: ClassVar = DATES

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        match operator:
            case "before":
                return self._within(None, value, clock)
            case "after":
                return self._within(value + DAY, None, clock)
            case "last":
                return self._within(clock.today - value * DAY, clock.today + DAY, clock)
        return self._within(value, value + DAY, clock)

    def _within(self, first: datetime.date | None, end: datetime.date | None, clock: Clock) -> Q:
        since = {f"{self.key}__gte": clock.starts(first)} if first else {}
        until = {f"{self.key}__lt": clock.starts(end)} if end else {}
        return Q(**since, **until)


class YesNoAttribute(Attribute):
    operators: ClassVar = {"yes": Operator("is yes"), "no": Operator("is no"), **EMPTY}

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        match operator:
            case "empty":
                return ~self.condition("not_empty", value, clock)
            case "not_empty":
                return self.condition("yes", value, clock) | self.condition("no", value, clock)
        return Q(attributes__contains={self.field: operator == "yes"})  # contact_attributes_idx


class OnList(Subject):
    operators: ClassVar = {
        "subscribed": Operator("subscribed to", "list"),
        "unsubscribed": Operator("unsubscribed from", "list"),
        "not_on": Operator("not on", "list"),
    }
    STATUSES: ClassVar = {
        "subscribed": [SubscriptionStatus.SUBSCRIBED],
        "unsubscribed": [SubscriptionStatus.UNSUBSCRIBED],
        "not_on": [SubscriptionStatus.SUBSCRIBED, SubscriptionStatus.PENDING],
    }

    def condition(self, operator: str, value: Any, clock: Clock) -> Q:
        of_list = Subscription.objects.filter(contact=OuterRef("pk"), list=value)
        found = Q(Exists(of_list.filter(status__in=self.STATUSES[operator])))
        return ~found if operator == "not_on" else found

    def in_words(self, operator: Operator, value: str) -> str:
        return f"{operator.label} {value}"


# The fixed subjects, and the kind of each type of custom field: a new kind of rule is a class and a line.
SUBJECTS: Final[tuple[Subject, ...]] = (
    Email("email", "E-mail"),
    Text("first_name", "First name"),
    Text("last_name", "Last name"),
    Moment("created_at", "Added"),
    OnList("list", "List"),
)
ATTRIBUTES: Final[dict[str, Callable[[str, str], Subject]]] = {
    FieldType.TEXT: TextAttribute,
    FieldType.NUMBER: NumberAttribute,
    FieldType.DATE: DateAttribute,
    FieldType.BOOLEAN: YesNoAttribute,
    FieldType.CHOICE: TextAttribute,
}
