"""What a report shows of bounces, blocks and complaints."""

from dataclasses import dataclass

from campaigns.models import Campaign
from campaigns.queries import segments
from delivery.hygiene import standing
from delivery.models import Feedback
from delivery.queries import Progress


@dataclass(frozen=True)
class Figure:
    """count: recipients; of: what their share is of. is_bad: above what is usual."""

    label: str
    count: int
    feedback: str
    of: int
    segment_url: str
    is_bad: bool = False


@dataclass(frozen=True)
class CameBack:
    figures: list[Figure]
    alarms: list[standing.Alarm]
    trouble: str


def came_back(campaign: Campaign, progress: Progress | None) -> CameBack | None:
    """None before anything was accepted. Cost: the counters, and the blocks' words where there are any."""
    mailing = campaign.mailing
    if mailing is None or progress is None or not progress.accepted:
        return None
    addresses, of = segments.addresses(campaign), progress.accepted
    limits = campaign.workspace
    rows = (
        ("Delivered", standing.arrived_count(mailing), standing.ARRIVED, 0.0),
        ("Hard bounces", mailing.bounced_count, Feedback.BOUNCED.value, limits.pause_at_bounced_percent),
        ("Soft bounces", mailing.soft_bounced_count, Feedback.SOFT_BOUNCED.value, 0.0),
        ("Blocked", mailing.blocked_count, Feedback.BLOCKED.value, limits.pause_at_blocked_percent),
        ("Complained", mailing.complained_count, Feedback.COMPLAINED.value, standing.COMPLAINTS_WARN),
    )
    figures = [
        Figure(label, count, key, of, addresses[key], bool(limit) and 100 * count >= limit * of)
        for label, count, key, limit in rows
    ]
    return CameBack(figures, standing.alarms(mailing), standing.trouble(mailing, limits))
