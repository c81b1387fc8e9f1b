"""Lanes: the connections of one worker that send its batches side by side, each in order.

Lanes only personalize, keep the pace, send and note what was accepted; `work.py` settles what they report. Here are
those that send one message after the other; `chunks.py` has those that send many in one call.
"""

import logging
import threading
from collections import Counter
from typing import NamedTuple

import redis

from delivery.domains.signing import Signer
from delivery.liquid import TemplateProblem
from delivery.pipeline import connections
from delivery.pipeline.exchange import Load
from delivery.pipeline.mime import address
from delivery.pipeline.mold import Mold, Recipient
from delivery.pipeline.signs import LaneSign
from delivery.transports.base import CannotConnect, Connection, Fate, Message, Outcome

FAILURES_ALLOWED = 2  # connections that broke one after the other; then the lane ends, and the batch waits
REDIS_AWAY_SECONDS = 1.0
log = logging.getLogger(__name__)


class Ready(NamedTuple):
    """A recipient whose turn has come, with the finished message."""

    recipient: Recipient
    message: Message


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
        rejected = counts[Fate.REJECTED] + counts[Fate.SENDER_REFUSED] + counts[Fate.ACCOUNT_STOPPED]
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
        if outcome.stops_all:
            self._load.refused = outcome
            self._load.stop.set()
        else:
            self._load.trouble = outcome.server_said


class MessageLane(Lane):
    """One message after the other, the next one announced along with it where the server takes that."""

    def __init__(self, load: Load, mold: Mold, signer: Signer | None = None) -> None:
        super().__init__(load, mold)
        self._signer = signer
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
            if self._signer:
                pieces = [self._signer.sign(pieces), *pieces]
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
        if outcome.stops_all:
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
