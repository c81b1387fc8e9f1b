"""Which columns a table of contacts shows beside the e-mail: those there are, those chosen, and what is in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db.models import Prefetch, prefetch_related_objects

from accounts.models import Membership, Workspace
from contacts.models import Contact, List, Subscription
from contacts.queries.contacts import give_tags
from contacts.queries.fields import fields

MOST: Final = 12  # beside the e-mail; more is no table that one reads
FIELD: Final = "attribute:"  # before the key of a custom field, as in segments' rules
EVERYWHERE: Final = {"lists": "Lists", "tags": "Tags", "added": "Added", "changed": "Changed"}
ON_A_LIST: Final = {"status": "Status", "consent": "Consent"}  # of the one list that the table is about
# {table: the columns it comes with}; each table is kept by itself, all lists share one, and so do all segments.
USUAL: Final = {
    "contacts": ("name", "lists", "tags", "added"),
    "list": ("name", "status", "consent"),
    "segment": ("name", "added"),
}


class Column(NamedTuple):
    """name: as it is kept. kind: how a cell is drawn, a custom field's by its type."""

    name: str
    label: str
    kind: str


class Cell(NamedTuple):
    label: str
    kind: str
    value: Any


@dataclass(frozen=True)
class Columns:
    """Of one table. offered: in their order, the custom fields last; `shown` in the same order."""

    table: str
    offered: list[Column]
    names: frozenset[str]

    @property
    def shown(self) -> list[Column]:
        return [each for each in self.offered if each.name in self.names]


def offered(workspace: Workspace, table: str) -> list[Column]:
    own = {"name": "Name", **(ON_A_LIST if table == "list" else {}), **EVERYWHERE}
    custom = [Column(f"{FIELD}{each.key}", each.label, each.type) for each in fields(workspace)]
    return [Column(name, label, name) for name, label in own.items()] + custom


def columns_of(membership: Membership, table: str) -> Columns:
    """What the member chose for that table, else what it comes with; fields that are gone simply are not shown."""
    chosen = membership.columns.get(table, USUAL[table])
    return Columns(table, offered(membership.workspace, table), frozenset(chosen))


def filled(
    contacts: Sequence[Contact], columns: Columns, *, in_list: List | None = None
) -> list[tuple[Contact, list[Cell]]]:
    """Each contact with its cells: one query for the lists and one for the tags, where they are shown."""
    shown = columns.shown
    names = {each.name for each in shown}
    if names & {"lists", *ON_A_LIST}:
        _give_subscriptions(contacts, only=None if "lists" in names else in_list)
    if "tags" in names:
        give_tags(contacts)
    return [(each, [_cell(each, column, in_list) for column in shown]) for each in contacts]


def _give_subscriptions(contacts: Sequence[Contact], *, only: List | None) -> None:
    rows = Subscription.objects.select_related("list").order_by("list__name")
    if only:
        rows = rows.filter(list=only)
    prefetch_related_objects(contacts, Prefetch("subscriptions", rows))


def _cell(contact: Contact, column: Column, in_list: List | None) -> Cell:
    return Cell(column.label, column.kind, _value(contact, column.name, in_list))


def _value(contact: Contact, name: str, in_list: List | None) -> Any:
    match name:
        case "name":
            return contact.name
        case "lists":
            return contact.subscriptions.all()
        case "tags":
            return contact.tags  # type: ignore[attr-defined]
        case "added":
            return contact.created_at
        case "changed":
            return contact.updated_at
        case "status" | "consent":
            return _held(contact.subscriptions.all(), in_list)
    return contact.attributes.get(name.removeprefix(FIELD))


def _held(subscriptions: Iterable[Subscription], in_list: List | None) -> Subscription | None:
    return next((each for each in subscriptions if in_list and each.list_id == in_list.pk), None)
