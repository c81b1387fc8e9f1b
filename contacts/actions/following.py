"""What follows when a field's options or a tag are called otherwise, or a field goes: rules, and what undoing keeps."""

from collections.abc import Mapping
from typing import Any, Final

from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from contacts.models import CustomField, Segment

# What people were before the imports of the last days. Cost: a scan of it.
IN_IMPORTS: Final = "b.run_id IN (SELECT id FROM contacts_import WHERE workspace_id = %(workspace)s)"
FORGET_BEFORE: Final = f"""
UPDATE contacts_importbefore b SET attributes = b.attributes - %(key)s WHERE {IN_IMPORTS} AND b.attributes ? %(key)s
"""  # noqa: S608
RENAME_BEFORE: Final = f"""
UPDATE contacts_importbefore b SET attributes = CASE WHEN changed.new IS NULL THEN b.attributes - %(key)s
       ELSE jsonb_set(b.attributes, ARRAY[%(key)s], to_jsonb(changed.new)) END
  FROM unnest(%(old)s::text[], %(new)s::text[]) AS changed(old, new)
 WHERE {IN_IMPORTS} AND b.attributes @> jsonb_build_object(%(key)s::text, changed.old)
"""  # noqa: S608
# Bulk actions that set the field: the values before them, and the one that is set. One that is removed is told by
# the run when its turn comes.
SET_IT: Final = (
    "r.workspace_id = %(workspace)s AND r.action = 'set_field' AND r.parameters ->> 'field' = %(field)s"
)
RENAME_EARLIER: Final = f"""
UPDATE contacts_bulkchunk b SET earlier = jsonb_build_object('values', (
       SELECT COALESCE(jsonb_agg(CASE WHEN changed.old IS NULL THEN e
                                 ELSE jsonb_build_array(e -> 0, to_jsonb(changed.new)) END), '[]')
         FROM jsonb_array_elements(b.earlier -> 'values') AS e
         LEFT JOIN unnest(%(old)s::text[], %(new)s::text[]) AS changed(old, new) ON e -> 1 = to_jsonb(changed.old)))
  FROM contacts_bulkrun r WHERE r.id = b.run_id AND {SET_IT} AND b.earlier ? 'values'
"""  # noqa: S608
RENAME_SET: Final = f"""
UPDATE contacts_bulkrun r SET parameters = jsonb_set(r.parameters, '{{value}}', to_jsonb(changed.new))
  FROM unnest(%(old)s::text[], %(new)s::text[]) AS changed(old, new)
 WHERE {SET_IT} AND r.parameters -> 'value' = to_jsonb(changed.old) AND changed.new IS NOT NULL
"""  # noqa: S608


def forget_values(field: CustomField) -> None:
    """Let no undoing bring back values of a field that goes; bulk actions ask for the field themselves."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET_BEFORE, {"workspace": field.workspace_id, "key": field.key})


def rename_options(field: CustomField, renamed: Mapping[str, str | None]) -> None:
    """Let undoing and queued bulk actions give a choice's options as they are called now. None: removed."""
    values: dict[str, Any] = {
        "workspace": field.workspace_id,
        "key": field.key,
        "field": str(field.pk),
        "old": list(renamed),
        "new": list(renamed.values()),
    }
    with connection.cursor() as cursor:
        for statement in (RENAME_BEFORE, RENAME_EARLIER, RENAME_SET):
            cursor.execute(statement, values)


def rename_in_segments(workspace: Workspace, subject: str, names: Mapping[Any, Any]) -> None:
    """Let rules about the subject ask for its values as they are called now."""
    for segment in Segment.objects.of(workspace).select_for_update():
        rules = _renamed(segment.rules, subject, names)
        if rules != segment.rules:
            Segment.objects.filter(pk=segment.pk).update(rules=rules, updated_at=timezone.now())


def _renamed(rules: Any, subject: str, names: Mapping[Any, Any]) -> Any:
    """The rules, groups in groups, with the subject's values called anew."""
    if isinstance(rules, list):
        return [_renamed(each, subject, names) for each in rules]
    if not isinstance(rules, dict):
        return rules
    if rules.get("subject") != subject:
        return {key: _renamed(held, subject, names) for key, held in rules.items()}
    value = rules.get("value")
    if isinstance(value, list):
        new = [_one(each, names) for each in value]
        return {**rules, "value": [each for at, each in enumerate(new) if each not in new[:at]]}
    return {**rules, "value": _one(value, names)}


def _one(value: Any, names: Mapping[Any, Any]) -> Any:
    return names.get(value, value) if type(value) in (str, int) else value
