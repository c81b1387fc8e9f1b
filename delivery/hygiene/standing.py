"""What came back of a mailing, in figures, alarms and one mark: for its report, for lists of campaigns and for home."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet

from accounts.models import Workspace
from delivery.models import Delivery, DeliveryState, Event, Feedback, Mailing
from delivery.pipeline.settle import BREAKER_FROM

ARRIVED: Final = (
    "arrived"  # accepted, and nothing came back that says it did not; beside the values of Feedback
)
# What can be asked of recipients: {value: label}
CAME_BACK: Final = {
    ARRIVED: "Delivered",
    **{
        value: str(label)
        for value, label in Feedback.choices
        if value not in (Feedback.NONE, Feedback.DELIVERED)
    },
}
# Per cent; Gmail's and Yahoo's own lines: what they want it below, and from which on they put mail aside.
COMPLAINTS_WANTED: Final = 0.1
COMPLAINTS_MOST: Final = 0.3
ALARMS: Final = 5
ALARMS_FROM: Final = 5  # messages of one domain; fewer are noise
EVENTS_READ: Final = 20_000

# What each receiving domain says most where it refuses us; some numbers in its words are left out of the comparison.
# By event_mailing_idx and the ledger's key, at most EVENTS_READ rows.
BLOCKS: Final = """
WITH blocked AS (
  SELECT e.number, e.code, e.said FROM delivery_event e
   WHERE e.mailing_id = %(mailing)s AND e.kind = 'blocked' AND e.undone_at IS NULL LIMIT %(read)s)
SELECT domain, sum(count)::int, (array_agg(code ORDER BY count DESC))[1], (array_agg(said ORDER BY count DESC))[1]
  FROM (SELECT lower(split_part(d.email, '@', 2)) AS domain, b.code, min(replace(b.said, d.email, '…')) AS said,
               count(DISTINCT d.number) AS count
          FROM blocked b JOIN delivery_delivery d ON d.mailing_id = %(mailing)s AND d.number = b.number
         WHERE d.email <> ''
         GROUP BY 1, 2,
               regexp_replace(replace(b.said, d.email, '…'), '[0-9a-zA-Z._-]*[0-9][0-9a-zA-Z._-]*', '…', 'g')) AS said
 GROUP BY domain HAVING sum(count) >= %(least)s ORDER BY 2 DESC, domain LIMIT %(most)s
"""
# (what stands in code or words, each from the beginning of a word on, what to do); the first that fits.
REMEDIES: Final = (
    (
        ("5.7.26", "5.7.27", "5.7.515", "spf", "dkim", "dmarc", "authent", "unauthent"),
        "Check the domain’s SPF, DKIM and DMARC.",
    ),
    (
        ("rate", "too many", "throttl", "4.7.28", "4.7.0", "unexpected volume"),
        "Send slower: lower the account’s pace for each receiving domain.",
    ),
    (
        ("spamhaus", "blocklist", "blacklist", "block list", "listed", "reputation"),
        "Your server or domain is listed: the words mostly say where to ask for its removal.",
    ),
    (
        ("spam", "content", "virus", "url", "policy"),
        "It dislikes the message: look at its links and wording, and write first to those who read you.",
    ),
)


class Alarm(NamedTuple):
    """A receiving domain that refuses us, not somebody. messages: of those read."""

    domain: str
    messages: int
    code: str
    said: str

    @property
    def remedy(self) -> str:
        words = f"{self.code} {self.said}".lower()
        return next((what for signs, what in REMEDIES if _has_any(words, signs)), "")


def _has_any(words: str, signs: tuple[str, ...]) -> bool:
    return re.search(rf"\b(?:{'|'.join(map(re.escape, signs))})", words) is not None


def alarms(mailing: Mailing) -> list[Alarm]:
    values = {"mailing": mailing.pk, "read": EVENTS_READ, "least": ALARMS_FROM, "most": ALARMS}
    with connection.cursor() as cursor:
        cursor.execute(BLOCKS, values)
        return [Alarm(*row) for row in cursor.fetchall()]


def by_feedback(rows: QuerySet[Delivery], mailing: Mailing, feedback: str) -> QuerySet[Delivery]:
    """Those of a mailing's recipients; feedback: a key of CAME_BACK. The few are found by event_mailing_idx."""
    if feedback == ARRIVED:
        return rows.filter(arrived())
    few = Event.objects.filter(mailing=mailing, kind=feedback, number__isnull=False).values("number")
    return rows.filter(feedback=feedback, number__in=few)


def arrived() -> Q:
    bad = (Feedback.BOUNCED, Feedback.SOFT_BOUNCED, Feedback.BLOCKED)
    return Q(state=DeliveryState.ACCEPTED) & ~Q(feedback__in=bad)


def trouble(mailing: Mailing | None, workspace: Workspace) -> str:
    """What is wrong with what came back, in words; "" where nothing is. By the counters alone, for long lists."""
    return next(_troubles(mailing, workspace), "") if mailing else ""


def _troubles(mailing: Mailing, limits: Workspace) -> Iterator[str]:
    done = mailing.accepted_count + mailing.rejected_count
    if done < BREAKER_FROM:
        return
    complaints = 100 * mailing.complained_count / done
    if mailing.complained_count > 1 and complaints >= COMPLAINTS_WANTED:
        yield f"{complaints:.2f} % complained; Gmail and Yahoo want less than {COMPLAINTS_WANTED} %"
    for count, limit, words in (
        (mailing.bounced_count, limits.pause_at_bounced_percent, "bounced for good"),
        (mailing.blocked_count, limits.pause_at_blocked_percent, "were blocked"),
        (mailing.rejected_count, limits.pause_at_rejected_percent, "were rejected"),
        (mailing.unsubscribed_count, limits.pause_at_unsubscribed_percent, "unsubscribed"),
    ):
        if limit and 100 * count > limit * done:
            yield f"{100 * count / done:.1f} % {words}"
