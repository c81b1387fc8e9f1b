"""Plan: freeze an audience into the ledger, number the recipients, and cut them into batches.

A gradual start is planned here, too: some batches are ready, the rest is held back. Nobody who sends asks for it.
"""

from typing import NamedTuple

from django.db import connection
from django.db.models import QuerySet

from accounts.models import Workspace
from contacts.models import Contact
from delivery.models import BatchState, Mailing, SendingAccount
from delivery.providers import INBOX, PROVIDERS

BATCH_MAX = 1000  # recipients; half a second of sending on a fast way out
BATCH_MIN = 50
BATCHES_WANTED = 16  # of a small mailing, so that several workers share it
# Places from which a gradual start takes its first ones: numbers go by the contacts' age, and it is the newest or the
# oldest part of a list that is bad.
FIRST_PLACES = 10
ANALYZE_FROM = 5_000  # rows; below, the planner's guesses do no harm

# One statement over the whole audience, 5–8 s a million: two index entries a row and no foreign key checks.
FREEZE = """
INSERT INTO delivery_delivery
       (mailing_id, number, contact_id, email, state, attempt_count, code, server_said, provider_id)
SELECT %s, row_number() OVER (ORDER BY id), id, email, 'pending', 0, '', '', ''
  FROM ({audience}) AS audience(id, email)
"""
FREEZE_ADDRESSES = """
INSERT INTO delivery_delivery
       (mailing_id, number, contact_id, email, state, attempt_count, code, server_said, provider_id)
SELECT %s, number, NULL, email, 'pending', 0, '', '', ''
  FROM unnest(%s::text[]) WITH ORDINALITY AS audience(email, number)
"""
# Who is taken is stamped in the same statement, so that of two that run at once each has people of its own. Who is
# suppressed is stamped, too, and not written to: else every tick would meet them again.
FREEZE_UNASKED = """
WITH unasked AS (
    SELECT id, contact_id FROM contacts_subscription
     WHERE list_id = %(list)s AND status = 'pending' AND confirmation_asked_at IS NULL
     ORDER BY id LIMIT %(most)s FOR UPDATE SKIP LOCKED),
people AS (
    SELECT u.id, c.id AS contact_id, c.email FROM unasked u JOIN contacts_contact c ON c.id = u.contact_id
     WHERE (SELECT true FROM contacts_suppression s
             WHERE s.workspace_id = c.workspace_id AND s.email = lower(c.email) LIMIT 1) IS NULL
       AND (SELECT true FROM contacts_listsuppression s
             WHERE s.list_id = %(list)s AND s.email = lower(c.email) LIMIT 1) IS NULL),
stamped AS (
    UPDATE contacts_subscription s
       SET confirmation_asked_at = now(), confirmation_count = s.confirmation_count + (p.id IS NOT NULL)::int
      FROM unasked u LEFT JOIN people p ON p.id = u.id WHERE s.id = u.id)
INSERT INTO delivery_delivery
       (mailing_id, number, contact_id, email, state, attempt_count, code, server_said, provider_id)
SELECT %(mailing)s, row_number() OVER (ORDER BY contact_id), contact_id, email, 'pending', 0, '', '', '' FROM people
"""
CUT = """
INSERT INTO delivery_batch (mailing_id, key, first_number, last_number, state, due_at, worker)
SELECT %(mailing)s, gen_random_uuid(), start, least(start + %(size)s - 1, span.last), span.state, now(), ''
  FROM unnest(%(first)s::int[], %(last)s::int[], %(state)s::text[]) AS span(first, last, state)
 CROSS JOIN LATERAL generate_series(span.first, span.last, %(size)s) AS start
"""


class Span(NamedTuple):
    """Numbers first to last, both included, that are cut into batches of one state."""

    first: int
    last: int
    state: str


def freeze(mailing: Mailing, recipients: QuerySet[Contact], *, gradually: bool = False) -> int:
    """Write the audience into the ledger, each contact once, by id. Returns how many.

    gradually: whether it starts so where it is large enough.
    """
    audience, parameters = recipients.order_by().values_list("pk", "email").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(FREEZE.format(audience=audience), [mailing.pk, *parameters])
        total = cursor.rowcount
    first = first_of(mailing.workspace, mailing.account, total) if gradually else 0
    return _cut(mailing, total, first=first)


def first_of(workspace: Workspace, account: SendingAccount | None, total: int) -> int:
    """How many a gradual start of so many goes to first; 0: to all at once, as nothing comes back of the local inbox."""
    is_large = 0 < workspace.gradual_from <= total and total > workspace.gradual_count
    comes_back = account is not None and account.provider != INBOX.name
    return workspace.gradual_count if is_large and comes_back else 0


def freeze_unasked(mailing: Mailing, *, most: int) -> int:
    """Write who is unconfirmed on the mailing's list and has not been asked, and note that they are. Returns how many."""
    with connection.cursor() as cursor:
        values = {"list": mailing.confirms_id, "mailing": mailing.pk, "most": most}
        cursor.execute(FREEZE_UNASKED, values)
        return _cut(mailing, cursor.rowcount)


def freeze_addresses(mailing: Mailing, addresses: list[str]) -> int:
    """Write addresses that need be no contacts into the ledger: a test send."""
    with connection.cursor() as cursor:
        cursor.execute(FREEZE_ADDRESSES, [mailing.pk, addresses])
        return _cut(mailing, cursor.rowcount)


def _cut(mailing: Mailing, total: int, *, first: int = 0) -> int:
    size = _batch_size(total, most=PROVIDERS[mailing.account.provider].most)
    columns = zip(*_spans(total, first), strict=True)
    values = dict(zip(Span._fields, map(list, columns), strict=True))
    with connection.cursor() as cursor:
        cursor.execute(CUT, {"mailing": mailing.pk, "size": size, **values})
        if total >= ANALYZE_FROM:
            cursor.execute("ANALYZE delivery_delivery")  # else the first claims plan on an empty table
    mailing.total_count, mailing.batch_size, mailing.first_count = total, size, first
    mailing.save(update_fields=["total_count", "batch_size", "first_count"])
    return total


def _spans(total: int, first: int) -> list[Span]:
    """The whole; or the first ones, taken from FIRST_PLACES places of it, and what is between them."""
    if not first:
        return [Span(1, total, BatchState.READY.value)]
    spans = []
    for place in range(FIRST_PLACES):
        start, end = (total * each // FIRST_PLACES for each in (place, place + 1))
        count = first * (place + 1) // FIRST_PLACES - first * place // FIRST_PLACES
        spans += [Span(start + 1, start + count, BatchState.READY.value)]
        spans += [Span(start + count + 1, end, BatchState.HELD.value)]
    return spans


def _batch_size(total: int, *, most: int) -> int:
    """Full calls to the account's ESP. most: recipients of one; all of them divide BATCH_MAX."""
    size = min(BATCH_MAX, max(BATCH_MIN, total // BATCHES_WANTED))
    return max(most, size - size % most)
