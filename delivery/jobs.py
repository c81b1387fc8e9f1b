"""The RQ entry points of delivery."""

import logging

from django.db import transaction

from delivery.pipeline import dispatch
from delivery.pipeline.work import WORKER, work_batch

log = logging.getLogger(__name__)


def send_batch(*, mailing_id: int) -> int:
    """Work one batch, then queue a successor behind what other mailings wait for. Safe to run twice."""
    report = work_batch(mailing_id)
    if report is None:
        return 0
    log.info(
        "batch.worked worker=%s mailing=%s batch=%s settled=%s seconds=%.2f state=%s",
        WORKER,
        mailing_id,
        report.batch_id,
        report.settled,
        report.seconds,
        report.state,
    )
    if not report.is_held:  # else the sweeper queues the next one, when its time has come
        with transaction.atomic():
            dispatch.queue_one(mailing_id)
    return report.settled
