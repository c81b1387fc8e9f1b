"""How the suppression list is read."""

from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import Contact, Suppression


def search(workspace: Workspace, words: str = "", *, reason: str = "") -> QuerySet[Suppression]:
    """Suppressed addresses by any part of them (suppression_search_idx) and reason."""
    rows: QuerySet[Suppression] = Suppression.objects.of(workspace)
    if words:
        rows = rows.filter(email__icontains=words)
    return rows.filter(reason=reason) if reason else rows


def give_contacts(workspace: Workspace, suppressions: Iterable[Suppression]) -> None:
    """Put on each the id of the contact whose address it is, as `contact_id`, or None; one query."""
    emails = [each.email for each in suppressions]
    rows = Contact.objects.of(workspace).annotate(email_key=Lower("email")).filter(email_key__in=emails)
    held = dict(rows.values_list("email_key", "pk"))  # by one_contact_per_address
    for each in suppressions:
        each.contact_id = held.get(each.email)  # type: ignore[attr-defined]
