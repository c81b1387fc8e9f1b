"""How contacts are read: found by search, list and status; one contact's lists and suppression."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db.models import (
    Exists,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Lower
from django.db.models.lookups import IsNull

from accounts.models import Workspace
from accounts.pages import Page, page_of
from contacts.models import (
    HAS_TAGS,
    NAME_KEY,
    Contact,
    FormerContact,
    List,
    Subscription,
    SubscriptionStatus,
    Suppression,
    Tag,
)
from contacts.queries import finding
from contacts.queries.imported import UPDATED, Imported, changed, listed

# Each has its index: contact_newest_idx, one_contact_per_address, contact_name_idx.
SORTS: Final = {"newest": "-id", "oldest": "id", "email": "email_key", "name": "name_key"}
SORT_KEYS: Final[dict[str, Any]] = {"email_key": Lower("email"), "name_key": NAME_KEY}
SUPPRESSED: Final = "suppressed"  # beside the statuses of a subscription
WORDS_LIMIT: Final = 6  # of a search; more would only make it slow


@dataclass(frozen=True)
class Finder:
    """What is looked for. search: words, each a part of the address or a name. sort: a key of SORTS."""

    search: str = ""
    in_list: List | None = None
    status: str = ""
    tag: Tag | None = None
    imported: Imported | None = None
    sort: str = "newest"

    @property
    def is_on(self) -> bool:
        return bool(self.search or self.in_list or self.status or self.tag or self.imported)


def find(workspace: Workspace, finder: Finder) -> QuerySet[Contact]:
    """The contacts that fit. Words of three letters and more are found by contact_search_idx."""
    return _fits(Contact.objects.of(workspace), workspace, finder, looked_up=False)


def page(workspace: Workspace, finder: Finder, *, cursor: str = "") -> Page[Contact]:
    """A page of who fits; what stands beside them is `queries.columns.filled`.

    Raises: TakesTooLong: too few letters to find anybody by.
    """
    order = SORTS[finder.sort]
    rows: QuerySet[Contact] = Contact.objects.of(workspace)
    if key := SORT_KEYS.get(order):
        rows = rows.annotate(**{order: key})

    def read(ordered: QuerySet[Contact], count: int) -> list[Contact]:
        if not finder.is_on:
            return list(ordered[:count])
        looked_up = partial(_fits, workspace=workspace, finder=finder, looked_up=True)
        return finding.read(ordered, count, looked_up=looked_up, found=find(workspace, finder))

    return page_of(rows, order=order, cursor=cursor, read=read)


def give_tags(contacts: Iterable[Contact]) -> None:
    """Put each contact's tags on it as `tags`, by name; one query, none where nobody has any."""
    held = {pk for each in contacts for pk in each.tag_ids}
    tags = list(Tag.objects.filter(pk__in=held).order_by(Lower("name"))) if held else []
    for each in contacts:
        each.tags = [tag for tag in tags if tag.pk in each.tag_ids]  # type: ignore[attr-defined]


def contact_at(workspace: Workspace, email: str) -> Contact | None:
    """Whose address it is, whatever its case; by one_contact_per_address."""
    rows = Contact.objects.of(workspace).alias(email_key=Lower("email"))
    return rows.filter(email_key=Lower(Value(email))).first()


def stayed(workspace: Workspace, former_id: int) -> int | None:
    """The contact that another one, gone since, was merged into."""
    rows = FormerContact.objects.filter(workspace=workspace, former_id=former_id)
    found: int | None = rows.values_list("contact_id", flat=True).first()
    return found


def suppression_of(contact: Contact) -> Suppression | None:
    rows = Suppression.objects.of(contact.workspace)
    return rows.filter(email=Lower(Value(contact.email))).first()


def memberships(contact: Contact) -> list[Subscription]:
    """Every list the contact is or was on, by name."""
    rows = Subscription.objects.filter(contact=contact).select_related("list")
    return list(rows.order_by(Lower("list__name")))


def _fits(
    rows: QuerySet[Contact], workspace: Workspace, finder: Finder, *, looked_up: bool
) -> QuerySet[Contact]:
    """Those of the rows that fit. looked_up: each is looked at by itself, else the planner may turn it round."""
    for word in finder.search.split()[:WORDS_LIMIT]:
        rows = rows.filter(
            Q(email__icontains=word) | Q(first_name__icontains=word) | Q(last_name__icontains=word)
        )
    if finder.tag:
        rows = rows.filter(HAS_TAGS, tag_ids__contains=[finder.tag.pk])  # contact_tags_idx
    held = _looked_up if looked_up else Exists
    if finder.imported and finder.imported.which == UPDATED:
        rows = rows.filter(held(changed(finder.imported.run)))
    elif finder.imported:
        rows = rows.filter(listed(finder.imported, looked_up=looked_up))
    if finder.status == SUPPRESSED:
        rows = rows.filter(held(_suppressed()))
    if finder.in_list or finder.status in SubscriptionStatus.values:
        rows = rows.filter(held(_subscribed(workspace, finder, by_contact=looked_up)))
    return rows


def _looked_up(rows: QuerySet[Any]) -> IsNull:
    """EXISTS may be planned as reading everybody's rows first."""
    return IsNull(Subquery(rows.annotate(one=Value(1)).values("one")[:1]), False)  # noqa: FBT003  (its only way)


def _subscribed(workspace: Workspace, finder: Finder, *, by_contact: bool) -> QuerySet[Subscription]:
    rows = Subscription.objects.filter(workspace=workspace, contact=OuterRef("pk"))
    if finder.in_list:
        # `+ 0` forbids the list's index: the planner takes a new list for an empty one, and would read all of it
        # for each contact.
        pk = F("list_id") + 0 if by_contact else F("list_id")
        rows = rows.alias(list_pk=pk).filter(list_pk=finder.in_list.pk)
    if finder.status in SubscriptionStatus.values:
        rows = rows.filter(status=finder.status)
    return rows


def _suppressed() -> QuerySet[Suppression]:
    rows = Suppression.objects.annotate(outer=Lower(OuterRef("email")))
    return rows.filter(workspace=OuterRef("workspace"), email=F("outer"))
