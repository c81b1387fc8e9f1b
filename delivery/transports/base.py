"""What every way out speaks: a message in, an outcome out, in one vocabulary for SMTP and all ESPs.

Tuples, since one of each is made for every message: a frozen dataclass costs five times as much.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Final, Literal, NamedTuple, Protocol
from uuid import UUID

from delivery.feedback.facts import Kind

IN_ITS_WORDS: Final = "in its words"
Verdict = Kind | Literal["in its words"] | None


class Fate(StrEnum):
    """Success, and the four fates of an error: this recipient, this moment, this sender, this account.

    In doubt is the moment's worst: the message was handed over, and no answer came. A refused sender is one that the
    account may not send from; others may go on.
    """

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    IN_DOUBT = "in_doubt"
    REJECTED = "rejected"
    SENDER_REFUSED = "sender_refused"
    ACCOUNT_STOPPED = "account_stopped"


class Outcome(NamedTuple):
    """What became of one message.

    code: "550 5.1.1" or a word. server_said: its own words. retry_after: seconds, where it asked for them.
    throttled: it says that too much comes too fast. repeatable: an in-doubt one may be sent once more, since a
    second copy with the same Message-ID is one message to most programs.
    verdict: what a refusal says of the recipient, as a bounce would that comes back later; IN_ITS_WORDS: what the
    mail server's words say, which are read where that is needed. None: nothing, since it is about us, the content, the
    account or the ESP.
    """

    fate: Fate
    code: str = ""
    server_said: str = ""
    provider_id: str = ""
    retry_after: float | None = None
    throttled: bool = False
    repeatable: bool = False
    verdict: Verdict = None

    @property
    def stops_all(self) -> bool:
        """Nothing of the mailing can leave this way, whoever it is for."""
        return self.fate in (Fate.SENDER_REFUSED, Fate.ACCOUNT_STOPPED)


class Message(NamedTuple):
    """sender and to: the envelope; pieces: of the finished RFC 5322 message with CRLF line ends.

    has_no_dots: no line of it begins with one, so that none needs doubling (RFC 5321 §4.5.2).
    """

    sender: str
    to: str
    pieces: Sequence[bytes]
    has_no_dots: bool = False

    @property
    def data(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        """Octets."""
        return sum(map(len, self.pieces))


class Skeleton(NamedTuple):
    """What all messages of a mailing to an ESP have in common.

    subject, text, html: pieces in their order, each what all have, or the place of each one's own in `Letter.slots`.
    headers: those whose values all have, on one line, in ASCII. sender: the address of From.
    """

    mailing_id: int
    from_name: str
    sender: str
    reply_to: str
    headers: Mapping[str, str]
    subject: tuple[str | int, ...]
    text: tuple[str | int, ...]
    html: tuple[str | int, ...]


class Letter(NamedTuple):
    """One recipient's part of it. name: for To, "" without one. headers: of its own."""

    number: int
    to: str
    name: str
    slots: tuple[str, ...]
    headers: Mapping[str, str]


class Answer(NamedTuple):
    """What became of the letters of one call, an outcome for each in their order.

    is_refused: the call was refused as one, perhaps for the sake of one letter; nothing of it was taken.
    """

    outcomes: list[Outcome]
    is_refused: bool = False


Meanwhile = Callable[[], None]


def nothing() -> None: ...


class Connection(Protocol):
    """One kept connection, used by one lane at a time."""

    usable: bool
    announced: Message | None  # what the server waits for: it is sent next, or the connection closed

    def send(
        self, message: Message, upcoming: Message | None = None, meanwhile: Meanwhile = nothing
    ) -> Outcome:
        """Hand over one message; never raises for what a server may say or do.

        meanwhile: called, where there is time for it, while the server takes the message in; it must not raise.
        upcoming: what is sent next on this connection if it is usable then; it may be announced along with this
        one, to save round trips. Whoever names it then sends it, or closes the connection.
        """

    def close(self) -> None: ...


class BatchConnection(Connection, Protocol):
    """One that takes many letters of a mailing in one call."""

    def cut(self, skeleton: Skeleton, letters: Sequence[Letter]) -> list[Sequence[Letter]]:
        """Cut them into calls that the ESP takes: by size, and apart whoever does not fit with the others."""

    def send_letters(self, skeleton: Skeleton, letters: Sequence[Letter], *, key: UUID) -> Answer:
        """One call for what `cut` gave; never raises for what an ESP may say or do.

        key: the same for the same letters, so that the ESP knows a repeated call where it can.
        """


class CannotConnect(Exception):  # noqa: N818
    """No connection: the outcome says why, and whether the account or the moment is to blame."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.server_said)
        self.outcome = outcome
