"""Load a batch: its open recipients with what personalization needs, in one query.

Consent and suppression are asked again here, so that whoever left after planning gets nothing.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection

from contacts.queries.suppression import has_hashes, has_suppressions
from delivery.models import Mailing
from delivery.pipeline.lease import Lease
from delivery.pipeline.mold import Recipient

# Of a row d of the ledger: something came back of its message, so that it was sent, whoever did not say so.
CAME_BACK = "(d.feedback <> '' OR d.opened_at IS NOT NULL OR d.clicked_at IS NOT NULL)"
# Each row by indexes alone: the ledger's and the contacts' primary keys, suppressions by address (whoever is suppressed
# for a list of the mailing's is as if they had left it), subscriptions by contact.
# Aggregates and LIMIT keep it so: an EXISTS may be planned as a hash of everybody's subscriptions. A suppression is
# sought as the first from an address on for the reason that TOUCHED in delivery.hygiene.soft has.
OPEN = """
SELECT d.number, d.email, coalesce(c.first_name, ''), coalesce(c.last_name, ''), {attributes},
       d.attempt_count, d.deferred_since, d.code = 'in doubt',
       {came_back},
       CASE
         WHEN d.email = '' THEN 'erased'
         WHEN (SELECT s.workspace_id = %(workspace)s AND s.email = lower(d.email) FROM contacts_suppression s
                WHERE (s.workspace_id, s.email) >= (%(workspace)s, lower(d.email))
                ORDER BY s.workspace_id, s.email LIMIT 1) THEN 'suppressed'
         WHEN {hashed} THEN 'suppressed'
         WHEN %(is_test)s THEN ''
         WHEN c.id IS NULL THEN 'erased'
         WHEN %(confirms)s THEN CASE WHEN held.lists <> '{{}}' THEN 'suppressed' WHEN consent.unconfirmed THEN ''
                                WHEN consent.to_these THEN 'confirmed' ELSE 'unsubscribed' END
         WHEN consent.anywhere IS NOT true OR (consent.left_these AND NOT consent.to_these)
         THEN CASE WHEN held.lists <> '{{}}' THEN 'suppressed' ELSE 'unsubscribed' END
         WHEN c.paused_until > now() THEN 'paused'
         WHEN c.frequency <> '' AND {written} THEN 'too_often'
         ELSE ''
       END
  FROM delivery_delivery d
  LEFT JOIN contacts_contact c
    ON c.id = coalesce(d.contact_id, %(sample)s) AND c.workspace_id = %(workspace)s
 CROSS JOIN LATERAL ({held}) held
 CROSS JOIN LATERAL (
       SELECT bool_or(s.status = 'subscribed' AND s.list_id <> ALL(held.lists)) AS anywhere,
              bool_or(s.status = 'subscribed' AND s.list_id = ANY(%(lists)s) AND s.list_id <> ALL(held.lists)) AS to_these,
              bool_or(s.status = 'pending' AND s.list_id = ANY(%(lists)s)) AS unconfirmed,
              bool_or(s.list_id = ANY(held.lists)
                      OR (s.status = 'unsubscribed' AND s.list_id = ANY(%(lists)s))) AS left_these
         FROM contacts_subscription s WHERE s.contact_id = c.id) consent
 WHERE d.mailing_id = %(mailing)s AND d.number BETWEEN %(first)s AND %(last)s
   AND (d.state = 'pending' OR (d.state = 'deferred' AND d.due_at <= now()))
 ORDER BY d.number
"""
# Both asked where there are such marks at all, which few workspaces have: a load takes a quarter longer with them.
HELD = """
       SELECT coalesce(array_agg(x.list_id), '{}') AS lists FROM contacts_listsuppression x
        WHERE x.list_id = ANY(%(lists)s) AND x.email = lower(d.email)"""
NONE_HELD = "SELECT '{}'::bigint[] AS lists"
HASHED = """(SELECT true FROM contacts_suppressedhash h
                WHERE h.workspace_id = %(workspace)s AND h.digest = sha256(convert_to(lower(d.email), 'UTF8')) LIMIT 1)"""
# Whether somebody who wants less got a campaign of late, or is about to by one that was launched before. Asked of them
# alone, by one_delivery_per_contact. A week less a day, since a weekly newsletter leaves at no fixed minute.
WRITTEN = """(SELECT true FROM delivery_delivery o JOIN delivery_mailing m ON m.id = o.mailing_id
                WHERE o.contact_id = c.id AND o.mailing_id <> %(mailing)s AND m.confirms_id IS NULL AND NOT m.is_test
                  AND (o.state IN ('accepted', 'in_doubt') AND o.settled_at > now() -
                       CASE c.frequency WHEN 'weekly' THEN interval '6 days' ELSE interval '27 days' END
                    OR o.state IN ('pending', 'deferred') AND m.state = 'sending' AND m.id < %(mailing)s) LIMIT 1)"""


class Tried(NamedTuple):
    """What was tried before: how often, put off since when, and whether the last try ended in doubt."""

    times: int = 0
    since: datetime | None = None
    in_doubt: bool = False


@dataclass(frozen=True)
class Loaded:
    """recipients in sending order; tried: {number: what was tried}, of those that were; skipped: {number: reason}.

    reached: numbers of those of whom something came back already.
    """

    recipients: list[Recipient]
    tried: dict[int, Tried]
    skipped: dict[int, str]
    reached: set[int]


NEVER = Tried()
_parsed = json.JSONDecoder().raw_decode


def load(mailing: Mailing, lease: Lease, *, attributes: Sequence[str] | None = None) -> Loaded:
    """attributes: which of the contacts' own fields the content reads; None: all."""
    names = {f"name{at}": name for at, name in enumerate(attributes or ())}
    values: dict[str, Any] = {
        "workspace": mailing.workspace_id,
        "is_test": mailing.is_test,
        "confirms": mailing.confirms_id is not None,
        "lists": mailing.list_ids,
        "sample": mailing.sample_contact_id,
        "mailing": mailing.pk,
        "first": lease.first,
        "last": lease.last,
        **names,
    }
    recipients, tried, skipped, reached = [], {}, {}, set()
    with connection.cursor() as cursor:
        hashed = HASHED if has_hashes(mailing.workspace_id) else "false"
        held = HELD if has_suppressions(mailing.list_ids) else NONE_HELD
        selected = _selected(attributes, names)
        asked = OPEN.format(
            attributes=selected, came_back=CAME_BACK, hashed=hashed, held=held, written=WRITTEN
        )
        cursor.execute(asked, values)
        for row in cursor.fetchall():
            number, email, first_name, last_name, own, count, since, in_doubt, is_reached, skip = row
            if count:
                tried[number] = Tried(count, since, in_doubt)
            if is_reached:
                reached.add(number)
            elif skip:
                skipped[number] = skip
            else:
                if own is not None:
                    own = _parsed(own)[0]
                    own = own if attributes is None else dict(zip(attributes, own, strict=True))
                recipients.append(Recipient(number, email, first_name, last_name, own))
    return Loaded(recipients, tried, skipped, reached)


def _selected(attributes: Sequence[str] | None, names: Iterable[str]) -> str:
    if attributes is None:
        return "c.attributes"
    picked = ", ".join(f"c.attributes -> %({name})s" for name in names)
    return f"jsonb_build_array({picked})" if picked else "NULL"
