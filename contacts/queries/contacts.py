"""How contacts are read: found by search, list and status; one contact's lists, suppression and timeline."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.db.models import (
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Value,
    prefetch_related_objects,
)
from django.db.models.functions import Lower
from django.db.models.lookups import IsNull

from accounts.models import Workspace
from accounts.pages import Page, page_of
from contacts import registry
from contacts.models import NAME_KEY, Contact, List, Subscription, SubscriptionStatus, Suppression
from contacts.queries import finding
from contacts.registry import TimelineEntry

# Each has its index: contact_newest_idx, one_contact_per_address, contact_name_idx.
SORTS: Final = {"newest": "-id", "oldest": "id", "email": "email_key", "name": "name_key"}
SORT_KEYS: Final[dict[str, Any]] = {"email_key": Lower("email"), "name_key": NAME_KEY}
SUPPRESSED: Final = "suppressed"  # beside the statuses of a subscription
WORDS_LIMIT: Final = 6  # of a search; more would only make it slow
TIMELINE_LENGTH: Final = 60


@dataclass(frozen=True)
class Finder:
    """What is looked for. search: words, each a part of the address or a name. sort: a key of SORTS."""

    search: str = ""
    in_list: List | None = None
    status: str = ""
    sort: str = "newest"

    @property
    def is_on(self) -> bool:
        return bool(self.search or self.in_list or self.status)


def find(workspace: Workspace, finder: Finder) -> QuerySet[Contact]:
    """The contacts that fit. Words of three letters and more are found by contact_search_idx."""
    return _fits(Contact.objects.of(workspace), workspace, finder, looked_up=False)


def page(workspace: Workspace, finder: Finder, *, cursor: str = "") -> Page[Contact]:
    """A page of who fits, with their lists: in all but a few queries. `in_list`: only that list is with them.

    Raises: TakesTooLong: too few letters to find anybody by.
    """
    subscriptions = Subscription.objects.select_related("list").order_by("list__name")
    if finder.in_list:
        subscriptions = subscriptions.filter(list=finder.in_list)
    order = SORTS[finder.sort]
    rows: QuerySet[Contact] = Contact.objects.of(workspace)
    if key := SORT_KEYS.get(order):
        rows = rows.annotate(**{order: key})

    def read(ordered: QuerySet[Contact], count: int) -> list[Contact]:
        if not finder.is_on:
            return list(ordered[:count])
        looked_up = partial(_fits, workspace=workspace, finder=finder, looked_up=True)
        return finding.read(ordered, count, looked_up=looked_up, found=find(workspace, finder))

    found = page_of(rows, order=order, cursor=cursor, read=read)
    prefetch_related_objects(found.rows, Prefetch("subscriptions", subscriptions))
    return found


def contact_at(workspace: Workspace, email: str) -> Contact | None:
    """Whose address it is, whatever its case; by one_contact_per_address."""
    rows = Contact.objects.of(workspace).alias(email_key=Lower("email"))
    return rows.filter(email_key=Lower(Value(email))).first()


def suppression_of(contact: Contact) -> Suppression | None:
    rows = Suppression.objects.of(contact.workspace)
    return rows.filter(email=Lower(Value(contact.email))).first()


def memberships(contact: Contact) -> list[Subscription]:
    """Every list the contact is or was on, by name."""
    rows = Subscription.objects.filter(contact=contact).select_related("list")
    return list(rows.order_by(Lower("list__name")))


def timeline(
    contact: Contact, held: list[Subscription], suppression: Suppression | None
) -> list[TimelineEntry]:
    """What happened to the contact, newest first: what this room knows, and what those above have hung in."""
    entries = [TimelineEntry(contact.created_at, "user-plus", "Added to the contacts")]
    entries += [_joined(each) for each in held if each.consent_at]
    entries += [_left(each) for each in held if each.unsubscribed_at]
    if suppression:
        reason, note = suppression.get_reason_display(), suppression.note
        entries.append(TimelineEntry(suppression.created_at, "ban", "Suppressed", note, "red", reason))
    entries += [entry for ask in registry.timeline for entry in ask(contact)]
    return sorted(entries, key=lambda entry: entry.at, reverse=True)[:TIMELINE_LENGTH]


def _joined(held: Subscription) -> TimelineEntry:
    assert held.consent_at
    if held.status == SubscriptionStatus.PENDING:
        title = f"Signed up for “{held.list}”, not confirmed yet"
        return TimelineEntry(held.consent_at, "user-question", title, held.consent_source, "azure")
    return TimelineEntry(
        held.consent_at, "user-check", f"Agreed to get “{held.list}”", held.consent_source, "green"
    )


def _left(held: Subscription) -> TimelineEntry:
    assert held.unsubscribed_at
    title, detail = f"Unsubscribed from “{held.list}”", held.unsubscribe_source
    return TimelineEntry(held.unsubscribed_at, "user-minus", title, detail, "yellow")


def _fits(
    rows: QuerySet[Contact], workspace: Workspace, finder: Finder, *, looked_up: bool
) -> QuerySet[Contact]:
    """Those of the rows that fit. looked_up: each is looked at by itself, else the planner may turn it round."""
    for word in finder.search.split()[:WORDS_LIMIT]:
        rows = rows.filter(
            Q(email__icontains=word) | Q(first_name__icontains=word) | Q(last_name__icontains=word)
        )
    held = _looked_up if looked_up else Exists
    if finder.status == SUPPRESSED:
        rows = rows.filter(held(_suppressed()))
    if finder.in_list or finder.status in SubscriptionStatus.values:
        rows = rows.filter(held(_subscribed(workspace, finder, by_contact=looked_up)))
    return rows


def _looked_up(rows: QuerySet[Any]) -> IsNull:
    """EXISTS may be planned as reading everybody's rows first."""
    return IsNull(Subquery(rows.values("pk")[:1]), False)  # noqa: FBT003  (its only way)


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
