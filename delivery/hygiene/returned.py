"""The list of what came back badly: every bounce, block and complaint with its words; and taking bounces back."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection, transaction

from accounts.models import User, Workspace, record
from contacts.actions.suppression import BEFORE
from contacts.collisions import again_when_ended
from contacts.models import Contact
from contacts.registry import WayOn
from delivery.hygiene import soft
from delivery.models import Event, EventKind, Mailing, SendingAccount

KINDS: Final = (EventKind.BOUNCED, EventKind.SOFT_BOUNCED, EventKind.BLOCKED, EventKind.COMPLAINED)
PAGE_SIZE: Final = 50
READ_AT_ONCE: Final = 2_000  # rows of an export

# The kinds are written out, so that event_came_back_idx is used: newest first without a sort, those rows alone.
FROM: Final = """
  FROM delivery_event e
  JOIN delivery_mailing m ON m.id = e.mailing_id
  LEFT JOIN delivery_delivery d ON d.mailing_id = e.mailing_id AND d.number = e.number
 WHERE e.workspace_id = %(workspace)s AND e.kind IN ('bounced', 'soft_bounced', 'blocked', 'complained')
"""
ROWS: Final = """
SELECT e.key, e.at, e.kind, e.code, e.said, e.undone_at, coalesce(d.email, ''),
       (SELECT c.id FROM contacts_contact c WHERE c.id = e.contact_id), e.mailing_id, m.name
{found} ORDER BY e.key DESC LIMIT %(limit)s
"""
COUNT: Final = "SELECT e.kind, count(*), count(e.undone_at) {found} GROUP BY e.kind"
UNDO: Final = """
UPDATE delivery_event SET undone_at = now()
 WHERE workspace_id = %(workspace)s AND undone_at IS NULL AND key IN (SELECT e.key {found} AND e.kind <> 'complained')
RETURNING kind, mailing_id, number, contact_id
"""
# Of these messages' addresses, those that no other bounce speaks of. What stood there by hand before stands again.
LIFTABLE: Final = """
CREATE TEMPORARY TABLE liftable ON COMMIT DROP AS
SELECT s.id, s.note FROM contacts_suppression s
 WHERE s.workspace_id = %(workspace)s AND s.reason = 'hard_bounce' AND s.mailing_id IS NOT NULL
   AND s.email IN (SELECT lower(d.email) FROM unnest(%(mailings)s::bigint[], %(numbers)s::int[]) AS u(mailing_id, number)
                     JOIN delivery_delivery d ON d.mailing_id = u.mailing_id AND d.number = u.number)
   AND NOT EXISTS (
       SELECT FROM contacts_contact c JOIN delivery_event o ON o.contact_id = c.id
         JOIN delivery_delivery d ON d.mailing_id = o.mailing_id AND d.number = o.number
        WHERE c.workspace_id = s.workspace_id AND lower(c.email) = s.email AND lower(d.email) = s.email
          AND o.kind = 'bounced' AND o.undone_at IS NULL)
"""
AS_BEFORE: Final = """
UPDATE contacts_suppression s
   SET reason = 'manual', mailing_id = NULL, note = substr(s.note, strpos(s.note, %(before)s) + length(%(before)s))
  FROM liftable l WHERE l.id = s.id AND strpos(l.note, %(before)s) > 0
"""
LIFT: Final = """
DELETE FROM contacts_suppression s USING liftable l WHERE l.id = s.id AND strpos(l.note, %(before)s) = 0
"""


@dataclass(frozen=True)
class Wanted:
    """Which of them. until: not itself. search: part of an address. key: one alone."""

    kind: str = ""
    mailing: Mailing | None = None
    contact: Contact | None = None
    account: SendingAccount | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str = ""
    key: uuid.UUID | None = None

    @property
    def words(self) -> str:
        """For the trail and for whoever is asked to confirm."""
        parts = [
            str(EventKind(self.kind).label).lower() if self.kind else "everything that bounced or was blocked"
        ]
        parts += [f"of “{self.mailing}”"] if self.mailing else []
        parts += [f"to {self.contact}"] if self.contact else []
        parts += [f"by the account “{self.account}”"] if self.account else []
        parts += [f"from {self.since:%-d %b %Y, %H:%M}"] if self.since else []
        parts += [f"until {self.until:%-d %b %Y, %H:%M}"] if self.until else []
        parts += [f"with “{self.search}” in the address"] if self.search else []
        return " ".join(parts)


class Returned(NamedTuple):
    key: uuid.UUID
    at: datetime
    kind: str
    code: str
    said: str
    undone_at: datetime | None
    email: str
    contact_id: int | None
    mailing_id: int
    mailing: str

    @property
    def label(self) -> str:
        return str(EventKind(self.kind).label)

    @property
    def is_undoable(self) -> bool:
        return self.undone_at is None and self.kind != EventKind.COMPLAINED

    @property
    def words(self) -> str:
        """The server's, with its code, which they may begin with."""
        return self.said if self.code in self.said else f"{self.code} {self.said}".strip()


