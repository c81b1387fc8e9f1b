"""What every way out speaks: a message in, an outcome out, in one vocabulary for SMTP and all ESPs."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Fate(StrEnum):
    """The three fates of an error, and success: this recipient, this moment, this account."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    REJECTED = "rejected"
    ACCOUNT_STOPPED = "account_stopped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """code: "550 5.1.1" or a word; server_said: its own words; retry_after: seconds, where it asked for them."""

    fate: Fate
    code: str = ""
    server_said: str = ""
    provider_id: str = ""
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """sender and to: the envelope; data: the finished RFC 5322 message with CRLF line ends."""

    sender: str
    to: str
    data: bytes


class Connection(Protocol):
    """One kept connection, used by one lane at a time."""

    usable: bool

    def send(self, message: Message) -> Outcome:
        """Hand over one message; never raises for what a server may say or do."""

    def close(self) -> None: ...


class CannotConnect(Exception):  # noqa: N818
    """No connection: the outcome says why, and whether the account or the moment is to blame."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.server_said)
        self.outcome = outcome
