"""How custom fields are read: all of them, and what hangs on one."""

from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast

from accounts.models import Workspace
from contacts.models import Contact, CustomField, Segment


def fields(workspace: Workspace) -> QuerySet[CustomField]:
    """The workspace's fields by label; some dozens."""
    rows: QuerySet[CustomField] = CustomField.objects.of(workspace).order_by("label", "pk")
    return rows


def value_count(field: CustomField) -> int:
    """How many contacts have a value. Cost: a scan of the workspace's contacts."""
    return int(Contact.objects.of(field.workspace).filter(attributes__has_key=field.key).count())


def segments_with(field: CustomField) -> list[Segment]:
    """The segments whose rules speak of the field."""
    rows = Segment.objects.of(field.workspace).annotate(text=Cast("rules", TextField()))
    return list(rows.filter(text__contains=f'"attribute:{field.key}"'))
