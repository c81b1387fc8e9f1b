"""One thing that came back of one message, in one vocabulary for webhooks, bounce mails, pixels and links."""

import hashlib
import uuid
from datetime import datetime
from enum import StrEnum
from typing import Final, NamedTuple

from delivery.models import EventKind, Feedback


class Kind(StrEnum):
    """The first says that all went well and is noted in the ledger alone; each of the others is an event, too."""

    DELIVERED = Feedback.DELIVERED.value
    BLOCKED = Feedback.BLOCKED.value
    SOFT_BOUNCED = Feedback.SOFT_BOUNCED.value
    BOUNCED = Feedback.BOUNCED.value
    COMPLAINED = Feedback.COMPLAINED.value
    OPENED = EventKind.OPENED.value
    CLICKED = EventKind.CLICKED.value
    UNSUBSCRIBED = EventKind.UNSUBSCRIBED.value


# A later one outweighs those before it, whichever comes first: the order of their arrival says nothing.
WEIGHTS: Final = {feedback.value: weight for weight, feedback in enumerate(Feedback)}


class Fact(NamedTuple):
    """workspace_id: whose account or link it came by; it says nothing about mailings of others.

    key: from `key_of`. number: the recipient's in the ledger; None: looked for by email within the mailing, else by
    email and the provider's message_id, or, with is_nameless, nobody's on purpose. code: "5.1.1". said: the server's
    words. account_id: of a webhook.
    """

    workspace_id: int
    kind: Kind
    at: datetime
    key: uuid.UUID
    mailing_id: int | None = None
    number: int | None = None
    email: str = ""
    is_machine: bool = False
    why_machine: str = ""
    url: str = ""
    code: str = ""
    said: str = ""
    account_id: int | None = None
    is_nameless: bool = False
    message_id: str = ""


def key_of(at: datetime, *parts: object) -> uuid.UUID:
    """A key that begins with the millisecond, and is the same for the same parts: a provider's id of the event, or
    the message, what was done and how often before."""
    digest = hashlib.sha256("\0".join(map(str, (at.timestamp(), *parts))).encode()).digest()
    return uuid.UUID(bytes=max(int(at.timestamp() * 1000), 0).to_bytes(6, "big") + digest[:10])
