"""Lanes: the connections of one worker that send its batches side by side, each in order.

Lanes only personalize, keep the pace, send and note what was accepted; `work.py` settles what they report. Here are
those that send one message after the other; `chunks.py` has those that send many in one call.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import redis

from delivery.liquid import TemplateProblem
from delivery.pipeline import connections
from delivery.pipeline.calls import Announced, Chunk
from delivery.pipeline.journal import Journal
from delivery.pipeline.load import NEVER, Tried
from delivery.pipeline.mime import address
from delivery.pipeline.mold import Mold, Recipient
from delivery.pipeline.settle import Result
from delivery.pipeline.signs import LaneSign
from delivery.pipeline.turns import Turns
from delivery.transports.base import CannotConnect, Connection, Fate, Message, Outcome

FAILURES_ALLOWED = 2  # connections that broke one after the other; then the lane ends, and the batch waits
REDIS_AWAY_SECONDS = 1.0
# Since the last settlement, until nothing new begins: what is not settled is known to this host alone.
STALE_SECONDS = 2.0
IDLE_SECONDS = 0.1  # until a lane without work looks again, whatever it was told
log = logging.getLogger(__name__)


class Ready(NamedTuple):
    """A recipient whose turn has come, with the finished message."""

    recipient: Recipient
    message: Message


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
        self.account_stopped: Outcome | None = None

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
        while not self.is_stopped and time.monotonic() < min(self.fence, self.settled_at + STALE_SECONDS):
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
        """Not even what is announced may be sent: the batch may be another's, or the account is refused."""
        return time.monotonic() > self.fence or self.account_stopped is not None

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


class Lane(threading.Thread):
    """One connection's work, until nobody waits any more or the load says stop."""

    def __init__(self, load: Load, mold: Mold) -> None:
        super().__init__(name="lane", daemon=True)
        self._load, self._mold, self._turns = load, mold, load.turns
        self._account = load.turns.account
        self._ids = (mold.frame.mailing_id, self._account.pk)  # for the log
        self._connection: Connection | None = None
        # Whether the connection took a message before, so that its end says nothing of the next one.
        self._was_used = False
        self._is_first = True  # of the messages on the connection since it was borrowed
        self._broken_count = 0
        self.counts: Counter[Fate] = Counter()
        self.doing = "starting"

    def run(self) -> None:
        try:
            self._work()
        except CannotConnect as error:
            self._explain(error.outcome)
        except redis.RedisError as error:
            log.warning("pace.unreachable mailing=%s account=%s error=%s", *self._ids, error)
            self._turns.come_back_in(REDIS_AWAY_SECONDS)
        except Exception:
            log.exception("lane.failed mailing=%s account=%s", *self._ids)
            self._load.trouble = "The worker met an error of its own; its log has the details."
        finally:
            self._leave()
            if self._connection is not None:
                if self._connection.announced is not None:
                    self._connection.close()
                connections.give_back(self._account, self._connection)
            self._load.wake.set()

    def sign(self) -> LaneSign:
        """What it does right now, for the monitor."""
        counts = self.counts
        rejected = counts[Fate.REJECTED] + counts[Fate.ACCOUNT_STOPPED]
        deferred = counts[Fate.DEFERRED] + counts[Fate.IN_DOUBT]
        doing = self.doing if self.is_alive() else "done"
        return LaneSign(doing, counts[Fate.ACCEPTED], deferred, rejected)

    def _work(self) -> None:
        """Send until there is nobody left. Raises: CannotConnect, redis.RedisError."""
        raise NotImplementedError

    def _leave(self) -> None:
        """Give back what was taken and not sent."""

    def _connected(self) -> Connection:
        if self._connection is None or not self._connection.usable:
            self.doing = "connecting"
            self._connection, self._was_used = connections.borrow(self._account)
            self._is_first = True
        return self._connection

    def _unfit(self, recipient: Recipient, error: Exception) -> Outcome:
        """The message cannot be made, which concerns this recipient alone."""
        if isinstance(error, TemplateProblem):
            return Outcome(Fate.REJECTED, "template", error.message)
        log.error("lane.unfit mailing=%s account=%s number=%s", *self._ids, recipient.number, exc_info=error)
        words = f"The message could not be made for this contact: {type(error).__name__}: {error}"
        return Outcome(Fate.REJECTED, "template", words)

    def _explain(self, outcome: Outcome) -> None:
        if outcome.fate is Fate.ACCOUNT_STOPPED:
            self._load.account_stopped = outcome
            self._load.stop.set()
        else:
            self._load.trouble = outcome.server_said


