"""Conditions on custom fields. What stands in `Contact.attributes` and is not of the field's type counts as no value."""

import datetime
import json
from typing import Any, ClassVar, Final

from django.db.models import F, Q, TextField, Value

from contacts.models import CustomField, FieldType
from contacts.segments.condition import Condition, Operator
from contacts.segments.inputs import Choices, Date, Number, One, Some, Whole
from contacts.segments.sql import DAY, Clock, Sql
from contacts.segments.text import EMPTY, TextCondition

YEAR: Final = 366  # days, in which every anniversary falls


class FieldCondition(Condition):
    group = "Your fields"

    def __init__(self, field: CustomField) -> None:
        super().__init__(f"attribute:{field.key}", field.label)
        self.field = field.key

    def is_exactly(self, value: Any) -> Q:
        """By contact_attributes_idx."""
        return Q(attributes__contains={self.field: value})

    def plain(self) -> Any:
        """The value as text, '' for none."""
        template = "COALESCE({0} ->> {1}::text, '')"
        return Sql(template, F("attributes"), Value(self.field), output_field=TextField())


class TextField_(FieldCondition, TextCondition):  # noqa: N801  (Django has the plain name)
    def text(self) -> Any:
        return self.plain()


class NumberField(FieldCondition):
    ONE: ClassVar = (Number(),)
    operators = {
        "=": Operator("=", ONE),
        "!=": Operator("≠", ONE),
        "<": Operator("<", ONE),
        "<=": Operator("≤", ONE),
        ">": Operator(">", ONE),
        ">=": Operator("≥", ONE),
        "between": Operator("is between", (Number("from", "From"), Number("to", "To", before="and"))),
        **EMPTY,
    }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        match operator:
            case "=":
                return self.is_exactly(value)
            case "!=":
                return ~self.is_exactly(value)
            case "empty":
                return ~self._holds('@.type() == "number"')
            case "not_empty":
                return self._holds('@.type() == "number"')
            case "between":
                return self._holds(f"@ >= {_digits(value['from'])} && @ <= {_digits(value['to'])}")
        return self._holds(f"@ {operator} {_digits(value)}")

    def _holds(self, test: str) -> Q:
        """A path compares numbers with numbers alone, and never fails on what is none."""
        path = f"strict $.{json.dumps(self.field)} ? ({test})"
        return Q(Sql("COALESCE({0} @? {1}::jsonpath, FALSE)", F("attributes"), Value(path)))


def _digits(number: float) -> str:
    return f"{number:f}" if isinstance(number, int) else repr(number)


class YesNoField(FieldCondition):
    operators = {"yes": Operator("is yes"), "no": Operator("is no"), **EMPTY}

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        match operator:
            case "yes" | "no":
                return self.is_exactly(operator == "yes")
            case "not_empty":
                return self.is_exactly(value=True) | self.is_exactly(value=False)
        return ~self.is_exactly(value=True) & ~self.is_exactly(value=False)


class ChoiceField(FieldCondition):
    """A choice holds one of its options, letter by letter, so that the index finds it."""

    def __init__(self, field: CustomField) -> None:
        super().__init__(field)
        options: Choices = {str(option): str(option) for option in field.options}
        one = One(label=f"Option of {field.label}", choices=lambda _vocabulary: options, thing="option")
        some = Some(label=f"Options of {field.label}", choices=one.choices, thing="option")
        self.operators = {
            "any_of": Operator("is any of", (some,)),
            "none_of": Operator("is none of", (some,)),
            "is": Operator("is", (one,)),  # as rules say that were made while it was a text
            "is_not": Operator("is not", (one,)),
            **EMPTY,
        }

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        match operator:
            case "any_of":
                return Q(*map(self.is_exactly, value), _connector=Q.OR)
            case "none_of":
                return ~self.compile("any_of", value, vocabulary)
            case "is":
                return self.is_exactly(value)
            case "is_not":
                return ~self.is_exactly(value)
            case "empty":
                return Q(Sql("{0} = ''", self.plain()))
        return Q(Sql("{0} <> ''", self.plain()))


