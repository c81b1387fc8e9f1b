"""How the suppression list is read: the workspace's, each list's own, and the hashes that came without addresses."""

from collections.abc import Collection, Iterable

from django.db.models import Count, QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import Contact, List, ListSuppression, SuppressedHash, Suppression

Rows = QuerySet[Suppression] | QuerySet[ListSuppression]


def search(
    workspace: Workspace, words: str = "", *, reason: str = "", in_list: List | None = None
) -> QuerySet[Suppression]:
    """Suppressed addresses by any part of them (suppression_search_idx) and reason; in_list: those of that list alone."""
    rows: QuerySet = Suppression.objects.of(workspace)
    if in_list:
        rows = ListSuppression.objects.of(workspace).filter(list=in_list)
    if words:
        rows = rows.filter(email__icontains=words)
    return rows.filter(reason=reason) if reason else rows


def give_contacts(workspace: Workspace, suppressions: Iterable[Suppression | ListSuppression]) -> None:
    """Put on each the id of the contact whose address it is, as `contact_id`, or None; one query."""
    emails = [each.email for each in suppressions]
    rows = Contact.objects.of(workspace).annotate(email_key=Lower("email")).filter(email_key__in=emails)
    held = dict(rows.values_list("email_key", "pk"))  # by one_contact_per_address
    for each in suppressions:
        each.contact_id = held.get(each.email)  # type: ignore[union-attr]


def counts(workspace: Workspace, *, in_list: List | None = None) -> dict[str, int]:
    """{reason: addresses}. Cost: a pass over the workspace's suppressions, or the list's."""
    rows = search(workspace, in_list=in_list).order_by().values_list("reason")
    return dict(rows.annotate(count=Count("pk")))


def lists_with_own(workspace: Workspace) -> QuerySet[List]:
    """Every list that can have suppressions of its own: those in use, and archived ones that have some."""
    held = ListSuppression.objects.of(workspace).values("list")
    lists: QuerySet[List] = List.objects.of(workspace)
    return lists.filter(archived_at=None) | lists.filter(pk__in=held)


def of_contact(contact: Contact) -> list[ListSuppression]:
    """The lists that are not sent to this address, by name."""
    rows = ListSuppression.objects.of(contact.workspace).filter(email=contact.email.lower())
    return list(rows.select_related("list").order_by(Lower("list__name")))


def has_suppressions(list_ids: Collection[int]) -> bool:
    """Whether any of these lists has addresses that it is not sent to."""
    return bool(list_ids) and bool(ListSuppression.objects.filter(list__in=list_ids).exists())


def has_hashes(workspace_id: int) -> bool:
    return bool(SuppressedHash.objects.filter(workspace=workspace_id).exists())


def hash_count(workspace: Workspace) -> int:
    return int(SuppressedHash.objects.of(workspace).count())
