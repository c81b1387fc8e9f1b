"""What the first page shows of a workspace."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from accounts.models import Workspace
from campaigns.models import Campaign, State
from contacts.models import Contact, Import, ImportState

COUNT_LIMIT = 100_000  # contacts; beyond, the page says "100,000+"
LAST_SHOWN = 5
RECENT = timedelta(days=7)


@dataclass(frozen=True)
class Overview:
    """contact_count: at most COUNT_LIMIT. attention: paused and failed campaigns. is_new: nothing was sent yet."""

    contact_count: int
    has_more_contacts: bool
    attention: list[Campaign]
    scheduled: list[Campaign]
    in_the_air: list[Campaign]
    last: list[Campaign]
    drafts: list[Campaign]
    failed_imports: list[Import]

    @property
    def is_new(self) -> bool:
        return not (self.last or self.in_the_air or self.scheduled)


def overview(workspace: Workspace) -> Overview:
    """Eight short queries, whatever the workspace's size."""
    counted = Contact.objects.of(workspace).order_by()[: COUNT_LIMIT + 1].count()
    campaigns = (
        Campaign.objects.of(workspace).filter(archived_at=None).select_related("mailing").defer("content")
    )
    recent_imports = Import.objects.of(workspace).filter(created_at__gt=timezone.now() - RECENT)
    return Overview(
        contact_count=min(counted, COUNT_LIMIT),
        has_more_contacts=counted > COUNT_LIMIT,
        attention=list(campaigns.filter(state__in=[State.PAUSED, State.FAILED]).order_by("-id")[:LAST_SHOWN]),
        scheduled=list(campaigns.filter(state=State.SCHEDULED).order_by("scheduled_at")[:LAST_SHOWN]),
        in_the_air=list(campaigns.filter(state=State.SENDING).order_by("-id")[:LAST_SHOWN]),
        last=list(
            campaigns.filter(state__in=[State.SENT, State.CANCELED]).order_by("-mailing_id")[:LAST_SHOWN]
        ),
        drafts=list(campaigns.filter(state=State.DRAFT).order_by("-updated_at")[:LAST_SHOWN]),
        failed_imports=list(recent_imports.filter(state=ImportState.FAILED).order_by("-id")[:LAST_SHOWN]),
    )
