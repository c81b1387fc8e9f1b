"""What the first page shows of a workspace."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import Workspace
from accounts.queue import workers_alive
from campaigns.models import Campaign, State
from contacts.models import Contact, Import, ImportState
from contacts.queries import growth
from delivery import accounts
from delivery import queries as delivery
from delivery.domains import alarms
from delivery.models import SendingAccount, SendingDomain

COUNT_LIMIT = 100_000  # contacts; beyond, the page says "100,000+"
LAST_SHOWN = 5
RECENT = timedelta(days=7)


@dataclass(frozen=True)
class Late:
    """A campaign that should move and does not. why: in words."""

    campaign: Campaign
    why: str


@dataclass(frozen=True)
class Overview:
    """contact_count: at most COUNT_LIMIT. attention: paused and failed campaigns. accounts: those set aside, though no
    person did it. domains: those with an alarm. is_new: nothing was sent yet."""

    contact_count: int
    has_more_contacts: bool
    late: list[Late]
    attention: list[Campaign]
    accounts: list[SendingAccount]
    domains: list[SendingDomain]
    scheduled: list[Campaign]
    in_the_air: list[Campaign]
    last: list[Campaign]
    drafts: list[Campaign]
    failed_imports: list[Import]
    lists: list[growth.Moved]

    @property
    def is_new(self) -> bool:
        return not (self.last or self.in_the_air or self.scheduled)


def overview(workspace: Workspace) -> Overview:
    """Twelve short queries, one more where something is late, whatever the workspace's size."""
    counted = Contact.objects.of(workspace).order_by()[: COUNT_LIMIT + 1].count()
    campaigns = (
        Campaign.objects.of(workspace)
        .filter(archived_at=None)
        .select_related("mailing", "workspace")
        .defer("content")
    )
    scheduled = list(campaigns.filter(state=State.SCHEDULED).order_by("scheduled_at")[:LAST_SHOWN])
    in_the_air = list(campaigns.filter(state=State.SENDING).order_by("-id")[:LAST_SHOWN])
    recent_imports = Import.objects.of(workspace).filter(created_at__gt=timezone.now() - RECENT)
    return Overview(
        contact_count=min(counted, COUNT_LIMIT),
        has_more_contacts=counted > COUNT_LIMIT,
        attention=list(campaigns.filter(state__in=[State.PAUSED, State.FAILED]).order_by("-id")[:LAST_SHOWN]),
        accounts=list(accounts.refused(workspace)[:LAST_SHOWN]),
        domains=list(alarms.raised(workspace)[:LAST_SHOWN]),
        late=[*_overdue(scheduled), *_unprepared(in_the_air), *_standing_still(campaigns, workspace)],
        scheduled=scheduled,
        in_the_air=in_the_air,
        last=list(
            campaigns.filter(state__in=[State.SENT, State.CANCELED]).order_by("-mailing_id")[:LAST_SHOWN]
        ),
        drafts=list(campaigns.filter(state=State.DRAFT).order_by("-updated_at")[:LAST_SHOWN]),
        failed_imports=list(recent_imports.filter(state=ImportState.FAILED).order_by("-id")[:LAST_SHOWN]),
        lists=growth.moved(workspace, limit=LAST_SHOWN),
    )


def _overdue(scheduled: list[Campaign]) -> Iterator[Late]:
    for campaign in scheduled:
        if campaign.scheduled_at and campaign.scheduled_at < timezone.now() - delivery.LATE:
            yield Late(campaign, "Its time has come, and it has not started: the clock is not running.")


def _unprepared(in_the_air: list[Campaign]) -> Iterator[Late]:
    waiting = [campaign for campaign in in_the_air if campaign.mailing_id is None]
    if waiting and not workers_alive("system"):
        why = "Its recipients cannot be prepared: no worker is running for the queue “system”."
        yield from (Late(campaign, why) for campaign in waiting)


def _standing_still(campaigns: QuerySet[Campaign], workspace: Workspace) -> Iterator[Late]:
    reasons = delivery.late(workspace)
    if reasons:
        for campaign in campaigns.filter(mailing__in=list(reasons), state=State.SENDING).order_by("-id"):
            yield Late(campaign, reasons[campaign.mailing_id or 0])
