"""Whether this database is where it was: a restored copy must not send by itself what the first one sends, too.

Asked by the clock and by workers as they start. Nothing of the machine is asked: a restart, a flushed Redis, a
second host or a container without a kept folder change nothing. A dump that is restored, beside the first database
or in its place, and a PostgreSQL of a new major version do. A copied disk is the same database to PostgreSQL, and
is not noticed.
"""

import logging

from django.db import ProgrammingError, connection, transaction

from accounts.models import Installation
from delivery import mailings, registry
from delivery.models import Mailing, MailingState

# The cluster, the database in it, and the ledger's table: each restore makes the table anew.
ORIGIN = """
SELECT system_identifier || '/' || database.oid || '/' || 'delivery_delivery'::regclass::oid::text
  FROM pg_control_system(), pg_database database WHERE database.datname = current_database()
"""
COPIED = (
    "This database was restored or moved, so nothing goes on by itself: another Volley may be sending it, or may "
    "have sent to people who are still waiting here."
)
ROW = 1
log = logging.getLogger(__name__)


def hold_copy() -> bool:
    """Stop what is in the air, for a person to go on with, where the database is not where it was. True: it was not."""
    origin = _origin()
    if not origin:
        return False
    known, _ = Installation.objects.get_or_create(pk=ROW, defaults={"origin": origin})
    if known.origin == origin:
        return False
    with transaction.atomic():
        moved = Installation.objects.filter(pk=ROW, origin=known.origin).update(origin=origin)
        if not moved:
            return False  # another was faster
        for mailing in Mailing.objects.filter(state=MailingState.SENDING).order_by("pk"):
            mailings.pause_if_sending(mailing.pk, f"{COPIED} Resume it if that is not so.")
        for tell in registry.on_copy:
            tell(COPIED)
    log.warning("origin.changed before=%s now=%s", known.origin, origin)
    return True


def _origin() -> str:
    """ "" where PostgreSQL does not say."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(ORIGIN)
            return str(cursor.fetchone()[0])
    except ProgrammingError as error:  # a hosted one may forbid the question
        log.warning("origin.unknown error=%s", error)
        return ""
