"""Which contacts an import brought: a filter of the contacts' list, and of exports and bulk actions over it.

Whom it made is known for good, by the import's own time. Whom it changed or found as they were is known only as long
as it can be undone.
"""

from dataclasses import dataclass
from typing import Final

from django.db.models import OuterRef, Q, QuerySet
from django.db.models.expressions import RawSQL

from accounts.ids import id_in
from accounts.models import Workspace
from contacts.models import Import, ImportBefore

NEW: Final = "new"
UPDATED: Final = "updated"
MANY: Final = (
    20_000  # rows of a file; to fetch so many contacts by their ids takes as long as to read a million
)
LISTED: Final = {
    "": "SELECT unnest(created_ids || found_ids) FROM contacts_importslice WHERE run_id = %s",
    NEW: "SELECT unnest(created_ids) FROM contacts_importslice WHERE run_id = %s",
}


@dataclass(frozen=True)
class Imported:
    """Whom an import brought. which: NEW, UPDATED, or "": all whom the file named."""

    run: Import
    which: str = ""

    @property
    def key(self) -> str:
        """As in an address: 7, 7-new, 7-updated."""
        return f"{self.run.pk}-{self.which}" if self.which else f"{self.run.pk}"

    @property
    def words(self) -> str:
        before = {NEW: "new from", UPDATED: "updated from"}.get(self.which, "in")
        return f"{before} “{self.run.file_name}”"

    @property
    def label(self) -> str:
        return self.words[0].upper() + self.words[1:]


def kinds(run: Import) -> list[Imported]:
    """The filters that can still be told for it."""
    return [Imported(run, which) for which in (("", NEW, UPDATED) if run.can_be_undone else (NEW,))]


def imported(workspace: Workspace, key: str) -> Imported | None:
    """What the key means; None: there is no such import, or it is not known any more."""
    number = id_in(key.partition("-")[0])
    run = Import.objects.of(workspace).filter(pk=number).first() if number else None
    return next((each for each in kinds(run) if each.key == key), None) if run else None


def made(run: Import) -> Q:
    """The contacts that it made: their time of making is its own, to the microsecond."""
    return Q(created_at=run.started_at)


def listed(what: Imported, *, looked_up: bool) -> Q:
    """All or the new ones. looked_up: each contact is looked at by itself, as it is where they are many.

    Then the OR has the ids hashed once; without it they are few, and the contacts are fetched by them.
    """
    one_by_one = looked_up or what.run.row_count > MANY
    if not what.run.can_be_undone or (one_by_one and what.which == NEW):
        return made(what.run)
    ids = Q(pk__in=RawSQL(LISTED[what.which], [what.run.pk]))  # noqa: S611  (a constant)
    return made(what.run) | ids if one_by_one else ids


def changed(run: Import) -> QuerySet[ImportBefore]:
    """Of the contact that an outer query is at: what it was before the import; by the primary key."""
    return ImportBefore.objects.filter(run=run, contact_id=OuterRef("pk"))
