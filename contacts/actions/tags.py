"""Tags: words that contacts are marked with."""

from collections.abc import Iterable
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import User, Workspace, record
from contacts.models import Tag

NAME_LIMIT: Final = 60  # characters
# Of two spellings of one name the first stays. Cost: one look by one_tag_per_name for each name.
MAKE: Final = """
INSERT INTO contacts_tag (workspace_id, name, created_at)
SELECT DISTINCT ON (lower(name)) %(workspace)s, name, %(at)s FROM unnest(%(names)s::text[]) AS typed(name)
 ORDER BY lower(name)
ON CONFLICT (workspace_id, lower(name)) DO NOTHING
"""

FIND: Final = """
SELECT id FROM contacts_tag
 WHERE workspace_id = %(workspace)s AND lower(name) IN (SELECT lower(n) FROM unnest(%(names)s::text[]) AS typed(n))
"""


@transaction.atomic
def named(workspace: Workspace, names: Iterable[str], *, by: User | None) -> list[Tag]:
    """The tags of these names whatever their case, made where they are not there yet; by name."""
    wanted = [name for each in names if (name := " ".join(each.split())[:NAME_LIMIT])]
    with connection.cursor() as cursor:
        cursor.execute(MAKE, {"workspace": workspace.pk, "names": wanted, "at": timezone.now()})
        if cursor.rowcount:
            record(by, "tag.created", ", ".join(wanted)[:200], workspace=workspace)
    with connection.cursor() as cursor:
        cursor.execute(FIND, {"workspace": workspace.pk, "names": wanted})
        pks = [pk for (pk,) in cursor]
    return list(Tag.objects.filter(pk__in=pks))
