"""What the lanes of one worker and whoever settles for them give each other, across their threads."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from uuid import UUID

from delivery.pipeline.calls import Announced, Chunk
from delivery.pipeline.journal import Journal
from delivery.pipeline.load import NEVER, Tried
from delivery.pipeline.mold import Recipient
from delivery.pipeline.settle import Result
from delivery.pipeline.turns import Turns
from delivery.transports.base import Outcome

# Since the last settlement, until nothing new begins: what is not settled is known to this host alone.
STALE_SECONDS = 2.0
IDLE_SECONDS = 0.1  # until a lane without work looks again, whatever it was told


class Load:
    """What the lanes of one worker share: recipients to send to, results to settle, and why they stopped."""

    def __init__(self, turns: Turns, *, fence: float) -> None:
        self._waiting: deque[Recipient] = deque()
        self._tried: dict[int, Tried] = {}
        self._journals: list[tuple[range, Journal]] = []
        self._results: deque[Result] = deque()
        self._repeats: deque[Chunk] = deque()  # calls of dead holders that are made again as they were
        self._announced: list[_Announcement] = []
        self._ended_calls: deque[UUID] = deque()
        self._chunking, self._announcing = threading.Lock(), threading.Lock()
        self._low = 0  # recipients waiting, from which on more are wanted
        self._is_closed = self._is_ending = False
        self._more = threading.Event()
        self.turns = turns
        self.stop = threading.Event()
        self.wake = threading.Event()  # the one who settles: a lane ended, or few are waiting
        self.fence = fence  # until then the leases are surely ours
        self.settled_at = time.monotonic()
        self.is_over = False  # nobody notes calls any more
        self.trouble = ""  # why a lane could not connect
        self.refused: Outcome | None = None  # the account, or the mailing's sender
        self.is_probing = False  # one call for one recipient at a time, until somebody is accepted

    def add(
        self,
        recipients: list[Recipient],
        tried: dict[int, Tried],
        journal: Journal,
        repeats: Sequence[Chunk] = (),
    ) -> None:
        """More to send to; tried: of those that were tried before. repeats: calls to make again, of others."""
        self._tried |= tried
        self._journals.insert(0, (journal.numbers, journal))
        self._repeats.extend(repeats)
        self._low = len(recipients) // 4
        self._waiting.extend(recipients)
        self._more.set()

    def close(self) -> None:
        """No more will come; lanes end when nobody waits."""
        self._is_closed = True
        self._more.set()

    def end(self) -> None:
        """Nobody new is to begin; whose turn is reserved already is still sent, else the pace would lose it."""
        self._is_ending = True
        self.close()

    @property
    def waiting_count(self) -> int:
        return len(self._waiting) + sum(len(chunk.recipients) for chunk in list(self._repeats))

    @property
    def is_low(self) -> bool:
        """It is time to add more."""
        return not self._is_closed and len(self._waiting) <= self._low

    def next(self, *, wait: bool) -> Recipient | None:
        """Who is next; None when nobody is, or the lanes are to stop. wait: also for one who comes later."""
        while self._may_begin:
            try:
                recipient = self._waiting.popleft()
            except IndexError:
                held_back = self.turns.held_back(self.stop, wait=wait and self._is_closed)
                if held_back or self._is_closed or not wait:
                    return held_back
                self._wait_for_more()
                continue
            if len(self._waiting) == self._low:
                self.wake.set()
            if self.turns.may_try(recipient):
                return recipient
        return None

    @property
    def _may_begin(self) -> bool:
        return not self.is_stopped and time.monotonic() < min(self.fence, self.settled_at + STALE_SECONDS)

    def _wait_for_more(self) -> None:
        self._more.clear()
        self.wake.set()
        self._more.wait(IDLE_SECONDS)

    @property
    def is_stopped(self) -> bool:
        """Nothing new is to begin; what is announced may end."""
        return self._is_ending or self.stop.is_set()

    @property
    def is_lost(self) -> bool:
        """Not even what is announced may be sent: the batch may be another's, or sender or account are refused."""
        return time.monotonic() > self.fence or self.refused is not None

    def next_chunk(self, most: int) -> Chunk | None:
        """Those who are next, at most so many, of one batch and no address twice; None as `next`.

        One lane after the other, so that each gets a full one.
        """
        with self._chunking:
            if self._repeats and not self.is_stopped:
                return self._repeats.popleft()
            first = self.next(wait=True)
            if first is None:
                return None
            chunk = Chunk([first], self._journal_of(first.number).lease)
            numbers, known = range(chunk.lease.first, chunk.lease.last + 1), {first.email.lower()}
            while len(chunk.recipients) < most and (recipient := self.next(wait=False)) is not None:
                address = recipient.email.lower()
                if recipient.number not in numbers or address in known:
                    self.put_back(recipient)
                    break
                chunk.recipients.append(recipient)
                known.add(address)
            if len(chunk.recipients) < most and not self._may_begin:  # cut short: it is a full one later
                self.put_back(*chunk.recipients)
                return None
            return chunk

    def put_back(self, *recipients: Recipient) -> None:
        self._waiting.extendleft(reversed(recipients))

    def put_back_chunk(self, chunk: Chunk) -> None:
        if chunk.replaces:
            self._repeats.appendleft(chunk)
        else:
            self.put_back(*chunk.recipients)

    def report(self, recipient: Recipient, outcome: Outcome) -> None:
        self._results.append(Result(recipient.number, outcome, self._tried.get(recipient.number, NEVER)))

    def report_all(self, outcomes: Sequence[tuple[Recipient, Outcome]]) -> None:
        """What became of one call's recipients, in one go, so that those to be tried again are so together."""
        self._results.extend(
            [Result(each.number, outcome, self._tried.get(each.number, NEVER)) for each, outcome in outcomes]
        )

    def note(self, recipient: Recipient, provider_id: str) -> None:
        """Its message was accepted, says the journal of its batch."""
        self._journal_of(recipient.number).note(recipient.number, provider_id)

    def note_all(self, accepted: Sequence[tuple[int, str]]) -> None:
        """The same of several in one batch, and at once."""
        if accepted:
            self._journal_of(accepted[0][0]).note_all(accepted)

    def _journal_of(self, number: int) -> Journal:
        return next(journal for numbers, journal in self._journals if number in numbers)

    # --- Calls that are noted before they are made ------------------------------------------------------

    def announce(self, call: Announced) -> bool:
        """Have whoever settles note the call, and wait until that is done. False: it must not be made."""
        asked = _Announcement(call)
        with self._announcing:
            self._announced.append(asked)
        self.wake.set()
        while not asked.is_answered.wait(IDLE_SECONDS):
            with self._announcing:
                if (self.is_lost or self.is_over) and asked in self._announced:
                    self._announced.remove(asked)
                    return False
        return asked.may_be_made

    def take_announced(self) -> "list[_Announcement]":
        """For whoever settles; each has to be answered."""
        with self._announcing:
            taken, self._announced = self._announced, []
        return taken

    def end_call(self, call_id: UUID) -> None:
        """It is through, and what became of its recipients was reported before."""
        self._ended_calls.append(call_id)

    def take_ended_calls(self) -> list[UUID]:
        """Before their results are taken."""
        return [self._ended_calls.popleft() for _ in range(len(self._ended_calls))]

    # --- For whoever settles --------------------------------------------------------------------------

    def take_results(self) -> list[Result]:
        return [self._results.popleft() for _ in range(len(self._results))]

    def put_back_results(self, results: list[Result], calls: Sequence[UUID] = ()) -> None:
        self._results.extendleft(reversed(results))
        self._ended_calls.extendleft(reversed(calls))


class _Announcement:
    """A lane's question whether its call may be made."""

    def __init__(self, call: Announced) -> None:
        self.call = call
        self.may_be_made = False
        self.is_answered = threading.Event()

    def answer(self, *, may_be_made: bool) -> None:
        self.may_be_made = may_be_made
        self.is_answered.set()
