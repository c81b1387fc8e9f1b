"""What people choose for themselves: how often, not for a while, in which language, at which address."""

import datetime

from django.db import transaction
from django.utils import timezone

from accounts.models import record
from contacts.actions.contacts import move
from contacts.actions.merging import merge
from contacts.models import Contact, Frequency
from contacts.queries.contacts import contact_at


@transaction.atomic
def prefer(
    contact: Contact, *, frequency: str, paused_until: datetime.datetime | None, language: str
) -> bool:
    """Save how the person wants to be written to; campaigns ask it when they are sent. False: it was so before."""
    wanted = {"frequency": Frequency(frequency).value, "paused_until": paused_until, "language": language}
    rows = Contact.objects.select_for_update().filter(pk=contact.pk)
    if rows.filter(**wanted).exists() or not rows.update(**wanted, updated_at=timezone.now()):
        return False
    record(None, "contact.preferred", contact)
    return True


def move_or_merge(contact: Contact, email: str) -> None:
    """Let the person have the address, which they have proved to be theirs.

    Where another contact has it, both are that person and become one, with the consent of both.
    Raises: AddressTaken, CannotMerge: somebody was faster; again, it goes well.
    """
    other = contact_at(contact.workspace, email)
    if other is None or other.pk == contact.pk:
        move(contact, email)
        return
    merge(other, contact, taken=set(), by=None)
