"""What a slice of the staged people means to the contacts: told by the check, written by the run, by one statement."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import connection

from contacts.importing import stage
from contacts.models import ImportMode, SubscriptionStatus

# FOUND looks each person up, `outcome` says what becomes of them; the check counts it and the merge writes it.
# While a table grows faster than its statistics, the planner takes a new workspace or list for an empty one and would
# read all of it for each person. So every look-up is one row by a LATERAL with a LIMIT, in an order that the right index
# alone gives (= would need no order, so it is >= and <=), while sorting is off; `list_id + 0` forbids an index.
# Ordered by address, so that two imports of the same people lock them in one order.
# Cost: for each person one look by one_contact_per_address, one for the suppression, one for the lists.
FOUND: Final = """
    SELECT s.*, {tags} AS tag_ids, c.id, c.xmin AS old_version, c.first_name AS old_first_name,
           c.last_name AS old_last_name, c.attributes AS old_attributes, c.tag_ids AS old_tag_ids,
           c.updated_at AS old_updated_at, COALESCE(x.suppressed, false) AS suppressed,
           COALESCE(u.on_lists, 0) AS on_lists, COALESCE(u.has_left, false) AS has_left
      FROM (SELECT * FROM {stage} WHERE position >= %(first)s AND position < %(beyond)s ORDER BY key) s
      LEFT JOIN LATERAL (
        SELECT c.xmin, c.* FROM contacts_contact c
         WHERE c.workspace_id = %(workspace)s AND lower(c.email) >= s.key AND lower(c.email) <= s.key
         ORDER BY lower(c.email) LIMIT 1
      ) c ON true
      LEFT JOIN LATERAL (
        SELECT true AS suppressed FROM contacts_suppression x
         WHERE x.workspace_id = %(workspace)s AND x.email >= s.key AND x.email <= s.key ORDER BY x.email LIMIT 1
      ) x ON true
      LEFT JOIN LATERAL (
        SELECT count(*) AS on_lists, bool_or(status = 'unsubscribed') AS has_left FROM contacts_subscription u
         WHERE u.contact_id = c.id AND u.list_id + 0 = ANY(%(lists)s)
      ) u ON true
"""
TAGS: Final = "%(fixed_tags)s::int[] || ARRAY(SELECT (%(tags)s::int[])[place] FROM unnest(s.tags) AS place)"
# The new names and attributes of somebody who is here already, and whether those attributes are others: in what is
# filled, a cell is, for values hold nothing within them. Tags are only ever added.
NEW: Final = {
    ImportMode.FILL: (
        "COALESCE(NULLIF(f.first_name, ''), f.old_first_name)",
        "COALESCE(NULLIF(f.last_name, ''), f.old_last_name)",
        "f.old_attributes || f.attributes",
        "NOT f.old_attributes @> f.attributes",
    ),
    ImportMode.ADD: ("f.old_first_name", "f.old_last_name", "f.old_attributes", "false"),
    ImportMode.OVERWRITE: (
        "CASE WHEN %(first_name)s THEN f.first_name ELSE f.old_first_name END",
        "CASE WHEN %(last_name)s THEN f.last_name ELSE f.old_last_name END",
        "(f.old_attributes - %(keys)s::text[]) || f.attributes",
        "(f.old_attributes - %(keys)s::text[]) || f.attributes <> f.old_attributes",
    ),
}
ADDED: Final = """ARRAY(
    SELECT DISTINCT t FROM unnest(f.tag_ids) AS t WHERE f.id IS NULL OR t <> ALL(f.old_tag_ids) ORDER BY t)"""
OUTCOME: Final = """
outcome AS MATERIALIZED (
    SELECT n.*, n.id IS NOT NULL AND (n.attributes_change OR n.new_first_name <> n.old_first_name
           OR n.new_last_name <> n.old_last_name OR n.added_tag_ids <> '{{}}') AS changed
      FROM (
        SELECT f.*, {number} AS contact_id, {first_name} AS new_first_name, {last_name} AS new_last_name,
               {change} AS attributes_change, {added} AS added_tag_ids FROM ({found}) f OFFSET 0
      ) n
)"""
COUNTS: Final = """
    count(*) FILTER (WHERE id IS NULL), count(*) FILTER (WHERE changed),
    count(*) FILTER (WHERE id IS NOT NULL AND NOT changed),
    count(*) FILTER (WHERE %(list_count)s > 0 AND NOT %(is_leaving)s AND (suppressed OR has_left)),
    COALESCE(sum(%(list_count)s - on_lists) FILTER (WHERE %(is_leaving)s OR NOT suppressed), 0),
    count(*) FILTER (WHERE suppressed)
