"""What came back and names no message of ours: looked for once more, since the ledger learns a provider's id of a
message later than the provider may tell of it; and the newest are kept."""

import time
from datetime import timedelta
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Workspace
from contacts.queries.erasure import refused_addresses
from delivery.feedback.apply import apply_fit
from delivery.feedback.facts import Fact, Kind
from delivery.models import Stray

MOST: Final = 1_000  # of a workspace
EVERY_SECONDS: Final = 60.0
HOPE: Final = timedelta(hours=6)  # after which the ledger learns no ids any more
# Cost: few have an id, and each costs what its contact got, as in delivery.feedback.apply.
KNOWN: Final = """
SELECT s.id FROM delivery_stray s
 WHERE s.message_id <> '' AND s.at > %s AND EXISTS (
       SELECT FROM contacts_contact c JOIN delivery_delivery o ON o.contact_id = c.id
        WHERE c.workspace_id = s.workspace_id AND lower(c.email) = lower(s.email)
          AND btrim(o.provider_id, '<>') = s.message_id)
"""
TRIM: Final = """
DELETE FROM delivery_stray WHERE id IN (
  SELECT id FROM (SELECT id, row_number() OVER (PARTITION BY workspace_id ORDER BY key DESC) AS place
                    FROM delivery_stray) AS placed WHERE place > %s)
"""
_next = 0.0


def tend() -> None:
    """For the clock; keys begin with the time."""
    global _next
    if time.monotonic() < _next:
        return
    _next = time.monotonic() + EVERY_SECONDS
    try:
        find()
    finally:
        _forget_erased()
        with connection.cursor() as cursor:
            cursor.execute(TRIM, [MOST])


def find() -> None:
    """Apply those whose message is known by now, and forget them: also what cannot be written, which the log has then.

    Died in between, they are applied again and change nothing.
    """
    with connection.cursor() as cursor:
        cursor.execute(KNOWN, [timezone.now() - HOPE])
        ids = [pk for (pk,) in cursor.fetchall()]
    found = Stray.objects.filter(pk__in=ids)
    apply_fit([_fact(stray) for stray in found])
    found.delete()


def _forget_erased() -> None:
    """Of who was erased nothing is kept that came back later. Cost: as for `refused_addresses`, MOST a workspace."""
    for workspace in Workspace.objects.filter(pk__in=Stray.objects.values("workspace")):
        strays = Stray.objects.filter(workspace=workspace)
        with transaction.atomic():
            emails = refused_addresses(workspace, strays.values_list("email", flat=True))
            strays.filter(email__in=emails).delete()


def _fact(stray: Stray) -> Fact:
    return Fact(
        stray.workspace_id,
        Kind(stray.kind),
        stray.at,
        stray.key,
        email=stray.email,
        code=stray.code,
        said=stray.said,
        account_id=stray.account_id,
        message_id=stray.message_id,
    )
