"""The rows of an export as one statement: every cell made by PostgreSQL, no formula among them."""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet, TextChoices

from accounts.models import Workspace
from contacts.models import (
    Contact,
    CustomField,
    FieldType,
    List,
    SubscriptionStatus,
    Suppression,
    SuppressionReason,
    Tag,
)
from contacts.spreadsheet import defused, tag_cell


def _in_words(column: str, choices: type[TextChoices]) -> str:
    """The column's value as the pages call it, such as "unconfirmed" for "pending"."""
    cases = " ".join(f"WHEN '{value}' THEN '{label.lower()}'" for value, label in choices.choices)
    return f"CASE {column} {cases} END"


# As `contacts.spreadsheet.defused` does it. The cell stands in it three times: what reads one column is quicker so than
# behind a sub-select.
DEFUSED: Final = r"""
    CASE WHEN strpos(E'=+-@\t\r\n', left(ltrim({0}, ' "') || ' ', 1)) > 0 THEN chr(39) || {0} ELSE {0} END"""
# Names by id, made harmless, are a constant: a join and a sort for each row would cost as much as all other cells.
LISTS: Final = """(
    SELECT string_agg(%s::jsonb ->> s.list_id::text, '; ') FROM contacts_subscription s
     WHERE s.contact_id = c.id AND s.status = 'subscribed')"""
TAGS: Final = """CASE WHEN c.tag_ids <> '{}' THEN (
    SELECT string_agg(%s::jsonb ->> t::text, '; ') FROM unnest(c.tag_ids) AS t) END"""
FEW_SUPPRESSED: Final = 10_000  # so many are a constant, too: a quarter of what looking up takes
FROM_FEW: Final = "(%s::jsonb ->> lower(c.email))"
# With LIMIT it is looked up by its index for each row; a join may be planned as a scan of everybody's.
SUPPRESSED: Final = f"""(
    SELECT {_in_words("x.reason", SuppressionReason)} FROM contacts_suppression x
     WHERE x.workspace_id = c.workspace_id AND x.email = lower(c.email) LIMIT 1)"""  # noqa: S608
YES_OR_NO: Final = "CASE c.attributes -> %s WHEN 'true' THEN 'yes' WHEN 'false' THEN 'no' END"
# A minus is no formula; what is no number is not there.
NUMBER: Final = (
    "CASE WHEN jsonb_typeof(c.attributes -> %s) = 'number' THEN (c.attributes ->> %s)::numeric END"
)


class Column(NamedTuple):
    """title: of the first row. sql: the cell, over `c`, a contact, and `s`, its subscription to the list.

    values: of the sql's placeholders.
    """

    title: str
    sql: str
    values: tuple[str, ...] = ()


class Statement(NamedTuple):
    """titles: of the columns. sql and values: the rows in the order of the contacts' ids, a text or number a cell.

    count_sql and count_values: how many rows it will be.
    """

    titles: list[str]
    sql: str
    values: tuple[Any, ...]
    count_sql: str
    count_values: tuple[Any, ...]


def statement(
    workspace: Workspace, people: QuerySet[Contact], fields: list[CustomField], in_list: List | None
) -> Statement:
    """All rows of the people, who are of the workspace. in_list: their standing on it is told, too.

    Cost: some ten microseconds a row with ten fields, in the order of the contacts' table.
    """
    columns = [*_columns(fields, workspace), *(_standing() if in_list else ())]
    try:
        chosen, chosen_values = people.order_by().values("pk").query.sql_with_params()
    except EmptyResultSet:  # as Django says that rules can match nobody
        chosen, chosen_values = "SELECT 0 WHERE false", ()
    of_list = "JOIN contacts_subscription s ON s.contact_id = c.id AND s.list_id = %s" if in_list else ""
    cells = ", ".join(column.sql for column in columns)
    return Statement(
        [defused(column.title) for column in columns],
        f"SELECT {cells} FROM contacts_contact c {of_list} WHERE c.id IN ({chosen}) ORDER BY c.id",  # noqa: S608
        (
            *(value for column in columns for value in column.values),
            *([in_list.pk] if in_list else ()),
            *chosen_values,
        ),
        f"SELECT count(*) FROM ({chosen}) AS chosen",  # noqa: S608
        chosen_values,
    )


def _columns(fields: list[CustomField], workspace: Workspace) -> list[Column]:
    return [
        Column("E-mail", _text("c.email")),
        Column("First name", _text("c.first_name")),
        Column("Last name", _text("c.last_name")),
        *map(_attribute, fields),
        Column("Lists", LISTS, (_names(List, workspace, defused),)),
        Column("Tags", TAGS, (_names(Tag, workspace, tag_cell),)),
        _suppressed(workspace),
        Column("Added", _moment("c.created_at")),
    ]


def _names(model: type[List] | type[Tag], workspace: Workspace, written: Callable[[str], str]) -> str:
    """{id: name as it is written} as JSON."""
    names = model.objects.of(workspace).order_by("name").values_list("pk", "name")
    return json.dumps({pk: written(name) for pk, name in names})


def _suppressed(workspace: Workspace) -> Column:
    rows = Suppression.objects.of(workspace).values_list("email", "reason")[: FEW_SUPPRESSED + 1]
    reasons = {email: SuppressionReason(reason).label.lower() for email, reason in rows}
    if len(reasons) > FEW_SUPPRESSED:
        return Column("Suppressed", SUPPRESSED)
    return Column("Suppressed", FROM_FEW, (json.dumps(reasons),))


def _standing() -> list[Column]:
    return [
        Column("Status", _in_words("s.status", SubscriptionStatus)),
        Column("Consent", _text("s.consent_source")),
        Column("Consent given", _moment("s.consent_at")),
        Column("Unsubscribed", _moment("s.unsubscribed_at")),
        Column("Unsubscribed by", _text("s.unsubscribe_source")),
    ]


def _attribute(field: CustomField) -> Column:
    if field.type == FieldType.BOOLEAN:
        return Column(field.label, YES_OR_NO, (field.key,))
    if field.type == FieldType.NUMBER:
        return Column(field.label, NUMBER, (field.key, field.key))
    return Column(field.label, _text("(c.attributes ->> %s)"), (field.key,) * 3)


def _text(sql: str) -> str:
    return DEFUSED.format(sql)


def _moment(sql: str) -> str:
    """As ISO 8601 has it, in UTC."""
    return f"""to_char({sql} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
