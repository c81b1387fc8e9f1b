"""Sending accounts, mailings, the ledger, and what comes back; each subject in its file."""

from delivery.models.accounts import SendingAccount
from delivery.models.confirmations import Confirmation
from delivery.models.events import Event, EventKind, Incoming, Stray
from delivery.models.inbox import InboxMessage
from delivery.models.ledger import OPEN_STATES, Batch, BatchState, Delivery, DeliveryState, Feedback
from delivery.models.mailings import MAILING_ALLOWED, URGENT_MOST, Mailing, MailingState
from delivery.models.tracking import HourTally, LinkTally, Tracking

__all__ = [
    "MAILING_ALLOWED",
    "OPEN_STATES",
    "URGENT_MOST",
    "Batch",
    "BatchState",
    "Confirmation",
    "Delivery",
    "DeliveryState",
    "Event",
    "EventKind",
    "Feedback",
    "HourTally",
    "InboxMessage",
    "Incoming",
    "LinkTally",
    "Mailing",
    "MailingState",
    "SendingAccount",
    "Stray",
    "Tracking",
]
