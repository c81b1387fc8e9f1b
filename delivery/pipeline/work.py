"""Work on a mailing for a slice of time: claim batches, send them over the account's lanes, settle as it goes.

The next batch is claimed and loaded while the lanes still send the last one, so that they never wait for it.
"""

import logging
import time
from bisect import bisect_left, bisect_right
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

import redis

from accounts.queue import leaving, process_name
from delivery import mailings, quota
from delivery.domains.signing import Signer, signer_for
from delivery.models import Mailing
from delivery.pipeline import calls, dispatch, journal, lease, meter, signs
from delivery.pipeline.chunk_turns import ChunkTurns
from delivery.pipeline.chunks import ChunkLane
from delivery.pipeline.exchange import Load
from delivery.pipeline.journal import Journal
from delivery.pipeline.lanes import Lane, MessageLane
from delivery.pipeline.lease import FENCE_SECONDS, Lease
from delivery.pipeline.load import NEVER, load
from delivery.pipeline.mold import Mold
from delivery.pipeline.molds import mold_of
from delivery.pipeline.settle import Result, Standing, settle
from delivery.pipeline.turns import Turns
from delivery.providers import PROVIDERS
from delivery.secrets import SecretsLost
from delivery.transports.base import Fate

SETTLE_EVERY = 0.25  # seconds; what a crash without Redis could repeat, and how soon a pause is noticed
# How long a mailing keeps a worker that another one waits for; what is left of its batches waits its turn then.
SLICE_SECONDS = 2.0
LONGEST_SLICE = 10.0  # where nobody waits
# By one worker at once: one in the air, one waiting, one whose last answers are awaited; and one more for each lane
# that takes a whole one at once.
BATCHES_HELD = 3
ANNOUNCE_EVERY = 0.02  # seconds, at the slice's end: lanes wait for it with their last calls
TROUBLE_WAIT = 10.0  # seconds until a mailing whose account could not be reached is tried again
REDIS_AWAY_WAIT = 1.0
LONGEST_WAIT = 60.0  # of one batch for its pace; a limit may be raised meanwhile
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """One job's line in the log. batch_ids: worked on. is_held: nothing more can be done for now."""

    batch_ids: list[int]
    settled: int
    seconds: float
    is_held: bool


@dataclass
class Held:
    """A batch in work. left: recipients that were loaded and not settled yet."""

    lease: Lease
    journal: Journal
    left: int = 0


def work_slice(mailing_id: int) -> Report | None:
    """Send the mailing's batches that are due, the oldest first; None when there is none (paused, others have them)."""
    began = time.monotonic()
    first = lease.claim(mailing_id, worker=process_name())
    if first is None:
        return None
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=mailing_id)
    work = _Slice(mailing, began)
    try:
        work.send(first)
    except BaseException:
        work.is_broken = True
        raise
    finally:
        work.give_back()
    return Report(work.batch_ids, work.settled_count, time.monotonic() - began, work.is_held)


