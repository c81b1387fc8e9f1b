"""Taking somebody who is erased out of what bulk actions keep to be undone."""

from typing import Any, Final

from django.db import connection

# What tells of a person: a field's earlier value, and the earlier consent of who came back to a list.
# Cost: a read of the workspace's chunks of the last days, some hundreds for a million people: half a second; some 30 ms
# more for each chunk that holds one of them. PostgreSQL hashes the ids only where they are of the elements' own type.
FORGET: Final = """
UPDATE contacts_bulkchunk b SET earlier = b.earlier
    || CASE WHEN b.earlier ? 'values' THEN jsonb_build_object('values', (
           SELECT COALESCE(jsonb_agg(e), '[]') FROM jsonb_array_elements(b.earlier -> 'values') AS e
            WHERE (e -> 0)::bigint <> ALL (%(ids)s::bigint[]))) ELSE '{}' END
    || CASE WHEN jsonb_typeof(b.earlier -> 'held') = 'array' THEN jsonb_build_object('held', (
           SELECT COALESCE(jsonb_agg(e), '[]') FROM jsonb_array_elements(b.earlier -> 'held') AS e
            WHERE (e -> 'contact_id')::bigint <> ALL (%(ids)s::bigint[]))) ELSE '{}' END
  FROM contacts_bulkrun r
 WHERE r.id = b.run_id AND r.workspace_id = %(workspace)s AND r.action IN ('set_field', 'add_to_list')
   AND EXISTS (SELECT FROM unnest(b.contact_ids) AS c(id) WHERE c.id = ANY (%(ids)s::bigint[]))
"""

# Another contact's earlier value may name them, as whoever recommended us: there is none then.
FORGET_VALUES: Final = """
UPDATE contacts_bulkchunk b SET earlier = b.earlier || jsonb_build_object('values', (
       SELECT jsonb_agg(CASE WHEN lower(e ->> 1) = ANY (%(emails)s) THEN jsonb_build_array(e -> 0, NULL) ELSE e END)
         FROM jsonb_array_elements(b.earlier -> 'values') AS e))
  FROM contacts_bulkrun r
 WHERE r.id = b.run_id AND r.workspace_id = %(workspace)s AND r.action = 'set_field'
   AND EXISTS (SELECT FROM jsonb_array_elements(b.earlier -> 'values') AS e WHERE lower(e ->> 1) = ANY (%(emails)s))
"""


def forget(workspace_id: int, contact_ids: list[int], emails: list[str]) -> None:
    """emails: in lower case; none: it is the contacts alone that go."""
    values: dict[str, Any] = {"workspace": workspace_id, "ids": contact_ids, "emails": emails}
    with connection.cursor() as cursor:
        cursor.execute(FORGET, values)
        if emails:
            cursor.execute(FORGET_VALUES, values)
