"""What happened to a contact, newest first, page by page: what this room knows, and what those above have hung in."""

import datetime
from typing import Final, NamedTuple

from django.db.models import QuerySet
from django.db.models.functions import Lower
from django.utils.dateparse import parse_datetime

from accounts.models import AuditEntry
from contacts import registry
from contacts.models import Contact, FormerContact, Subscription, SubscriptionStatus, Suppression
from contacts.registry import TimelineEntry

LENGTH: Final = 50  # entries of a page
KINDS: Final = {"message": "Messages", "consent": "Lists and consent", "change": "Changes"}
# What the trail knows and nothing else shows; its words are the trail's own.
CHANGES: Final = {
    "contact.changed": ("pencil", "Changed"),
    "contact.merged": ("arrow-merge", "Merged with another contact"),
    "contact.moved": ("mail-forward", "Changed their address by the link in a mail"),
    "contact.preferred": ("adjustments", "Changed how often, or in which language, they are written to"),
    "contact.tagged": ("tag", "Tags changed"),
    "contact.exported": ("file-export", "Everything held was exported"),
    "suppression.removed": ("circle-check", "Suppression lifted"),
}


class Page(NamedTuple):
    """entries: newest first. older: the cursor of those before, "" where there are none."""

    entries: list[TimelineEntry]
    older: str


def page(
    contact: Contact,
    held: list[Subscription],
    suppression: Suppression | None,
    *,
    kind: str = "",
    cursor: str = "",
) -> Page:
    """A page of the timeline. kind: a key of KINDS, or "" for all. cursor: from `Page.older`, else the newest.

    Cost: a query a source, each of LENGTH rows and some by an index of the contact's own.
    """
    before = _parsed(cursor)
    asked = LENGTH + 1
    entries = [
        *_consent(held),
        *_suppressed(suppression),
        *_added(contact),
        *_changes(contact, before, asked),
    ]
    entries = [entry for entry in entries if before is None or entry.at < before]
    for ask in registry.timeline:
        entries += ask(contact, before, asked)
    entries = [entry for entry in entries if kind in ("", entry.kind)]
    entries.sort(key=lambda entry: entry.at, reverse=True)
    return _cut(entries)


def _cut(entries: list[TimelineEntry]) -> Page:
    """The first LENGTH, but no moment torn apart: what happened at the same time as the next one waits for it."""
    if len(entries) <= LENGTH:
        return Page(entries, "")
    shown = [entry for entry in entries[:LENGTH] if entry.at > entries[LENGTH].at]
    shown = shown or [entry for entry in entries if entry.at == entries[0].at]
    return Page(shown, shown[-1].at.isoformat() if len(shown) < len(entries) else "")


def _parsed(cursor: str) -> datetime.datetime | None:
    try:
        at = parse_datetime(cursor)
    except ValueError:
        return None
    return at if at and at.tzinfo else None


def _added(contact: Contact) -> list[TimelineEntry]:
    return [TimelineEntry(contact.created_at, "user-plus", "Added to the contacts", kind="change")]


def _suppressed(suppression: Suppression | None) -> list[TimelineEntry]:
    if suppression is None:
        return []
    reason, note = suppression.get_reason_display(), suppression.note
    return [TimelineEntry(suppression.created_at, "ban", "Suppressed", note, "red", reason, kind="consent")]


def _consent(held: list[Subscription]) -> list[TimelineEntry]:
    joined = [_joined(each, each.consent_at) for each in held if each.consent_at]
    return joined + [_left(each, each.unsubscribed_at) for each in held if each.unsubscribed_at]


def _joined(held: Subscription, at: datetime.datetime) -> TimelineEntry:
    if held.status == SubscriptionStatus.PENDING:
        title = f"Signed up for “{held.list}”, not confirmed yet"
        return TimelineEntry(at, "user-question", title, held.consent_source, "azure", kind="consent")
    title = f"Agreed to get “{held.list}”"
    return TimelineEntry(at, "user-check", title, held.consent_source, "green", kind="consent")


def _left(held: Subscription, at: datetime.datetime) -> TimelineEntry:
    title = f"Unsubscribed from “{held.list}”"
    return TimelineEntry(at, "user-minus", title, held.unsubscribe_source, "yellow", kind="consent")


def _changes(contact: Contact, before: datetime.datetime | None, count: int) -> list[TimelineEntry]:
    rows = trail_of(contact).filter(verb__in=CHANGES)
    if before:
        rows = rows.filter(at__lt=before)
    return [_change(entry) for entry in rows.order_by("-at")[:count]]


def trail_of(contact: Contact) -> QuerySet[AuditEntry]:
    """The audit trail's lines on the contact, by its addresses of now and before; by audit_subject_idx."""
    emails = FormerContact.objects.filter(contact=contact).values_list("email", flat=True)
    named = {contact.email.lower(), *(email.lower() for email in emails)}
    rows = AuditEntry.objects.filter(workspace=contact.workspace).select_related("user")
    return rows.alias(named=Lower("subject")).filter(named__in=named)


def _change(entry: AuditEntry) -> TimelineEntry:
    icon, title = CHANGES[entry.verb]
    title = f"{title} {entry.detail}".strip()
    return TimelineEntry(entry.at, icon, title, f"By {entry.user}" if entry.user else "", kind="change")
