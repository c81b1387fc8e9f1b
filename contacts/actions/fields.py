"""Making, changing, ordering and deleting custom fields; a choice's options, and the values that follow them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.db.models import Max
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.actions import following
from contacts.collisions import again_when_ended
from contacts.importing.columns import key_of
from contacts.models import CustomField

# Cost: a scan of the workspace's contacts; writes those that hold a value.
FORGET: Final = """
UPDATE contacts_contact SET attributes = attributes - %(key)s, updated_at = %(at)s
WHERE workspace_id = %(workspace)s AND attributes ? %(key)s
"""
# All renamed and removed options at once, so that two may swap their names. Found by contact_attributes_idx.
RENAME: Final = """
UPDATE contacts_contact c SET updated_at = %(at)s, attributes = CASE
       WHEN changed.new IS NULL THEN c.attributes - %(key)s
       ELSE jsonb_set(c.attributes, ARRAY[%(key)s], to_jsonb(changed.new)) END
  FROM unnest(%(old)s::text[], %(new)s::text[]) AS changed(old, new)
 WHERE c.workspace_id = %(workspace)s
   AND c.attributes @> jsonb_build_object(%(key)s::text, changed.old)
"""


@dataclass(frozen=True)
class Settings:
    """What a person sets of a field. limits: as in `CustomField`. default: as it is typed."""

    label: str
    description: str = ""
    default: str = ""
    limits: dict[str, Any] = field(default_factory=dict)
    options: list[str] = field(default_factory=list)


class LabelTaken(Refusal):
    code = "label_taken"
    status = 409


def create(workspace: Workspace, *, type: str, settings: Settings, by: User) -> CustomField:  # noqa: A002  (its name on the screen)
    """Make a field, the last one; its key in merge tags follows from the label and stays.

    Raises: LabelTaken: another field took the key in the same moment.
    """
    try:
        with transaction.atomic(durable=True):
            held = CustomField.objects.of(workspace)
            key = key_of(settings.label, set(held.values_list("key", flat=True)))
            last = held.aggregate(last=Max("position"))["last"]
            made = CustomField.objects.create(
                workspace=workspace,
                key=key,
                type=type,
                position=last + 1 if last else 0,  # all of them 0: by label, as nobody has moved one yet
                **vars(settings),
            )
            record(by, "field.created", made)
    except IntegrityError as error:
        if "one_field_per_key" not in str(error):
            raise
        raise LabelTaken(f"There is a field “{settings.label}” already. Choose another name.") from None
    return made


@again_when_ended
@transaction.atomic(durable=True)
def change(
    held: CustomField, *, settings: Settings, renamed: Mapping[str, str | None] | None = None, by: User
) -> int:
    """Save what was set; key and type stay, and so do values that no longer keep within new limits.

    renamed: {option: what it is called now, None: removed}; values and segments' rules follow.
    Returns: how many contacts' values changed.
    """
    followed = 0
    if renamed:
        followed = _follow(held, renamed)
        following.rename_options(held, renamed)
        # A removed one's rules match nobody, as they say.
        names = {old: new for old, new in renamed.items() if new is not None}
        following.rename_in_segments(held.workspace, f"attribute:{held.key}", names)
    CustomField.objects.filter(pk=held.pk).update(**vars(settings))
    if settings.label != held.label:
        record(by, "field.renamed", settings.label, workspace=held.workspace)
    else:
        record(by, "field.changed", held)
    return followed


@transaction.atomic(durable=True)
def move(held: CustomField, *, up: bool, by: User) -> None:
    """Let the field change places with the one before or after it; at an end it stays."""
    rows = list(CustomField.objects.of(held.workspace).select_for_update())
    at = next((at for at, each in enumerate(rows) if each.pk == held.pk), None)
    other = at - 1 if up and at is not None else (at or 0) + 1
    if at is None or not 0 <= other < len(rows):
        return
    rows[at], rows[other] = rows[other], rows[at]
    for position, each in enumerate(rows, 1):
        each.position = position
    CustomField.objects.bulk_update(rows, ["position"])
    record(by, "field.moved", held)


@again_when_ended
@transaction.atomic(durable=True)
def delete(field: CustomField, *, by: User) -> int:
    """Delete the field and every contact's value of it. Returns: how many contacts had one."""
    named: dict[str, Any] = {"key": field.key, "workspace": field.workspace_id, "at": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute(FORGET, named)
        forgotten = cursor.rowcount
    following.forget_values(field)
    record(by, "field.deleted", field)
    CustomField.objects.filter(pk=field.pk).delete()
    return forgotten


def _follow(held: CustomField, renamed: Mapping[str, str | None]) -> int:
    values: dict[str, Any] = {
        "key": held.key,
        "workspace": held.workspace_id,
        "at": timezone.now(),
        "old": list(renamed),
        "new": list(renamed.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(RENAME, values)
        return cursor.rowcount
