"""Conditions on text, of the contact itself or of a field; case never counts."""

from typing import Any, ClassVar, Final

from django.db.models import F, Q, TextField, Value
from django.db.models.functions import Upper
from django.db.models.lookups import Exact, IContains, IEndsWith, IStartsWith

from contacts.segments.condition import Condition, Operator
from contacts.segments.inputs import Text, Texts
from contacts.segments.sql import Sql

TEXT: Final = (Text(),)
TEXTS: Final = (Texts(label="Values"),)
EMPTY: Final = {"empty": Operator("has no value"), "not_empty": Operator("has a value")}


class TextCondition(Condition):
    operators = {
        "is": Operator("is", TEXT),
        "is_not": Operator("is not", TEXT),
        "any_of": Operator("is any of", TEXTS),
        "none_of": Operator("is none of", TEXTS),
        "contains": Operator("contains", TEXT),
        "not_contains": Operator("does not contain", TEXT),
        "starts": Operator("starts with", TEXT),
        "ends": Operator("ends with", TEXT),
        **EMPTY,
    }
    OPPOSITES: ClassVar = {
        "is_not": "is", "none_of": "any_of", "not_contains": "contains", "not_empty": "empty",
    }  # fmt: skip
    LOOKUPS: ClassVar = {"contains": IContains, "starts": IStartsWith, "ends": IEndsWith}

    def text(self) -> Any:
        """The text that is looked at, '' for none."""
        return F(self.key)

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        if opposite := self.OPPOSITES.get(operator):
            return ~self.compile(opposite, value, vocabulary)
        match operator:
            case "empty":
                return Q(Exact(self.text(), Value("")))
            case "is":
                return equals(self.text(), [value])
            case "any_of":
                return equals(self.text(), value)
        return Q(self.LOOKUPS[operator](self.text(), value))


def equals(text: Any, values: list[str]) -> Q:
    """Whether the text is one of the values, whatever its case.

    The plain collation does for plain letters, at a third of the cost; values with others need the real one.
    """
    plain = [value.upper() for value in values if value.isascii()]
    others = [value for value in values if not value.isascii()]
    found = []
    if plain:
        found.append(_one_of('UPPER({0} COLLATE "C")', text, [Value(value) for value in plain]))
    if others:
        found.append(_one_of("UPPER({0})", text, [Upper(Value(value)) for value in others]))
    return Q(*found, _connector=Q.OR)


def _one_of(key: str, text: Any, values: list[Any]) -> Sql:
    """A list of constants is searched by hash from nine on."""
    places = ", ".join(f"{{{place}}}" for place in range(1, len(values) + 1))
    return Sql(f"{key} IN ({places})", text, *values)


class Email(TextCondition):
    operators = {
        **{key: each for key, each in TextCondition.operators.items() if key not in EMPTY},
        "domain": Operator("is at the domain", (Texts(label="Domains", split=r"[\s,;]+"),)),
        "not_domain": Operator("is not at the domain", (Texts(label="Domains", split=r"[\s,;]+"),)),
    }
    OPPOSITES: ClassVar = {**TextCondition.OPPOSITES, "not_domain": "domain"}

    def compile(self, operator: str, value: Any, vocabulary: Any) -> Q:
        if operator == "domain":
            domain = Sql("split_part({0}, '@', 2)", F(self.key), output_field=TextField())
            return equals(domain, [each.rpartition("@")[2] for each in value])
        return super().compile(operator, value, vocabulary)
