"""Lanes: the connections of one worker that send a batch side by side, each in order.

Lanes only personalize, send and note what was accepted; `work.py` settles what they report.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterable

import redis

from delivery.liquid import TemplateProblem
from delivery.models import SendingAccount
from delivery.pipeline import connections, pace
from delivery.pipeline.journal import Journal
from delivery.pipeline.mime import address
from delivery.pipeline.mold import Mold, Recipient
from delivery.pipeline.settle import Result
from delivery.transports.base import CannotConnect, Connection, Fate, Message, Outcome

LONGEST_PAUSE = 2.0  # seconds a lane waits for its turn; beyond, the batch is given back
REDIS_AWAY_SECONDS = 1.0
log = logging.getLogger(__name__)


class Load:
    """What the lanes of one batch share: recipients to send to, results to settle, and why they stopped."""

    def __init__(self, recipients: Iterable[Recipient], attempts: dict[int, int]) -> None:
        self._waiting = deque(recipients)
        self._attempts = attempts
        self._results: deque[Result] = deque()
        self.stop = threading.Event()
        self.fence = time.monotonic()  # until then the lease is surely ours
        self.trouble = ""  # why a lane could not connect
        self.account_stopped: Outcome | None = None
        self.wait_seconds = 0.0  # the pace asked to come back later

    def next(self) -> Recipient | None:
        if self.stop.is_set() or time.monotonic() > self.fence:
            return None
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def put_back(self, recipient: Recipient) -> None:
        self._waiting.appendleft(recipient)

    def report(self, recipient: Recipient, outcome: Outcome) -> None:
        self._results.append(Result(recipient.number, outcome, self._attempts[recipient.number]))

    def take_results(self) -> list[Result]:
        return [self._results.popleft() for _ in range(len(self._results))]


class Lane(threading.Thread):
    """One connection's work on a batch, until nobody waits or the load says stop."""

    def __init__(self, load: Load, mold: Mold, account: SendingAccount, batch_id: int) -> None:
        super().__init__(name=f"lane of batch {batch_id}", daemon=True)
        self._load, self._mold, self._account = load, mold, account
        self._journal = Journal(batch_id)
        self._connection: Connection | None = None

    def run(self) -> None:
        try:
            while (recipient := self._load.next()) is not None:
                if not self._has_turn():
                    self._load.put_back(recipient)
                    return
                self._serve(recipient)
        except CannotConnect as error:
            self._explain(error.outcome)
        except Exception:
            log.exception("lane.failed account=%s", self._account.pk)
            self._load.trouble = "The worker met an error of its own; its log has the details."
        finally:
            self._journal.close()
            if self._connection is not None:
                connections.give_back(self._account, self._connection)

    def _serve(self, recipient: Recipient) -> None:
        try:
            data = self._mold.fill(recipient)
        except TemplateProblem as error:
            self._load.report(recipient, Outcome(Fate.REJECTED, "template", error.message))
            return
        try:
            outcome = self._send(Message(self._mold.sender, address(recipient.email), data))
        except BaseException:
            self._load.put_back(recipient)
            raise
        if outcome.fate is Fate.ACCOUNT_STOPPED:
            self._load.put_back(recipient)
            self._explain(outcome)
            return
        if outcome.fate is Fate.ACCEPTED:
            self._journal.note(recipient.number, outcome.provider_id)
        self._load.report(recipient, outcome)

    def _send(self, message: Message) -> Outcome:
        """Send, once more on a fresh connection where a kept one turns out to be closed by the server."""
        was_used = True
        if self._connection is None or not self._connection.usable:
            self._connection, was_used = connections.borrow(self._account)
        outcome = self._connection.send(message)
        lost = outcome.fate is Fate.DEFERRED and not self._connection.usable and outcome.code != "in doubt"
        if lost and was_used:
            self._connection, _ = connections.borrow(self._account, fresh=True)
            outcome = self._connection.send(message)
        return outcome

    def _has_turn(self) -> bool:
        """Wait for the account's pace; False where the wait is long or the batch stops."""
        rate = self._account.rate_per_second
        if not rate:
            return True
        try:
            wait = pace.reserve(self._account.pk, per_second=rate, longest_wait=LONGEST_PAUSE)
        except redis.RedisError as error:
            log.warning("pace.unreachable account=%s error=%s", self._account.pk, error)
            self._load.wait_seconds = REDIS_AWAY_SECONDS
            return False
        if wait < 0:
            self._load.wait_seconds = -wait
            return False
        return not (wait and self._load.stop.wait(wait))

    def _explain(self, outcome: Outcome) -> None:
        if outcome.fate is Fate.ACCOUNT_STOPPED:
            self._load.account_stopped = outcome
            self._load.stop.set()
        else:
            self._load.trouble = outcome.server_said
