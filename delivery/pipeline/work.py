"""Work one batch: claim it, load it, send it over the account's lanes, settle as it goes, give it back."""

import logging
import os
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass

import redis

from accounts.models import Workspace
from delivery import mailings
from delivery.content import Content
from delivery.models import Mailing
from delivery.pipeline import journal, lease, meter, signs
from delivery.pipeline.lanes import Lane, Load
from delivery.pipeline.lease import FENCE_SECONDS, Lease
from delivery.pipeline.load import NEVER, load
from delivery.pipeline.mold import Frame, Mold
from delivery.pipeline.settle import Result, Standing, settle
from delivery.pipeline.turns import Turns

SETTLE_EVERY = 0.25  # seconds; what a crash without Redis could repeat, and how soon a pause is noticed
# How long a batch keeps a worker; what is left of it waits its turn behind the other mailings' batches.
SLICE_SECONDS = 2.0
TROUBLE_WAIT = 10.0  # seconds until a mailing whose account could not be reached is tried again
REDIS_AWAY_WAIT = 1.0
LONGEST_WAIT = 60.0  # of one batch for its pace; a limit may be raised meanwhile
MOLDS_KEPT = 8
WORKER = f"{socket.gethostname()}:{os.getpid()}"
log = logging.getLogger(__name__)
_molds: OrderedDict[int, Mold] = OrderedDict()


@dataclass(frozen=True)
class Report:
    """One job's line in the log. state: of the batch after it. is_held: nothing more can be done for now."""

    batch_id: int
    settled: int
    seconds: float
    state: str | None
    is_held: bool


def work_batch(mailing_id: int) -> Report | None:
    """Send the mailing's oldest batch that is due; None when there is none (paused, finished, others have it)."""
    began = time.monotonic()
    held = lease.claim(mailing_id, worker=WORKER)
    if held is None:
        return None
    mailing = Mailing.objects.select_related("account__workspace", "workspace").get(pk=mailing_id)
    batch = _Batch(mailing, held, began)
    try:
        batch.send()
    finally:
        state = batch.give_back()
    return Report(held.batch_id, batch.settled_count, time.monotonic() - began, state, batch.is_held)


