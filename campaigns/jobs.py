"""The RQ entry points of campaigns."""

import logging

from campaigns.actions import lifecycle

log = logging.getLogger(__name__)


def launch(*, campaign_id: int) -> int:
    """Freeze the recipients and begin to send. Safe to run twice."""
    count = lifecycle.launch(campaign_id)
    log.info("campaign.launched campaign=%s recipients=%s", campaign_id, count)
    return count
