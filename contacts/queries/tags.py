"""How tags are read: by name, and how many contacts have each."""

from collections.abc import Iterable
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet
from django.db.models.functions import Lower

from accounts.models import Workspace
from contacts.models import Tag

SUGGESTED: Final = 20
# One look in contact_tags_idx for each tag; its cost grows with the people who have these tags. `+ 0` forbids the
# workspace's index, which the planner takes for the better one where it knows nothing of a workspace.
COUNTS: Final = """
SELECT t.id, (SELECT count(*) FROM contacts_contact c
               WHERE c.tag_ids @> ARRAY[t.id] AND NOT (c.tag_ids = '{}') AND c.workspace_id + 0 = %(workspace)s)
  FROM unnest(%(tags)s::int[]) AS t(id)
"""


def search(workspace: Workspace, words: str = "") -> QuerySet[Tag]:
    """The tags by part of their name; `name_key` sorts them whatever the case (one_tag_per_name)."""
    rows: QuerySet[Tag] = Tag.objects.of(workspace)
    if words:
        rows = rows.filter(name__icontains=words)
    return rows.annotate(name_key=Lower("name"))


def suggested(workspace: Workspace, words: str, *, besides: Iterable[int] = ()) -> list[Tag]:
    """The first tags with these letters in them."""
    return list(search(workspace, words).exclude(pk__in=list(besides)).order_by(Lower("name"))[:SUGGESTED])


def counts(workspace: Workspace, tags: Iterable[Tag]) -> dict[int, int]:
    """{tag id: how many contacts have it}."""
    values: dict[str, Any] = {"workspace": workspace.pk, "tags": [each.pk for each in tags]}
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, values)
        return dict(cursor.fetchall())


def named(workspace: Workspace, name: str) -> Tag | None:
    """The tag of that name, whatever its case."""
    found: Tag | None = Tag.objects.of(workspace).filter(name__iexact=name).first()
    return found
