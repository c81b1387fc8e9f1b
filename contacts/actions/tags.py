"""Tags: words that contacts are marked with."""

import datetime
from collections.abc import Iterable
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from accounts.queue import enqueue
from contacts.actions.following import rename_in_segments
from contacts.collisions import again_when_ended
from contacts.models import Contact, Tag, TagCleanup
from contacts.queries.tags import named as tag_named

JOB: Final = "contacts.jobs.clean_tag"
NAME_LIMIT: Final = 60  # characters
MOST_TAGS: Final = 50  # of one contact, by hand; rows grow with them
CHUNK: Final = 5_000  # contacts; so many go in the request itself, the rest in a job
SILENT_SECONDS: Final = 60
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
# By contact_tags_idx (`+ 0` forbids the workspace's), locked in the order of addresses as by everybody who locks many.
REPLACE: Final = """
WITH chosen AS MATERIALIZED (
    SELECT id FROM contacts_contact
     WHERE workspace_id + 0 = %(workspace)s AND tag_ids @> ARRAY[%(old)s]::int[] AND NOT (tag_ids = '{}')
     ORDER BY id LIMIT %(count)s
), held AS MATERIALIZED (
    SELECT id FROM contacts_contact WHERE id = ANY(ARRAY(SELECT id FROM chosen)) ORDER BY lower(email) FOR NO KEY UPDATE)
UPDATE contacts_contact c SET updated_at = %(at)s, tag_ids = CASE
       WHEN %(new)s::int IS NULL OR c.tag_ids @> ARRAY[%(new)s]::int[] THEN array_remove(c.tag_ids, %(old)s)
       ELSE array_replace(c.tag_ids, %(old)s, %(new)s) END
  FROM held WHERE c.id = held.id
"""


class NameTaken(Refusal):
    """existing: the tag that has the name."""

    code = "name_taken"
    status = 409

    def __init__(self, existing: Tag) -> None:
        super().__init__(f"There is a tag “{existing}” already.")
        self.existing = existing


class TooManyTags(Refusal):
    code = "too_many_tags"


@transaction.atomic
def named(workspace: Workspace, names: Iterable[str], *, by: User | None) -> list[Tag]:
    """The tags of these names whatever their case, made where they are not there yet; by name."""
    wanted = [name for each in names if (name := cleaned(each))]
    with connection.cursor() as cursor:
        cursor.execute(MAKE, {"workspace": workspace.pk, "names": wanted, "at": timezone.now()})
        if cursor.rowcount:
            record(by, "tag.created", ", ".join(wanted)[:200], workspace=workspace)
    with connection.cursor() as cursor:
        cursor.execute(FIND, {"workspace": workspace.pk, "names": wanted})
        pks = [pk for (pk,) in cursor]
    return list(Tag.objects.filter(pk__in=pks))


def cleaned(name: str) -> str:
    """The name as it is kept: on one line, of NAME_LIMIT characters at most."""
    return " ".join(name.split())[:NAME_LIMIT].strip()


@transaction.atomic(durable=True)
def tag(contact: Contact, *, names: Iterable[str], by: User) -> None:
    """Mark the contact with the tags of these names, made where they are new.

    Raises: TooManyTags.
    """
    wanted = {tag.pk for tag in named(contact.workspace, names, by=by)}
    held = Contact.objects.select_for_update().get(pk=contact.pk)
    after = wanted.union(held.tag_ids)
    if len(after) == len(held.tag_ids):
        return
    if len(after) > MOST_TAGS:
        raise TooManyTags(f"A contact has at most {MOST_TAGS} tags. Take one off first.")
    _keep(held, sorted(after), by)


@transaction.atomic(durable=True)
def untag(contact: Contact, *, tag_id: int, by: User) -> None:
    """Take the tag off the contact, if they have it."""
    held = Contact.objects.select_for_update().get(pk=contact.pk)
    if tag_id in held.tag_ids:
        _keep(held, [pk for pk in held.tag_ids if pk != tag_id], by)


