"""How lists are read: by name, with their counts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import Contact, List, Subscription, SubscriptionStatus, SuppressionReason
from contacts.queries.limits import at_most

# What the clock has folded, and what changed since: next to nothing while a clock runs.
COUNTS: Final = """
SELECT l.id, l.subscribed_count + coalesce(c.subscribed, 0)::int, l.pending_count + coalesce(c.pending, 0)::int,
       l.unsubscribed_count + coalesce(c.unsubscribed, 0)::int
  FROM contacts_list l
  LEFT JOIN (SELECT list_id, sum(subscribed) AS subscribed, sum(pending) AS pending, sum(unsubscribed) AS unsubscribed
               FROM contacts_listchange GROUP BY list_id) AS c ON c.list_id = l.id
 WHERE l.workspace_id = %s AND l.id = ANY(%s)
"""

COUNTED: Final = 10_000  # people; beyond, a page says "10,000+"
SUPPRESSED_SECONDS: Final = 3
SUPPRESSED: Final = """
SELECT s.reason, count(*) FROM contacts_suppression s
  JOIN contacts_contact c ON c.workspace_id = s.workspace_id AND lower(c.email) = s.email
  JOIN contacts_subscription held ON held.contact_id = c.id AND held.list_id = %(list)s AND held.status <> 'unsubscribed'
 WHERE s.workspace_id = %(workspace)s GROUP BY s.reason ORDER BY count(*) DESC, s.reason
"""


@dataclass(frozen=True)
class Counts:
    """People of a list by status."""

    subscribed: int = 0
    pending: int = 0
    unsubscribed: int = 0

    @property
    def total(self) -> int:
        return self.subscribed + self.pending + self.unsubscribed


def search(workspace: Workspace, words: str = "", *, archived: bool = False) -> QuerySet[List]:
    """The lists by part of their name; `name_key` sorts them whatever the case (one_list_per_name)."""
    rows: QuerySet[List] = List.objects.of(workspace).filter(archived_at__isnull=not archived)
    if words:
        rows = rows.filter(name__icontains=words)
    return rows.annotate(name_key=Lower("name"))


def has_archived(workspace: Workspace) -> bool:
    return bool(List.objects.of(workspace).filter(archived_at__isnull=False).exists())


def counts(workspace: Workspace, lists: Iterable[List]) -> dict[int, Counts]:
    """{list id: counts} of these lists: one query, whose cost does not grow with their people."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, [workspace.pk, [each.pk for each in lists]])
        return {pk: Counts(*numbers) for pk, *numbers in cursor.fetchall()}


@dataclass(frozen=True)
class Counted:
    """count: at most COUNTED."""

    count: int
    has_more: bool


def counted(rows: QuerySet[Subscription]) -> Counted:
    """How many there are, without counting a million."""
    count = rows[: COUNTED + 1].count()
    return Counted(min(count, COUNTED), count > COUNTED)


def suppressed(held: List) -> list[tuple[str, int]]:
    """[(reason in words, people)] of the list who get nothing although they have not left it.

    Cost: two look-ups for each suppressed address of the workspace. Raises: TakesTooLong.
    """
    with at_most(SUPPRESSED_SECONDS), connection.cursor() as cursor:
        cursor.execute(SUPPRESSED, {"workspace": held.workspace_id, "list": held.pk})
        return [(str(SuppressionReason(reason).label), count) for reason, count in cursor.fetchall()]


def open_to(contact: Contact) -> QuerySet[List]:
    """The lists that the contact can be subscribed to: in use, and not on already."""
    held = Subscription.objects.filter(contact=contact, status=SubscriptionStatus.SUBSCRIBED)
    lists: QuerySet[List] = List.objects.of(contact.workspace).filter(archived_at=None)
    return lists.exclude(pk__in=held.values("list"))
