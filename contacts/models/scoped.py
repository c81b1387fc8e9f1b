"""Where every query of a workspace's own things begins."""

from django.db import models

from accounts.models import Workspace


class ScopedQuerySet(models.QuerySet):
    def of(self, workspace: Workspace) -> "ScopedQuerySet":
        """Only what belongs to the workspace: the start of every query in a view."""
        return self.filter(workspace=workspace)
