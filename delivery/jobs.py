"""The RQ entry points of delivery."""

import logging

from django.db import transaction

from accounts.queue import process_name
from delivery import monitor
from delivery.bounces import mailboxes
from delivery.confirming import asking
from delivery.domains import actions as domains
from delivery.feedback import drain as feedback
from delivery.fetching import run as fetching
from delivery.models import Mailing
from delivery.pipeline import dispatch
from delivery.pipeline.work import work_slice
from delivery.preferences import moving

log = logging.getLogger(__name__)


def send_batch(*, mailing_id: int) -> int:
    """Send a slice of the mailing, then queue a successor behind what others wait for. Safe to run twice."""
    report = work_slice(mailing_id)
    if report is None:
        return 0
    log.info(
        "slice.worked worker=%s mailing=%s batches=%s settled=%s seconds=%.2f",
        process_name(),
        mailing_id,
        ",".join(map(str, report.batch_ids)),
        report.settled,
        report.seconds,
    )
    if not report.is_held:  # else the sweeper queues the next one, when its time has come
        with transaction.atomic():
            dispatch.queue_one(mailing_id)
    return report.settled


def ask_to_confirm(*, list_id: int) -> int:
    """Mail those of the list who wait to be asked. Safe to run twice."""
    count = asking.ask(list_id)
    log.info("confirmation.asked list=%s people=%s", list_id, count)
    return count


def mail_address_link(*, contact_id: int, email: str, language: str) -> bool:
    """Mail the link that confirms a new address. Safe to run twice."""
    why_not = moving.mail_link(contact_id, email, language=language)
    log.info(
        "address.asked contact=%s mailed=%s", contact_id, not why_not
    )  # servers' words may name who it is
    return not why_not


def drain(*, name: str) -> int:
    """Apply what waits in a stream. Safe to run twice."""
    count = feedback.drain(name)
    if count:
        log.info("feedback.applied stream=%s facts=%s", name, count)
    return count


def read_breakdown(*, mailing_id: int) -> int:
    """Read what the mailing's monitor shows over time and by domain. Safe to run twice."""
    found = Mailing.objects.filter(pk=mailing_id)
    for mailing in found:
        monitor.read(mailing)
    return len(found)


def read_mailbox(*, mailbox_id: int) -> int:
    """Read what waits in a mailbox. Safe to run twice."""
    count = mailboxes.read_mailbox(mailbox_id)
    if count:
        log.info("mailbox.read mailbox=%s messages=%s", mailbox_id, count)
    return count


def check_domain(*, domain_id: int) -> str:
    """Look up a sending domain's records. Safe to run twice."""
    state = domains.run_check(domain_id)
    log.info("domain.checked domain=%s state=%s", domain_id, state or "gone")
    return state


def fetch_suppressions(*, fetch_id: int) -> dict[str, int | str]:
    """Read a provider's own suppression lists. Safe to run twice."""
    return fetching.work(fetch_id)