"""
COUNT: Final = "WITH {outcome} SELECT {counts} FROM outcome"
# The update asks for the version that was read, so that nothing is lost that somebody writes in the same moment: the
# count tells.
MERGE: Final = """
WITH {outcome}, created AS (
    INSERT INTO contacts_contact
        (id, workspace_id, email, first_name, last_name, attributes, tag_ids, created_at, updated_at)
    SELECT contact_id, %(workspace)s, email, first_name, last_name, attributes, added_tag_ids, %(mark)s, %(mark)s
      FROM outcome WHERE id IS NULL
), remembered AS (
    INSERT INTO contacts_importbefore
        (run_id, contact_id, first_name, last_name, attributes, added_tag_ids, updated_at)
    SELECT %(run)s, id, old_first_name, old_last_name, old_attributes, added_tag_ids, old_updated_at
      FROM outcome WHERE changed
), updated AS (
    UPDATE contacts_contact c SET first_name = f.new_first_name, last_name = f.new_last_name,
           attributes = {attributes}, tag_ids = c.tag_ids || f.added_tag_ids, updated_at = %(mark)s
      FROM outcome f
     WHERE f.changed AND c.id = f.id AND c.xmin = f.old_version
    RETURNING 1
), subscribed AS (
    INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, consent_at,
        unsubscribed_at, unsubscribe_source, created_at)
    SELECT %(workspace)s, o.contact_id, chosen.id, %(status)s,
           CASE WHEN %(is_leaving)s THEN '' ELSE %(source)s END,
           CASE WHEN %(status)s = 'subscribed' THEN COALESCE(o.consent_at, %(mark)s) END,
           CASE WHEN %(is_leaving)s THEN %(mark)s END, CASE WHEN %(is_leaving)s THEN %(source)s ELSE '' END, %(mark)s
      FROM outcome o CROSS JOIN unnest(%(lists)s::bigint[]) AS chosen(id)
     WHERE (%(is_leaving)s OR NOT o.suppressed) AND o.on_lists < %(list_count)s
    ON CONFLICT (contact_id, list_id) DO NOTHING
    RETURNING 1
), done AS (
    INSERT INTO contacts_importslice (run_id, number, created_ids, found_ids)
    SELECT %(run)s, %(slice)s, COALESCE(array_agg(contact_id) FILTER (WHERE id IS NULL), '{{}}'),
           COALESCE(array_agg(id) FILTER (WHERE id IS NOT NULL), '{{}}')
      FROM outcome
)
SELECT {counts}, (SELECT count(*) FROM updated), (SELECT count(*) FROM subscribed) FROM outcome
"""


# A table that was empty when this was planned grows meanwhile under the other connection: no sequential scan either.
LOOK_UP: Final = """
SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL enable_sort = off;
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_memoize = off;
SET LOCAL work_mem = '32MB'
"""
# A commit that a crash loses takes its slice along, which is then merged again; the last commit of the import waits for
# the disk.
QUICK: Final = "SET LOCAL synchronous_commit = off"


class Counts(NamedTuple):
    """People: new, changed, here and as they were, not subscribed again; subscriptions made; people suppressed."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    held: int = 0
    subscribed: int = 0
    suppressed: int = 0

    def __add__(self, other: Any) -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


class ChangedMeanwhile(Exception):  # noqa: N818  (an answer, not a fault)
    """Somebody wrote to one of the people in the same moment: the slice is to be merged again."""


@dataclass(frozen=True)
class Wishes:
    """What an import is to do. status: of new subscriptions; tags: ids of `Import.findings["tags"]`.

    fixed_tags: of everybody's; keys: of attributes.
    """

    run_id: int
    workspace_id: int
    mode: str
    roles: list[str]
    status: str
    list_ids: list[int]
    fixed_tags: list[int]
    tags: list[int]

    def statement(self, template: str, *, number: str) -> str:
        mode = ImportMode(self.mode)
        first_name, last_name, attributes, change = NEW[mode]
        tagging = self.tags or self.fixed_tags
        tags = TAGS if tagging else "'{}'::int[]"
        outcome = OUTCOME.format(
            found=FOUND.format(stage=stage.table(self.run_id), tags=tags),
            number=number,
            first_name=first_name,
            last_name=last_name,
            change=change,
            added=ADDED if tagging else "'{}'::int[]",
        )
        return template.format(outcome=outcome, attributes=attributes, counts=COUNTS)

    def parameters(self, number: int) -> dict[str, Any]:
        return {
            "run": self.run_id,
            "workspace": self.workspace_id,
            "slice": number,
            "first": number * stage.SLICE_ROWS,
            "beyond": (number + 1) * stage.SLICE_ROWS,
            "lists": self.list_ids,
            "list_count": len(self.list_ids),
            "status": self.status,
            "is_leaving": self.status == SubscriptionStatus.UNSUBSCRIBED,
            "fixed_tags": self.fixed_tags,
            "tags": self.tags,
            "first_name": bool({"first_name", "name"} & {*self.roles}),
            "last_name": bool({"last_name", "name"} & {*self.roles}),
            "keys": [role.removeprefix("attribute:") for role in self.roles if role.startswith("attribute:")],
        }


def count(wishes: Wishes, number: int) -> Counts:
    """Say what merging the slice would do."""
    with connection.cursor() as cursor:
        _look_up_only(cursor)
        cursor.execute(wishes.statement(COUNT, number="NULL::bigint"), wishes.parameters(number))
        return Counts(*cursor.fetchone())


def merge(wishes: Wishes, number: int, written: dict[str, Any]) -> Counts:
    """Write the slice, with what is needed to take it back. Call it inside a transaction.

    written: source and mark, what new subscriptions say; mark is the import's own time.
    Raises: ChangedMeanwhile.
    """
    with connection.cursor() as cursor:
        _look_up_only(cursor)
        cursor.execute(QUICK)
        statement = wishes.statement(
            MERGE,
            number="COALESCE(f.id, nextval('contacts_contact_id_seq'))",
        )
        cursor.execute(statement, wishes.parameters(number) | written)
        *counts, updated, subscribed = cursor.fetchone()
        # Now, not while the commit holds the import's row that the other connection waits for.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    told = Counts(*counts)
    if updated != told.updated:
        raise ChangedMeanwhile
    return told._replace(subscribed=subscribed)


def _look_up_only(cursor: Any) -> None:
    """A slice's people are few beside the contacts: they are looked up, never joined with all of them."""
    cursor.execute(LOOK_UP)


def analyze() -> None:
    """Renew the statistics after a large merge, by which segments and audiences are planned."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE contacts_contact, contacts_subscription")