class Page(NamedTuple):
    """rows: newest first. after: the key to go on from, None at the end."""

    rows: list[Returned]
    after: uuid.UUID | None


def page(workspace: Workspace, wanted: Wanted, *, after: uuid.UUID | None = None) -> Page:
    rows = _read(workspace, wanted, after, PAGE_SIZE + 1)
    return Page(rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].key if len(rows) > PAGE_SIZE else None)


def every(workspace: Workspace, wanted: Wanted) -> Iterator[Returned]:
    """All of them, a block at a time."""
    after = None
    while rows := _read(workspace, wanted, after, READ_AT_ONCE):
        yield from rows
        after = rows[-1].key


def counts(workspace: Workspace, wanted: Wanted) -> dict[str, tuple[int, int]]:
    """{kind: (how many, of them undone)}. Cost: all that are found, by an index."""
    clauses, values = _clauses(workspace, wanted)
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(found=FROM + clauses), values)
        return {kind: (count, undone) for kind, count, undone in cursor.fetchall()}


class Undone(NamedTuple):
    events: int
    lifted: int


@again_when_ended
@transaction.atomic(durable=True)
def undo(workspace: Workspace, wanted: Wanted, *, by: User) -> Undone:
    """Take bounces and blocks back, and lift the suppressions that came of them and of nothing else; a complaint stays.

    Of soft bounces it is judged anew whether enough are left.
    """
    clauses, values = _clauses(workspace, wanted)
    with connection.cursor() as cursor:
        cursor.execute(UNDO.format(found=FROM + clauses), values)
        undone = cursor.fetchall()
        if not undone:
            return Undone(0, 0)
        hard = [(mailing_id, number) for kind, mailing_id, number, _ in undone if kind == EventKind.BOUNCED]
        lifted = _lift(cursor, workspace, hard)
    tired = {contact_id for kind, _, _, contact_id in undone if contact_id and kind != EventKind.BOUNCED}
    lifted += soft.judge(sorted(tired)) if tired else 0
    record(by, "bounces.undone", f"{len(undone):,}: {wanted.words}"[:200], workspace=workspace)
    return Undone(len(undone), lifted)


def _lift(cursor: Any, workspace: Workspace, messages: list[tuple[int, int]]) -> int:
    if not messages:
        return 0
    mailings, numbers = zip(*messages, strict=True)
    values: dict[str, Any] = {"workspace": workspace.pk, "before": BEFORE}
    cursor.execute(LIFTABLE, values | {"mailings": list(mailings), "numbers": list(numbers)})
    cursor.execute(AS_BEFORE, values)
    cursor.execute(LIFT, values)
    lifted: int = cursor.rowcount
    cursor.execute("DROP TABLE liftable")
    return lifted


def links(contact: Contact) -> list[WayOn]:
    """The way to a contact's bounces, where there are any; by event_contact_idx."""
    from django.urls import reverse

    if not Event.objects.filter(contact=contact, kind__in=KINDS).exists():
        return []
    return [WayOn("Bounces", "mail-x", f"{reverse('bounces')}?contact={contact.pk}", is_quiet=True)]


def _read(workspace: Workspace, wanted: Wanted, after: uuid.UUID | None, limit: int) -> list[Returned]:
    clauses, values = _clauses(workspace, wanted)
    if after:
        clauses += " AND e.key < %(after)s"
    with connection.cursor() as cursor:
        cursor.execute(ROWS.format(found=FROM + clauses), values | {"after": after, "limit": limit})
        return [Returned(*row) for row in cursor.fetchall()]


def _clauses(workspace: Workspace, wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """A key begins with the event's time, so a window of time is a range of the index."""
    found = {
        "kind": ("e.kind = %(kind)s", wanted.kind),
        "mailing": ("e.mailing_id = %(mailing)s", wanted.mailing and wanted.mailing.pk),
        "contact": ("e.contact_id = %(contact)s", wanted.contact and wanted.contact.pk),
        "account": ("m.account_id = %(account)s", wanted.account and wanted.account.pk),
        "since": ("e.key >= %(since)s", wanted.since and _first_key(wanted.since)),
        "until": ("e.key < %(until)s", wanted.until and _first_key(wanted.until)),
        "search": ("strpos(lower(d.email), %(search)s) > 0", wanted.search.lower()),
        "key": ("e.key = %(key)s", wanted.key),
    }
    asked = {name: each for name, each in found.items() if each[1]}
    clauses = "".join(f" AND {clause}" for clause, _ in asked.values())
    return clauses, {"workspace": workspace.pk} | {name: value for name, (_, value) in asked.items()}


def _first_key(at: datetime) -> uuid.UUID:
    """The least that an event of that time can have: see delivery.feedback.facts.key_of."""
    return uuid.UUID(bytes=max(0, int(at.timestamp() * 1000)).to_bytes(6, "big") + bytes(10))
