"""How custom fields are read: all of them, and what hangs on one."""

import json
import re
from collections.abc import Iterable
from typing import Final

from django.db import connection
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from accounts.models import Workspace
from contacts.models import Contact, CustomField, Segment

COUNTS: Final = """
SELECT key, count(*) FROM contacts_contact c CROSS JOIN LATERAL jsonb_object_keys(c.attributes) AS key
 WHERE c.workspace_id = %s AND c.attributes <> '{}' GROUP BY key
"""
_SPEAKS_OF: Final = re.compile(r'"attribute:([^"]+)"')


def fields(workspace: Workspace) -> QuerySet[CustomField]:
    """The workspace's fields in the order that it gave them; some dozens."""
    rows: QuerySet[CustomField] = CustomField.objects.of(workspace)
    return rows


def value_count(field: CustomField) -> int:
    """How many contacts have a value. Cost: a scan of the workspace's contacts."""
    return int(Contact.objects.of(field.workspace).filter(attributes__has_key=field.key).count())


def value_counts(workspace: Workspace) -> dict[str, int]:
    """{key: how many contacts have a value}; keys that nobody has are missing. Cost: a scan of the contacts."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTS, [workspace.pk])
        return dict(cursor.fetchall())


def option_counts(field: CustomField, options: Iterable[str]) -> dict[str, int]:
    """{option: how many contacts have it}; each by contact_attributes_idx."""
    contacts = Contact.objects.of(field.workspace)
    return {each: contacts.filter(attributes__contains={field.key: each}).count() for each in options}


def segments_by_field(workspace: Workspace) -> dict[str, list[Segment]]:
    """{key: the segments whose rules speak of the field}."""
    found: dict[str, list[Segment]] = {}
    for segment in Segment.objects.of(workspace):
        for key in set(_SPEAKS_OF.findall(json.dumps(segment.rules, ensure_ascii=False))):
            found.setdefault(key, []).append(segment)
    return found


def segments_with(field: CustomField) -> list[Segment]:
    """The segments whose rules speak of the field."""
    rows = Segment.objects.of(field.workspace).annotate(text=Cast("rules", TextField()))
    return list(rows.filter(text__contains=f'"attribute:{field.key}"'))
