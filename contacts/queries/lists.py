"""How lists are read: by name, with their counts."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Count, QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import Contact, List, Subscription, SubscriptionStatus


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
    """{list id: counts}: one query by subscription_list_idx; its cost grows with these lists' people."""
    rows = Subscription.objects.filter(workspace=workspace, list__in=[each.pk for each in lists])
    found: dict[int, dict[str, int]] = {}
    for pk, status, count in rows.values_list("list", "status").annotate(Count("pk")):
        found.setdefault(pk, {})[status] = count
    return {pk: Counts(**by_status) for pk, by_status in found.items()}


def open_to(contact: Contact) -> QuerySet[List]:
    """The lists that the contact can be subscribed to: in use, and not on already."""
    held = Subscription.objects.filter(contact=contact, status=SubscriptionStatus.SUBSCRIBED)
    lists: QuerySet[List] = List.objects.of(contact.workspace).filter(archived_at=None)
    return lists.exclude(pk__in=held.values("list"))