class DateField(FieldCondition):
    """Dates are "YYYY-MM-DD" and compare as text; whatever else stands there is no date.

    One without a year, "--MM-DD", has anniversaries, and is neither before nor after any other.
    """

    DAY_: ClassVar = (Date(label="Date"),)
    DAYS: ClassVar = (Whole(label="Days"),)
    operators = {
        "on": Operator("is on", DAY_),
        "before": Operator("is before", DAY_),
        "after": Operator("is after", DAY_),
        "between": Operator("is between", (Date("from", "From"), Date("to", "To", before="and"))),
        "last": Operator("is in the last", DAYS),
        "ago": Operator("is longer ago than", DAYS),
        "next": Operator("is in the next", DAYS),
        "anniversary": Operator("has its anniversary today"),
        "anniversary_next": Operator("has its anniversary in the next", DAYS),
        **EMPTY,
    }
    SHAPE: ClassVar = "{0} ~ '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}$'"
    ANY_SHAPE: ClassVar = "{0} ~ '^([0-9]{{4}}|-)-[0-9]{{2}}-[0-9]{{2}}$'"

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        today = vocabulary.clock.today
        match operator:
            case "empty":
                return ~self._dated("TRUE", shape=self.ANY_SHAPE)
            case "not_empty":
                return self._dated("TRUE", shape=self.ANY_SHAPE)
            case "on":
                return self.is_exactly(str(value))
            case "before":
                return self._dated("{0} < {1}", value)
            case "after":
                return self._dated("{0} > {1}", value)
            case "between":
                return self._dated("{0} BETWEEN {1} AND {2}", value["from"], value["to"])
            case "last":
                return self._dated("{0} BETWEEN {1} AND {2}", today - value * DAY, today)
            case "ago":
                return self._dated("{0} < {1}", today - value * DAY)
            case "next":
                return self._dated("{0} BETWEEN {1} AND {2}", today, _later(today, value))
        days = anniversaries(vocabulary.clock, value if operator == "anniversary_next" else 0)
        places = ", ".join(f"{{{place}}}" for place in range(1, len(days) + 1))
        return self._dated(f"right({{0}}, 5) IN ({places})", *days, shape=self.ANY_SHAPE)

    def _dated(self, test: str, *values: Any, shape: str = SHAPE) -> Q:
        """The quick comparison first, the shape of what passes after it."""
        text = Sql('{0} COLLATE "C"', self.plain(), output_field=TextField())
        template = f"({test}) AND {shape}" if values else shape
        return Q(Sql(f"({template})", text, *(Value(str(value)) for value in values)))


def _later(today: datetime.date, days: int) -> datetime.date:
    return datetime.date.max if days > (datetime.date.max - today).days else today + days * DAY


def anniversaries(clock: Clock, days: int) -> list[str]:
    """The "MM-DD" that have their day today or in the next days. Where no 29 February is, it is on the 28th."""
    found = []
    for ahead in range(min(days, YEAR) + 1):
        day = clock.today + ahead * DAY
        found.append(f"{day:%m-%d}")
        if found[-1] == "02-28" and (day + DAY).day == 1:
            found.append("02-29")
    return list(dict.fromkeys(found))


KINDS: Final = {
    FieldType.TEXT: TextField_,
    FieldType.NUMBER: NumberField,
    FieldType.DATE: DateField,
    FieldType.BOOLEAN: YesNoField,
    FieldType.CHOICE: ChoiceField,
}


def conditions(vocabulary: Any) -> list[Condition]:
    """One for each field of the workspace, in the order of their page; one query."""
    fields = CustomField.objects.of(vocabulary.workspace)
    return [KINDS[FieldType(field.type)](field) for field in fields]