class MessageLane(Lane):
    """One message after the other, the next one announced along with it where the server takes that."""

    def __init__(self, load: Load, mold: Mold) -> None:
        super().__init__(load, mold)
        self._prepared: Ready | None = None

    def _work(self) -> None:
        upcoming: Ready | None = None
        while (ready := upcoming or self._next(wait=True)) is not None:
            upcoming = None
            upcoming = self._serve(ready)

    def _leave(self) -> None:
        if self._prepared:
            self._give_up(self._prepared)

    def _next(self, *, wait: bool) -> Ready | None:
        """The next recipient whose turn has come. wait: else only one whose turn is now."""
        while (recipient := self._load.next(wait=wait)) is not None:
            try:
                turn = self._turns.take(recipient, wait=wait)
            except redis.RedisError:
                self._turns.release(recipient)
                self._load.put_back(recipient)
                raise
            if turn is None:
                self._load.put_back(recipient)
                return None
            if turn > 0:
                self.doing = "waiting for its pace"
                if self._load.stop.wait(turn):
                    self._turns.not_sent(recipient)
                    self._load.put_back(recipient)
                    return None
            elif turn < 0 and wait:
                continue  # its domain has to wait; the others go on
            elif turn < 0:
                return None
            ready = self._personalize(recipient)
            if ready is not None:
                return ready
        return None

    def _personalize(self, recipient: Recipient) -> Ready | None:
        """The finished message; None: it cannot be made, which concerns this recipient alone and is reported."""
        try:
            pieces = self._mold.pieces(recipient)
            to = address(recipient.email)
        except Exception as error:
            outcome = self._unfit(recipient, error)
        else:
            sender = self._mold.envelope_sender(recipient)
            return Ready(recipient, Message(sender, to, pieces, has_no_dots=True))
        self._turns.not_sent(recipient)
        self._load.report(recipient, outcome)
        return None

    def _serve(self, ready: Ready) -> Ready | None:
        """Send it. Returns whom was announced along with it, to be sent next."""
        upcoming: Ready | None = None
        try:
            connection = self._connected()
            if self._load.is_lost:  # connecting took too long
                self._give_up(ready)
                return None
            self.doing = "sending"
            upcoming = self._upcoming()
            outcome = connection.send(ready.message, upcoming.message if upcoming else None, self._prepare)
            if self._is_stale(outcome) and not self._load.is_lost:
                self._connection, self._was_used = connections.borrow(self._account, fresh=True)
                outcome = self._connection.send(ready.message)
        except BaseException:
            for each in (upcoming, ready):
                if each:
                    self._give_up(each)
            raise
        try:
            self._record(ready.recipient, outcome)
        except CannotConnect:
            if upcoming:
                self._give_up(upcoming)
            raise
        finally:
            self._is_first = False
            self._turns.release(ready.recipient)
        return upcoming if upcoming and self._goes_on(upcoming) else None

    def _upcoming(self) -> Ready | None:
        """Whom to announce along with the message that is sent now.

        Nobody where lanes to a domain are counted: this message holds one, and its own follower would wait for it.
        """
        prepared, self._prepared = self._prepared, None
        if prepared and self._load.stop.is_set():
            self._give_up(prepared)
            return None
        return prepared or (None if self._account.domain_lanes else self._next(wait=False))

    def _prepare(self) -> None:
        """The message after the upcoming one, made while the server takes this one in."""
        if self._account.domain_lanes:
            return
        try:
            self._prepared = self._next(wait=False)
        except redis.RedisError:
            return  # met again where it can be told
        except Exception:  # the message that is sent now must not suffer from it
            log.exception("lane.unprepared mailing=%s account=%s", *self._ids)

    def _goes_on(self, upcoming: Ready) -> bool:
        """Whether to send what was named along with the last one: what the server waits for is ended, if it may."""
        connection = self._connection
        is_announced = connection is not None and connection.announced is upcoming.message
        if self._load.is_lost or (self._load.stop.is_set() and not is_announced):
            if connection is not None and is_announced:
                connection.close()
            self._give_up(upcoming)
            return False
        return True

    def _is_stale(self, outcome: Outcome) -> bool:
        """A kept connection that the server closed meanwhile says nothing about the message.

        Many say 421 before they hang up on an idle one; it is found as the answer to the first message after.
        """
        broken = self._connection is not None and not self._connection.usable
        if not (broken and self._was_used and outcome.fate is Fate.DEFERRED):
            return False
        return outcome.code == "dropped" or (self._is_first and outcome.code.startswith("421"))

    def _give_up(self, ready: Ready) -> None:
        self._turns.not_sent(ready.recipient)
        self._load.put_back(ready.recipient)

    def _record(self, recipient: Recipient, outcome: Outcome) -> None:
        self.counts[outcome.fate] += 1
        if outcome.fate is Fate.ACCOUNT_STOPPED:
            self._turns.not_sent(recipient)
            self._load.put_back(recipient)
            self._explain(outcome)
            return
        if outcome.fate is Fate.ACCEPTED:
            self._broken_count = 0
            self._was_used = True
            self._load.note(recipient, outcome.provider_id)
            self._turns.count(recipient)
        elif outcome.throttled:
            broken = self._connection is None or not self._connection.usable
            self._turns.slow_down(recipient, outcome, whole_account=broken or outcome.retry_after is not None)
        self._load.report(recipient, outcome)
        if outcome.fate is Fate.DEFERRED and self._connection is not None and not self._connection.usable:
            self._broken_count += 1
            if self._broken_count >= FAILURES_ALLOWED:
                # Not this recipient: the server takes nobody right now.
                raise CannotConnect(Outcome(Fate.DEFERRED, outcome.code, outcome.server_said))
