"""How exports are read."""

from django.db.models import QuerySet

from accounts.models import Workspace
from contacts.models import Export


def recent(workspace: Workspace, search: str = "") -> QuerySet[Export]:
    """The workspace's exports, by part of what they are of; ordered by the page (`export_newest_idx`)."""
    return Export.objects.of(workspace).filter(name__icontains=search).select_related("created_by")