class _Batch:
    """One lease being worked on."""

    def __init__(self, mailing: Mailing, held: Lease, claimed_at: float) -> None:
        self.mailing, self.held = mailing, held
        self.settled_count = self.accepted_count = 0
        self.is_held = False
        self._claimed_at = claimed_at
        self._wait = 0.0
        self._shown_at = 0.0

    def send(self) -> None:
        loaded = load(self.mailing, self.held)
        noted = journal.read(self.held.batch_key)
        known = [
            Result(number, mailings.accepted(provider_id), loaded.tried.get(number, NEVER))
            for number, provider_id in noted.items()
        ]
        skipped = {number: why for number, why in loaded.skipped.items() if number not in noted}
        standing = settle(self.mailing, known, skipped=skipped)
        waiting = [each for each in loaded.recipients if each.number not in noted]
        if not waiting or standing.state != "sending":
            return
        try:
            turns = Turns(self.mailing)
        except redis.RedisError as error:
            log.warning("pace.unreachable mailing=%s error=%s", self.mailing.pk, error)
            self._hold(REDIS_AWAY_WAIT)
            return
        shared = Load(waiting, loaded.tried, turns)
        shared.fence = self._claimed_at + FENCE_SECONDS
        self._run(shared, count=min(self.mailing.account.lanes, len(waiting)))

    def _run(self, shared: Load, *, count: int) -> None:
        mold = mold_of(self.mailing)
        lanes = [Lane(shared, mold, self.held) for _ in range(count)]
        for lane in lanes:
            lane.start()
        ends_at = time.monotonic() + SLICE_SECONDS
        try:
            while any(lane.is_alive() for lane in lanes):
                _join(lanes, SETTLE_EVERY)
                self._settle(shared)
                self._show(lanes)
                if time.monotonic() > ends_at:
                    shared.stop.set()
        finally:
            shared.stop.set()
            self._end(shared, lanes)
        self._react(shared)

    def _end(self, shared: Load, lanes: list[Lane]) -> None:
        """Wait for what is on the wire; the batch stays ours meanwhile. No lane outlives it, whatever fails here."""
        try:
            while any(lane.is_alive() for lane in lanes):
                _join(lanes, SETTLE_EVERY)
                self._settle(shared)
            self._settle(shared)
        finally:
            for lane in lanes:
                lane.join()
            shared.turns.close()

    def _settle(self, shared: Load) -> None:
        """Write what the lanes reported, hold the lease, and stop when somebody paused or took the batch over."""
        asked_at = time.monotonic()
        is_ours = lease.renew(self.held)
        if is_ours:
            shared.fence = asked_at + FENCE_SECONDS
        results = shared.take_results()
        if results:
            standing = settle(self.mailing, results)
            self.settled_count += len(results)
            accepted = sum(result.outcome.fate == "accepted" for result in results)
            self.accepted_count += accepted
            meter.record(self.mailing.pk, accepted)
        else:
            standing = Standing(Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk))
        if standing.is_refused_too_often and not shared.stop.is_set():
            mailings.pause_refused(self.mailing)
            shared.stop.set()
        if standing.state != "sending" or not is_ours:
            shared.stop.set()
        self._refresh(shared)

    def _refresh(self, shared: Load) -> None:
        try:
            shared.turns.refresh()
        except redis.RedisError as error:
            log.warning("pace.unreachable mailing=%s error=%s", self.mailing.pk, error)

    def _show(self, lanes: list[Lane]) -> None:
        """Be seen at work, once a second."""
        if time.monotonic() - self._shown_at >= signs.EVERY_SECONDS:
            self._shown_at = time.monotonic()
            seen = [lane.sign() for lane in lanes]
            signs.show(WORKER, self.mailing.pk, self.held.batch_id, self._claimed_at, seen)

    def _react(self, shared: Load) -> None:
        """What stopped the lanes concerns the account or the moment, not a recipient."""
        if shared.account_stopped:
            mailings.stop_account(self.mailing.account, shared.account_stopped.server_said)
        elif shared.trouble and not self.accepted_count:
            mailings.note_trouble(self.mailing, shared.trouble)
            self._hold(TROUBLE_WAIT)
        elif shared.turns.why or (shared.turns.wait_seconds and not self.settled_count):
            self._hold(shared.turns.wait_seconds, shared.turns.why)
        else:
            self._wait = min(shared.turns.wait_seconds, LONGEST_WAIT)

    def _hold(self, seconds: float, why: str = "") -> None:
        """Nothing of the whole mailing can be done for so long: other batches of it would meet the same."""
        self.is_held = True
        mailings.hold(self.mailing, seconds, why)

    def give_back(self) -> str | None:
        """Release the lease, close what a cancel left open, and finish the mailing when this was the last batch."""
        mailing_state = Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk)
        if mailing_state == "canceled":
            mailings.close_range(self.mailing, self.held.batch_key, self.held.first, self.held.last)
        state = lease.release(self.held, wait_seconds=self._wait)
        if state == "done":
            journal.forget(self.held.batch_key)
            mailings.finish_if_done(self.mailing.pk)
        return state


def _join(lanes: list[Lane], seconds: float) -> None:
    """Wait until all lanes ended, at most so long."""
    deadline = time.monotonic() + seconds
    for lane in lanes:
        lane.join(max(0.0, deadline - time.monotonic()))


def mold_of(mailing: Mailing) -> Mold:
    """The mailing's mold, compiled once in this process."""
    if mailing.pk not in _molds:
        _molds[mailing.pk] = Mold(Content(**mailing.content), frame_of(mailing))
        while len(_molds) > MOLDS_KEPT:
            _molds.popitem(last=False)
    _molds.move_to_end(mailing.pk)
    return _molds[mailing.pk]


def frame_of(mailing: Mailing) -> Frame:
    """What all its messages have in common, frozen at the launch."""
    said = mailing.frame or said_of(mailing.workspace)
    return Frame(
        mailing_id=mailing.pk,
        workspace_id=mailing.workspace_id,
        workspace_name=said["workspace_name"],
        postal_address=said["postal_address"],
        campaign_name=mailing.name,
        is_test=mailing.is_test,
    )


def said_of(workspace: Workspace) -> dict[str, str]:
    """What a mailing keeps of its workspace: later changes in its settings are for later mailings."""
    return {"workspace_name": workspace.name, "postal_address": workspace.postal_address}
