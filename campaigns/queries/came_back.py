"""What a report shows of bounces, blocks and complaints."""

from dataclasses import dataclass

from campaigns.models import Campaign
from campaigns.queries import segments
from delivery.hygiene import standing
from delivery.models import Feedback, Mailing
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
    """figures: none where only refusals at the hand-over speak."""

    figures: list[Figure]
    alarms: list[standing.Alarm]
    trouble: str


def came_back(campaign: Campaign, progress: Progress | None) -> CameBack | None:
    """None where nothing did. Cost: the counters, and the blocks' words where there are any."""
    mailing = campaign.mailing
    if mailing is None or progress is None:
        return None
    figures, alarms = _figures(campaign, mailing, progress.accepted), standing.alarms(mailing)
    return (
        CameBack(figures, alarms, standing.trouble(mailing, campaign.workspace))
        if figures or alarms
        else None
    )


def _figures(campaign: Campaign, mailing: Mailing, of: int) -> list[Figure]:
    addresses, limits = segments.addresses(campaign), campaign.workspace
    lost = (
        ("Hard bounces", mailing.bounced_count, Feedback.BOUNCED.value, limits.pause_at_bounced_percent),
        ("Soft bounces", mailing.soft_bounced_count, Feedback.SOFT_BOUNCED.value, 0.0),
        ("Blocked", mailing.blocked_count, Feedback.BLOCKED.value, limits.pause_at_blocked_percent),
        ("Complained", mailing.complained_count, Feedback.COMPLAINED.value, standing.COMPLAINTS_WANTED),
    )
    if not mailing.delivered_count and not any(count for _, count, _, _ in lost):
        return []
    rows = (("Delivered", mailing.delivered, standing.ARRIVED, 0.0), *lost)
    return [
        Figure(label, count, key, of, addresses[key], bool(limit) and 100 * count >= limit * of)
        for label, count, key, limit in rows
    ]
