"""How the suppression list is read."""

from django.db.models import QuerySet

from accounts.models import Workspace
from contacts.models import Suppression


def search(workspace: Workspace, words: str = "", *, reason: str = "") -> QuerySet[Suppression]:
    """Suppressed addresses by any part of them (suppression_search_idx) and reason."""
    rows: QuerySet[Suppression] = Suppression.objects.of(workspace)
    if words:
        rows = rows.filter(email__icontains=words)
    return rows.filter(reason=reason) if reason else rows
