"""Making, naming and deleting custom fields."""

from typing import Any, Final

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from contacts.importing.columns import key_of
from contacts.models import CustomField

# Cost: a scan of the workspace's contacts; writes those that hold a value.
FORGET: Final = """
UPDATE contacts_contact SET attributes = attributes - %(key)s, updated_at = %(at)s
WHERE workspace_id = %(workspace)s AND attributes ? %(key)s
"""


class LabelTaken(Refusal):
    code = "label_taken"
    status = 409


def create(workspace: Workspace, *, label: str, type: str, by: User) -> CustomField:  # noqa: A002  (its name on the screen)
    """Make a field; its key in merge tags follows from the label and stays.

    Raises: LabelTaken: another field took the key in the same moment.
    """
    try:
        with transaction.atomic(durable=True):
            taken = set(CustomField.objects.of(workspace).values_list("key", flat=True))
            key = key_of(label, taken)
            made = CustomField.objects.create(workspace=workspace, key=key, label=label, type=type)
            record(by, "field.created", made)
    except IntegrityError as error:
        if "one_field_per_key" not in str(error):
            raise
        raise LabelTaken(f"There is a field “{label}” already. Choose another name.") from None
    return made


@transaction.atomic(durable=True)
def rename(field: CustomField, *, label: str, by: User) -> None:
    """Show the field under another label; key, type and values stay."""
    CustomField.objects.filter(pk=field.pk).update(label=label)
    record(by, "field.renamed", field)


@transaction.atomic(durable=True)
def delete(field: CustomField, *, by: User) -> int:
    """Delete the field and every contact's value of it. Returns: how many contacts had one."""
    named: dict[str, Any] = {"key": field.key, "workspace": field.workspace_id, "at": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute(FORGET, named)
        forgotten = cursor.rowcount
    record(by, "field.deleted", field)
    field.delete()
    return forgotten
