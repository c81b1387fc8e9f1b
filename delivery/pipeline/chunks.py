"""Lanes that send many messages in one call, to ESPs.

A call that may have been made is never made again unless the ESP knows it by its key: it is noted before, and where
no answer comes its recipients are in doubt until something comes back of them, or somebody decides.
"""

import logging
import uuid
from collections import deque
from collections.abc import Sequence
from itertools import groupby
from typing import cast

import redis

from delivery.pipeline.calls import UNKNOWN, Announced, Chunk, key_of
from delivery.pipeline.chunk_turns import ChunkTurns
from delivery.pipeline.lanes import FAILURES_ALLOWED, Lane
from delivery.pipeline.lease import Lease
from delivery.pipeline.mold import Recipient
from delivery.transports.base import Answer, BatchConnection, CannotConnect, Fate, Letter, Outcome, Skeleton

# Letters refused one by one, and none taken, after which the rest of a refused call is not asked about any more.
REFUSED_ALONE = 10
log = logging.getLogger(__name__)


class ChunkLane(Lane):
    """One session with an ESP: call after call, as many recipients in each as it takes."""

    _turns: ChunkTurns

    def _work(self) -> None:
        while (chunk := self._load.next_chunk(self._most)) is not None:
            leaving = self._admitted(chunk)
            if leaving is None:
                return
            if leaving.recipients and not self._serve(leaving):
                return

    @property
    def _most(self) -> int:
        """Of an ESP in trouble each try may leave its recipients in doubt, so it is tried with one."""
        return 1 if self._load.is_probing else self._turns.chunk_size

    def _admitted(self, chunk: Chunk) -> Chunk | None:
        """Those of them who may leave now; None: nobody may for longer, or the lanes are to stop."""
        try:
            is_whole = chunk.replaces is not None
            admitted, seconds, left = self._turns.take_all(chunk.recipients, is_whole=is_whole)
        except redis.RedisError:
            self._load.put_back_chunk(chunk)
            raise
        if left:
            self._load.put_back_chunk(chunk._replace(recipients=left))
        if seconds > 0:
            self.doing = "waiting for its pace"
            if self._load.stop.wait(seconds):
                self._give_back(chunk._replace(recipients=admitted))
                return None
        return None if left and not admitted else chunk._replace(recipients=admitted)

    def _serve(self, chunk: Chunk) -> bool:
        """Note the call, and make it. False: this worker is to make no more calls."""
        waiting = {each.number: each for each in chunk.recipients}  # of whom nothing is known yet
        try:
            self._connected()
            letters = self._letters(waiting)
            if not letters or (chunk.replaces and len(letters) < len(chunk.recipients)):
                return True
            call = Announced(uuid.uuid4(), chunk.lease, [letter.number for letter in letters])
            if self._load.is_lost or not self._load.announce(call):
                return False
            self.doing = "sending"
            try:
                self._make(chunk.lease, letters, waiting)
            finally:
                self._load.end_call(call.id)
            return True
        finally:
            is_changed = len(waiting) < len(chunk.recipients)
            if chunk.replaces and is_changed:  # it cannot be repeated as it was any more
                self._report([(each, UNKNOWN) for each in waiting.values()], waiting)
                self._load.end_call(chunk.replaces)
            elif waiting:
                self._give_back(chunk._replace(recipients=list(waiting.values())))

    def _letters(self, waiting: dict[int, Recipient]) -> list[Letter]:
        """Personalize; for whom it fails is reported and waits no longer."""
        letters, unfit = [], []
        for recipient in waiting.values():
            try:
                letters.append(self._mold.letter(recipient))
            except Exception as error:
                unfit.append((recipient, self._unfit(recipient, error)))
        for recipient, _ in unfit:
            self._turns.not_sent(recipient)
        self._report(unfit, waiting)
        # Those who get the same skeleton stand together, in an order that a repeated call has again.
        return sorted(letters, key=lambda letter: self._mold.of(waiting[letter.number]) is not self._mold)

    def _make(self, lease: Lease, letters: Sequence[Letter], waiting: dict[int, Recipient]) -> None:
        """The call, in as many parts as its size asks for, or one bad letter for whose sake it is refused."""
        connection = cast(BatchConnection, self._connected())
        parts = deque(
            part
            for skeleton, group in groupby(letters, lambda letter: self._skeleton(letter, waiting))
            for part in connection.cut(skeleton, list(group))
        )
        refused, is_any_taken = 0, False
        while parts and not (self._load.is_lost or self._load.stop.is_set()):
            part = parts.popleft()
            connection = cast(BatchConnection, self._connected())  # another one, where it broke
            answer = self._call(connection, lease, part, self._skeleton(part[0], waiting))
            if answer.is_refused and (is_any_taken or refused < REFUSED_ALONE):
                middle = len(part) // 2
                parts.extendleft((part[middle:], part[:middle]))
                continue
            fates = {outcome.fate for outcome in answer.outcomes}
            is_any_taken |= Fate.ACCEPTED in fates
            refused += len(part) == 1 and Fate.REJECTED in fates
            if not self._record(part, answer, waiting):
                return

    def _skeleton(self, letter: Letter, waiting: dict[int, Recipient]) -> Skeleton:
        """Whoever has not agreed to be watched gets another one."""
        return self._mold.of(waiting[letter.number]).skeleton

    def _call(
        self, connection: BatchConnection, lease: Lease, part: Sequence[Letter], skeleton: Skeleton
    ) -> Answer:
        key = key_of(lease, [letter.number for letter in part])
        try:
            return connection.send_letters(skeleton, part, key=key)
        except Exception as error:  # whether it was made is not known
            log.exception("lane.call_failed mailing=%s account=%s", *self._ids)
            connection.close()
            words = f"The worker met an error of its own in the call: {type(error).__name__}: {error}"
            return Answer([Outcome(Fate.IN_DOUBT, "in doubt", words)] * len(part))

    def _record(self, part: Sequence[Letter], answer: Answer, waiting: dict[int, Recipient]) -> bool:
        """Note and report what became of each; who was not sent to goes on waiting. False: make no more calls.

        Raises: CannotConnect: the ESP cannot be reached, or answers to nothing.
        """
        outcomes = [
            (waiting[letter.number], each) for letter, each in zip(part, answer.outcomes, strict=True)
        ]
        self.counts.update(each.fate for _, each in outcomes)
        taken = [(to, each) for to, each in outcomes if each.fate is Fate.ACCEPTED]
        if taken:
            self._load.is_probing = False
        self._load.note_all([(to.number, each.provider_id) for to, each in taken])
        self._turns.count_all([to for to, _ in taken])
        self._report([(to, each) for to, each in outcomes if not _is_unsent(each)], waiting)
        unsent = next((each for _, each in outcomes if _is_unsent(each)), None)
        if unsent is None:
            self._count_failures(answer.outcomes)
            return True
        if unsent.stops_all:
            self._explain(unsent)
        elif unsent.throttled:
            self._turns.slow_all_down(unsent)
        else:
            raise CannotConnect(unsent)
        return False

    def _count_failures(self, outcomes: Sequence[Outcome]) -> None:
        """Not these recipients: an ESP that fails twice in a row, or one call of many, takes nobody right now."""
        if any(each.fate in (Fate.ACCEPTED, Fate.REJECTED) for each in outcomes):
            self._broken_count = 0
            return
        self._broken_count += 1
        if self._broken_count >= FAILURES_ALLOWED or len(outcomes) > 1 or self._load.is_probing:
            raise CannotConnect(Outcome(Fate.DEFERRED, outcomes[0].code, outcomes[0].server_said))

    def _report(self, outcomes: Sequence[tuple[Recipient, Outcome]], waiting: dict[int, Recipient]) -> None:
        self._load.report_all(outcomes)
        for recipient, _ in outcomes:
            self._turns.release(recipient)
            del waiting[recipient.number]

    def _give_back(self, chunk: Chunk) -> None:
        self._turns.none_sent(chunk.recipients)
        self._load.put_back_chunk(chunk)


def _is_unsent(outcome: Outcome) -> bool:
    """Nothing of it was taken, and not for the recipient's sake: it is sent later, or by another account."""
    if outcome.fate is Fate.DEFERRED:
        return outcome.throttled or outcome.code == "dropped"
    return outcome.stops_all