def _keep(held: Contact, tag_ids: list[int], by: User) -> None:
    Contact.objects.filter(pk=held.pk).update(tag_ids=tag_ids, updated_at=timezone.now())
    record(by, "contact.tagged", held)


def create(workspace: Workspace, *, name: str, by: User) -> Tag:
    """Make a tag that nobody has yet. Raises: NameTaken."""
    try:
        with transaction.atomic(durable=True):
            made = Tag.objects.create(workspace=workspace, name=name)
            record(by, "tag.created", made)
    except IntegrityError as error:
        raise _taken(workspace, name, error) from None
    return made


def rename(held: Tag, *, name: str, by: User) -> None:
    """Call it otherwise; whoever has it keeps it. Raises: NameTaken: merge the two instead."""
    try:
        with transaction.atomic(durable=True):
            Tag.objects.filter(pk=held.pk).update(name=name)
            record(by, "tag.renamed", f"{held} → {name}", workspace=held.workspace)
    except IntegrityError as error:
        raise _taken(held.workspace, name, error) from None


@again_when_ended
@transaction.atomic(durable=True)
def merge(held: Tag, *, into: Tag, by: User) -> None:
    """Give whoever has the one tag the other, and delete the one; segments ask for the other."""
    assert held.workspace_id == into.workspace_id
    if held.pk == into.pk:
        return
    record(by, "tag.merged", f"{held} → {into}", workspace=held.workspace)
    rename_in_segments(held.workspace, "tags", {held.pk: into.pk})
    _remove(held, into_id=into.pk)


@again_when_ended
@transaction.atomic(durable=True)
def delete(held: Tag, *, by: User) -> None:
    """Delete the tag; nobody has it from now on, and the contacts' own arrays follow, of many by a job."""
    record(by, "tag.deleted", held)
    _remove(held, into_id=None)


def _remove(held: Tag, *, into_id: int | None) -> None:
    workspace, pk = held.workspace, held.pk
    TagCleanup.objects.filter(workspace=workspace, into_id=pk).update(into_id=into_id)
    Tag.objects.filter(pk=pk).delete()
    if _replaced(workspace.pk, pk, into_id) < CHUNK:
        return
    left = TagCleanup.objects.create(workspace=workspace, tag_id=pk, into_id=into_id)
    enqueue(JOB, queue="bulk", cleanup_id=left.pk)


def clean(cleanup_id: int) -> int:
    """Carry out what a deleted or merged tag left to do, in chunks; safe to run twice. Returns: how many contacts."""
    count = 0
    while True:
        with transaction.atomic():
            left = TagCleanup.objects.select_for_update().filter(pk=cleanup_id).first()
            if left is None:
                return count
            changed = _replaced(left.workspace_id, left.tag_id, left.into_id)
            count += changed
            if changed < CHUNK:
                left.delete()
                return count
            TagCleanup.objects.filter(pk=cleanup_id).update(touched_at=timezone.now())


def requeue_silent() -> int:
    """Queue again what gave no sign of life. Returns: how many."""
    before = timezone.now() - datetime.timedelta(seconds=SILENT_SECONDS)
    silent = TagCleanup.objects.filter(touched_at__lt=before)
    count = 0
    for pk in silent.values_list("pk", flat=True):
        with transaction.atomic():
            if silent.filter(pk=pk).update(touched_at=timezone.now()):
                enqueue(JOB, queue="bulk", cleanup_id=pk)
                count += 1
    return count


def _replaced(workspace_id: int, old: int, new: int | None) -> int:
    values: dict[str, Any] = {"workspace": workspace_id, "old": old, "new": new, "count": CHUNK}
    with connection.cursor() as cursor:
        cursor.execute(REPLACE, {**values, "at": timezone.now()})
        return cursor.rowcount


def _taken(workspace: Workspace, name: str, error: IntegrityError) -> Exception:
    """The database's word that a name is taken as ours."""
    existing = tag_named(workspace, name)
    return NameTaken(existing) if "one_tag_per_name" in str(error) and existing else error