class _Slice:
    """The leases that a worker holds on one mailing, and the lanes that send them."""

    # Made when the first lease is held, so that it is given back where that fails.
    _mold: Mold
    _signer: Signer | None

    def __init__(self, mailing: Mailing, began: float) -> None:
        self.mailing = mailing
        self.batch_ids: list[int] = []
        self.settled_count = self.accepted_count = 0
        self.is_held = False
        self.is_broken = False  # acceptances may stand in the journals alone
        self._held: list[Held] = []
        self._lanes: list[Lane] = []
        self._began = began
        self._wait = 0.0
        self._settled_at = began
        self._may_stay = True  # beyond SLICE_SECONDS
        self._shown_at = 0.0
        self._provider = PROVIDERS[mailing.account.provider]
        at_once = mailing.account.lanes * self._provider.most  # recipients
        self._batches_most = BATCHES_HELD + at_once // max(mailing.batch_size, 1)

    def send(self, first: Lease) -> None:
        """Send the first batch and those after it, until the slice is over or nothing is left to do."""
        self._hold(first)
        self._mold = mold_of(self.mailing)
        try:
            self._signer = signer_for(self.mailing.account, self.mailing.content["from_email"])
            quota.refresh(self.mailing.account)
            turns = ChunkTurns(self.mailing, self._provider) if self._provider.is_esp else Turns(self.mailing)
        except SecretsLost as error:  # nothing leaves unsigned that was to be signed
            mailings.note_trouble(self.mailing, error.message)
            self._pause(TROUBLE_WAIT)
            return
        except redis.RedisError as error:
            log.warning("pace.unreachable mailing=%s error=%s", self.mailing.pk, error)
            self._pause(REDIS_AWAY_WAIT)
            return
        shared = Load(turns, fence=self._began + FENCE_SECONDS)
        shared.is_probing = self._provider.is_esp and self.mailing.trouble_since is not None
        try:
            self._load(shared, self._held[0])
            self._run(shared)
        except BaseException:
            shared.stop.set()
            raise
        finally:
            shared.end()
            self._end(shared)
        self._react(shared)

    def _run(self, shared: Load) -> None:
        while not self._is_over(shared):
            self._fill_up(shared)
            if not self._staff(shared):
                return
            shared.wake.wait(max(0.0, self._settled_at + SETTLE_EVERY - time.monotonic()))
            shared.wake.clear()
            self._announce(shared)
            if time.monotonic() >= self._settled_at + SETTLE_EVERY:
                self._settle(shared)
            self._show()

    def _is_over(self, shared: Load) -> bool:
        seconds = time.monotonic() - self._began
        is_long = seconds > SLICE_SECONDS and (seconds > LONGEST_SLICE or not self._may_stay)
        return is_long or shared.stop.is_set() or leaving.is_set()

    def _staff(self, shared: Load) -> bool:
        """Start as many lanes as there is work for, once each. Returns whether any is at work."""
        shares = -(-shared.waiting_count // self._provider.most)
        lanes = 1 if shared.is_probing else self.mailing.account.lanes
        wanted = min(lanes, len(self._lanes) + shares)
        while len(self._lanes) < wanted and not shared.stop.is_set():
            lane = (
                ChunkLane(shared, self._mold)
                if self._provider.is_esp
                else MessageLane(shared, self._mold, self._signer)
            )
            lane.start()
            self._lanes.append(lane)
        return any(lane.is_alive() for lane in self._lanes)

    # --- Batches ----------------------------------------------------------------------------------------

    def _hold(self, held: Lease) -> None:
        self._held.append(Held(held, Journal(held)))
        self.batch_ids.append(held.batch_id)

    def _fill_up(self, shared: Load) -> None:
        """Claim and load more while the last batch is sent; close the load where there is none."""
        while shared.is_low and not self._is_over(shared):
            if len(self._held) >= self._batches_most:
                self._settle(shared)  # those that are through make room
            claimed = None
            if len(self._held) < self._batches_most and not shared.turns.wait_seconds:
                claimed = lease.claim(
                    self.mailing.pk, worker=process_name(), account_id=self.mailing.account_id
                )
            if claimed is None:
                shared.close()
            else:
                self._hold(claimed)
                self._load(shared, self._held[-1])

    def _load(self, shared: Load, held: Held) -> None:
        """Hand the batch's open recipients to the lanes; whom an earlier holder reached is settled first."""
        loaded = load(self.mailing, held.lease, attributes=self._mold.attributes)
        try:
            noted = journal.read(held.lease.batch_key)
        except redis.RedisError as error:
            log.warning("journal.unreachable mailing=%s error=%s", self.mailing.pk, error)
            shared.turns.come_back_in(REDIS_AWAY_WAIT)
            shared.stop.set()
            return
        reached = dict.fromkeys(loaded.reached, "") | noted
        left = calls.left_of(self.mailing, held.lease, loaded, reached)
        known = [
            *((number, mailings.accepted(provider_id)) for number, provider_id in reached.items()),
            *((number, calls.UNKNOWN) for number in left.doubtful),
        ]
        results = [Result(number, outcome, loaded.tried.get(number, NEVER)) for number, outcome in known]
        done = reached.keys() | left.doubtful
        skipped = {number: why for number, why in loaded.skipped.items() if number not in done}
        if results or skipped or left.ids:
            standing = settle(self.mailing, results, skipped=skipped, calls=left.ids)
            if standing.state != "sending":
                shared.stop.set()
        waiting = [each for each in loaded.recipients if each.number not in done]
        held.left = len(waiting)
        apart = {each.number for chunk in left.repeats for each in chunk.recipients}
        others = [each for each in waiting if each.number not in apart]
        shared.add(others, loaded.tried, held.journal, left.repeats)
        self._release_through()

    def give_back(self) -> None:
        """Release what is held, close what a cancel left open, and finish the mailing when nothing is left."""
        self._release_all(self._held)
        self._held = []

    def _release_through(self) -> None:
        """Give back the batches of which nobody is waiting or on the wire."""
        through = [held for held in self._held if held.left == 0]
        self._held = [held for held in self._held if held.left > 0]
        self._release_all(through)

    def _release_all(self, through: list[Held]) -> None:
        """Each of them, whatever fails with another."""
        with ExitStack() as stack:
            for held in through:
                stack.callback(self._release, held)

    def _release(self, held: Held) -> None:
        """Acceptances that are not settled go to where every host finds them first; else the lease has to expire."""
        is_settled = not self.is_broken or held.left == 0
        held.journal.close(is_settled=is_settled)
        if not is_settled:
            journal.hand_over()
            if held.journal.is_left:
                return
        self._release_lease(held.lease)

    def _release_lease(self, held: Lease) -> None:
        mailing_state = Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk)
        if mailing_state == "canceled":
            try:
                mailings.close_range(self.mailing, held.batch_key, held.first, held.last)
            except redis.RedisError:
                return  # the sweeper closes it when Redis is back
        if lease.release(held, wait_seconds=self._wait) == "done":
            journal.forget(held.batch_key)
            mailings.finish_if_done(self.mailing.pk)

    def _announce(self, shared: Load) -> None:
        """Note the calls that lanes are about to make."""
        asked = shared.take_announced()
        if not asked:
            return
        noted: set[UUID] = set()
        try:
            account_id = self.mailing.account_id
            noted = calls.announce([each.call for each in asked], account_id=account_id)
        finally:
            for each in asked:
                each.answer(may_be_made=each.call.id in noted)

    # --- Settlement -------------------------------------------------------------------------------------

    def _settle(self, shared: Load) -> None:
        """Write what the lanes reported, hold the leases, and stop when somebody paused or took a batch over."""
        self._settled_at = asked_at = time.monotonic()
        is_ours = lease.renew([held.lease for held in self._held])
        if is_ours:
            shared.fence = asked_at + FENCE_SECONDS
        standing = self._write(shared)
        shared.settled_at = time.monotonic()
        if standing.is_refused_too_often and not shared.stop.is_set():
            mailings.pause_refused(self.mailing)
            shared.stop.set()
        if standing.state != "sending" or not is_ours:
            shared.stop.set()
        try:
            shared.turns.refresh()
            if time.monotonic() > self._began + SLICE_SECONDS - 2 * SETTLE_EVERY:
                self._may_stay = all(lane.is_alive() for lane in self._lanes) and self._is_alone()
        except redis.RedisError as error:
            log.warning("pace.unreachable mailing=%s error=%s", self.mailing.pk, error)
            self._may_stay = False

    def _is_alone(self) -> bool:
        """Whether no other mailing waits for a worker, and nobody changed meanwhile what the slice goes by."""
        if dispatch.queued_by_mailing().keys() - {self.mailing.pk}:
            return False
        return Mailing.objects.filter(
            pk=self.mailing.pk,
            rate_per_second=self.mailing.rate_per_second,
            account_id=self.mailing.account_id,
            account__updated_at=self.mailing.account.updated_at,
            workspace__pause_at_rejected_percent=self.mailing.workspace.pause_at_rejected_percent,
            workspace__repeats_in_doubt=self.mailing.workspace.repeats_in_doubt,
        ).exists()

    def _write(self, shared: Load) -> Standing:
        """Results into the ledger, and release the batches that are through with them."""
        ended = shared.take_ended_calls()
        results = shared.take_results()
        if not results:
            if ended:
                calls.forget(ended)
            return Standing(Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk))
        try:
            standing = settle(self.mailing, results, calls=ended)
        except BaseException:
            shared.put_back_results(results, ended)  # the database may be back when the slice ends
            raise
        accepted = sum(result.outcome.fate == "accepted" for result in results)
        self.settled_count += len(results)
        self.accepted_count += accepted
        meter.record(self.mailing.pk, accepted)
        numbers = sorted(result.number for result in results)
        for held in self._held:
            held.left -= bisect_right(numbers, held.lease.last) - bisect_left(numbers, held.lease.first)
        self._release_through()
        return standing

    def _end(self, shared: Load) -> None:
        """Wait for what is on the wire; the batches stay ours meanwhile. No lane outlives it, whatever fails here."""
        try:
            while any(lane.is_alive() for lane in self._lanes):
                _join(self._lanes, ANNOUNCE_EVERY)
                self._announce(shared)
                if time.monotonic() >= self._settled_at + SETTLE_EVERY:
                    self._settle(shared)
            self._settle(shared)
            self._show()
        finally:
            shared.is_over = True
            for lane in self._lanes:
                lane.join()
            shared.turns.close()

    def _show(self) -> None:
        """Be seen at work, once a second."""
        if time.monotonic() - self._shown_at >= signs.EVERY_SECONDS:
            self._shown_at = time.monotonic()
            seen = [lane.sign() for lane in self._lanes]
            signs.show(process_name(), self.mailing.pk, self.batch_ids[-1], self._began, seen)

    # --- Why it ended -----------------------------------------------------------------------------------

    def _react(self, shared: Load) -> None:
        """What stopped the lanes concerns the sender, the account or the moment, not a recipient."""
        if shared.refused and shared.refused.fate is Fate.SENDER_REFUSED:
            mailings.refuse_sender(self.mailing, shared.refused.server_said)
        elif shared.refused:
            mailings.stop_account(self.mailing.account, shared.refused.server_said)
        elif shared.trouble and not self.accepted_count:
            mailings.note_trouble(self.mailing, shared.trouble)
            self._pause(TROUBLE_WAIT)
        elif shared.turns.why or (shared.turns.wait_seconds and not self.settled_count):
            self._pause(shared.turns.wait_seconds, shared.turns.why)
        else:
            self._wait = min(shared.turns.wait_seconds, LONGEST_WAIT)

    def _pause(self, seconds: float, why: str = "") -> None:
        """Nothing of the whole mailing can be done for so long: other batches of it would meet the same."""
        self.is_held = True
        mailings.hold(self.mailing, seconds, why)


def _join(lanes: list[Lane], seconds: float) -> None:
    """Wait until all lanes ended, at most so long."""
    deadline = time.monotonic() + seconds
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))
