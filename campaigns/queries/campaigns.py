"""How campaigns are read: the list, the report's figures, the recipients."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, QuerySet, Subquery

from accounts.models import Workspace
from campaigns.models import Campaign, State
from delivery.hygiene.standing import CAME_BACK, by_feedback
from delivery.models import Delivery, Event, LinkTally
from delivery.queries import deliveries
from delivery.tracking.report import by_link

RECIPIENTS_SHOWN = 100  # rows of a page


def found(workspace: Workspace, *, search: str = "", state: str = "") -> QuerySet[Campaign]:
    """The campaigns by name and state with what a row shows; the archived ones only when asked for."""
    rows = Campaign.objects.of(workspace).select_related("mailing", "workspace")
    rows = rows.prefetch_related("lists", "segments").defer("content")
    rows = rows.filter(archived_at__isnull=state != "archived")
    if state in State.values:
        rows = rows.filter(state=state)
    return rows.filter(name__icontains=search) if search else rows


@dataclass(frozen=True)
class Figures:
    """What a report says beside the counts. seconds: from the first message to the last.

    has_waited: in them is the wait of a gradual start, whose beginning is not kept.
    """

    seconds: float | None
    per_second: float | None
    has_waited: bool = False


def figures(campaign: Campaign) -> Figures:
    mailing = campaign.mailing
    if mailing is None or mailing.finished_at is None:
        return Figures(None, None)
    seconds = max((mailing.finished_at - mailing.created_at).total_seconds(), 0.001)
    return Figures(seconds, mailing.accepted_count / seconds, has_waited=mailing.rest_at is not None)


@dataclass(frozen=True)
class Recipients:
    """A page of the ledger, each with what was `said_later`, when it came back; after: the number to go on from, 0 at
    the end."""

    rows: Sequence[Delivery]
    after: int


def recipients(
    campaign: Campaign,
    *,
    state: str,
    feedback: str,
    code: str,
    search: str,
    after: str,
    link: LinkTally | None = None,
) -> Recipients:
    """One keyset page by number, in sending order."""
    if campaign.mailing is None:
        return Recipients([], 0)
    rows = deliveries(campaign.mailing, state=state, code=code, search=search)
    if feedback in CAME_BACK:
        rows = by_feedback(rows, campaign.mailing, feedback)
    if link:
        rows = by_link(rows, link)
    if after.isdecimal() and len(after) < 10:
        rows = rows.filter(number__gt=int(after))
    shown = list(rows.annotate(said_later=_said_later())[: RECIPIENTS_SHOWN + 1])
    more = len(shown) > RECIPIENTS_SHOWN
    return Recipients(shown[:RECIPIENTS_SHOWN], shown[RECIPIENTS_SHOWN - 1].number if more else 0)


def _said_later() -> Subquery:
    """By event_mailing_idx, once for each row shown."""
    key = {"mailing": OuterRef("mailing"), "kind": OuterRef("feedback"), "contact": OuterRef("contact")}
    back = Event.objects.filter(**key, undone_at=None).exclude(said="")
    return Subquery(back.order_by("-at").values("said")[:1])
