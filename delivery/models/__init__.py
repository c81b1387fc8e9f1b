"""Sending accounts, mailings, the ledger, and what comes back; each subject in its file."""

from delivery.models.accounts import SendingAccount
from delivery.models.confirmations import Confirmation
from delivery.models.domains import DkimKey, SendingDomain
from delivery.models.events import Event, EventKind, Incoming, Stray
from delivery.models.fetches import FetchState, SuppressionFetch
from delivery.models.inbox import InboxMessage
from delivery.models.leaving import LeavingReason, Why
from delivery.models.ledger import (
    OPEN_STATES,
    SENT_BACK,
    Batch,
    BatchState,
    Call,
    Delivery,
    DeliveryState,
    Feedback,
)
from delivery.models.mailboxes import Mailbox, Protocol
from delivery.models.mailings import MAILING_ALLOWED, URGENT_MOST, Mailing, MailingState
from delivery.models.tracking import HourTally, LinkTally, Tracking

__all__ = [
    "MAILING_ALLOWED",
    "OPEN_STATES",
    "SENT_BACK",
    "URGENT_MOST",
    "Batch",
    "BatchState",
    "Call",
    "Confirmation",
    "Delivery",
    "DeliveryState",
    "DkimKey",
    "Event",
    "EventKind",
    "Feedback",
    "FetchState",
    "HourTally",
    "InboxMessage",
    "Incoming",
    "LeavingReason",
    "LinkTally",
    "Mailbox",
    "Mailing",
    "MailingState",
    "Protocol",
    "SendingAccount",
    "SendingDomain",
    "Stray",
    "SuppressionFetch",
    "Tracking",
    "Why",
]
