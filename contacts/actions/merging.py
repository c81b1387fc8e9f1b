"""Making one contact of two that are the same person. Consent is never made up by it."""

import datetime
from typing import Any, Final

from django.db import connection, models, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, record
from contacts import registry
from contacts.actions.suppression import suppress
from contacts.collisions import again_when_ended
from contacts.models import (
    NAMES,
    Contact,
    FormerContact,
    Subscription,
    SubscriptionStatus,
    SuppressionReason,
)
from contacts.queries import erasure
from contacts.queries.contacts import suppression_of

# Snapshots hold who it was, as the contact that stays.
MOVE_MEMBER: Final = """
WITH held AS (DELETE FROM contacts_segmentmember WHERE contact_id = %(gone)s RETURNING segment_id)
INSERT INTO contacts_segmentmember (segment_id, contact_id) SELECT segment_id, %(kept)s FROM held
ON CONFLICT DO NOTHING
"""
# The person's own wish, whichever of their addresses it came from; a bounce is the address's alone.
WISHES: Final = (SuppressionReason.UNSUBSCRIBED, SuppressionReason.COMPLAINT)


class CannotMerge(Refusal):
    code = "cannot_merge"
    status = 409


@again_when_ended
@transaction.atomic(durable=True)
def merge(kept: Contact, gone: Contact, *, taken: set[str], by: User | None) -> None:
    """Give the kept contact all that the other one has, and delete that one.

    taken: what is taken from the other one: of "email", "first_name", "last_name" and "attribute_KEY"; what the kept
    one lacks is taken in any case. by: None where the person themselves has shown that both are them.
    Raises: CannotMerge: it is the same contact, another workspace's, or one of them is gone.
    """
    kept, gone = _locked(kept, gone)
    _merge_lists(kept, gone)
    with connection.cursor() as cursor:
        cursor.execute(MOVE_MEMBER, {"kept": kept.pk, "gone": gone.pk})
    wish = _wish(kept, gone)
    for give in registry.merge:
        give(kept, gone)
    FormerContact.objects.filter(contact=gone).update(contact=kept)
    _drop(gone)
    values = merged_values(kept, gone, taken)
    formerly = gone.email if values["email"] == kept.email else kept.email
    FormerContact.objects.create(workspace=kept.workspace, contact=kept, former_id=gone.pk, email=formerly)
    Contact.objects.filter(pk=kept.pk).update(**values, updated_at=timezone.now())
    if wish:
        suppress(
            kept.workspace,
            email=values["email"],
            reason=wish,
            note=f"As {formerly} was, merged into it",
            by=by,
        )
    record(by, "contact.merged", values["email"], workspace=kept.workspace)


def merged_values(kept: Contact, gone: Contact, taken: set[str]) -> dict[str, Any]:
    """The columns of the contact that stays."""
    values: dict[str, Any] = {
        name: (getattr(gone, name) if name in taken else "") or getattr(kept, name) or getattr(gone, name)
        for name in NAMES
    }
    theirs = {key: value for key, value in gone.attributes.items() if f"attribute_{key}" in taken}
    values["attributes"] = {**gone.attributes, **kept.attributes, **theirs}
    values["tag_ids"] = sorted({*kept.tag_ids, *gone.tag_ids})
    values["language"] = kept.language or gone.language
    values["frequency"] = kept.frequency or gone.frequency
    values["paused_until"] = max(filter(None, (kept.paused_until, gone.paused_until)), default=None)
    values["created_at"] = min(kept.created_at, gone.created_at)
    return values


def winner(kept: Subscription, gone: Subscription) -> Subscription:
    """Which of two subscriptions to one list holds: consent is kept, never made up.

    Whoever left by themselves stays away, by the last time they did; then the earliest consent given; then being taken
    off by hand; an unconfirmed one counts least.
    """
    return max(kept, gone, key=_weight)


def _weight(held: Subscription) -> tuple[int, float]:
    if held.left_by_themselves:
        return 3, _seconds(held.unsubscribed_at)
    match held.status:
        case SubscriptionStatus.SUBSCRIBED:
            return 2, -_seconds(held.consent_at)
        case SubscriptionStatus.UNSUBSCRIBED:
            return 1, _seconds(held.unsubscribed_at)
    return 0, _seconds(held.created_at)


def _seconds(at: datetime.datetime | None) -> float:
    return at.timestamp() if at else 0.0


def _locked(kept: Contact, gone: Contact) -> tuple[Contact, Contact]:
    """Both as they stand, locked in the order of their ids, so that two merges at once wait for each other."""
    if kept.pk == gone.pk:
        raise CannotMerge("This is the same contact. Choose another one.")
    if kept.workspace_id != gone.workspace_id:
        raise CannotMerge("There is no such contact.", status=404)
    erasure.hold(kept.workspace)
    rows = Contact.objects.select_for_update(of=("self",)).select_related("workspace").order_by("pk")
    found = {each.pk: each for each in rows.filter(pk__in=(kept.pk, gone.pk))}
    if len(found) < 2:
        raise CannotMerge("One of the two was merged or deleted meanwhile.")
    return found[kept.pk], found[gone.pk]


def _merge_lists(kept: Contact, gone: Contact) -> None:
    rows = Subscription.objects.select_for_update().filter(contact__in=(kept, gone)).order_by("pk")
    held: dict[int, dict[int, Subscription]] = {}
    for each in rows:
        held.setdefault(each.list_id, {})[each.contact_id] = each
    for pair in held.values():
        mine, theirs = pair.get(kept.pk), pair.get(gone.pk)
        if mine is None and theirs:
            Subscription.objects.filter(pk=theirs.pk).update(contact=kept)
        elif mine and theirs and winner(mine, theirs) is theirs:
            mine.delete()
            Subscription.objects.filter(pk=theirs.pk).update(contact=kept)


def _wish(kept: Contact, gone: Contact) -> str:
    """The reason for which the person wants nothing, where one of their addresses says so; "" where none does."""
    held = (suppression_of(kept), suppression_of(gone))
    return next((each.reason for each in held if each and each.reason in WISHES), "")


def _drop(gone: Contact) -> None:
    """Delete the row and what still hangs on it; rows without a foreign key check keep its id, for FormerContact."""
    for relation in Contact._meta.related_objects:
        field = relation.field
        if not getattr(field, "db_constraint", True):
            continue
        rows = relation.related_model._base_manager.filter(**{field.name: gone})
        if relation.on_delete is models.CASCADE:
            rows.delete()
        else:
            rows.update(**{field.name: None})
    rows = Contact.objects.filter(pk=gone.pk)
    rows._raw_delete(rows.db)
