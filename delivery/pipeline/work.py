"""Work one batch: claim it, load it, send it over the account's lanes, settle as it goes, give it back."""

import logging
import os
import socket
import time
from collections import OrderedDict
from dataclasses import dataclass

from delivery import mailings
from delivery.content import Content
from delivery.models import Mailing
from delivery.pipeline import journal, lease, meter
from delivery.pipeline.lanes import Lane, Load
from delivery.pipeline.lease import FENCE_SECONDS, Lease
from delivery.pipeline.load import load
from delivery.pipeline.mold import Frame, Mold
from delivery.pipeline.settle import Result, cancel_range, settle
from delivery.transports.base import Fate, Outcome

SETTLE_EVERY = 0.25  # seconds; what a crash without Redis could repeat, and how soon a pause is noticed
TROUBLE_WAIT = 10.0  # seconds until a batch that could not connect is tried again
MOLDS_KEPT = 8
log = logging.getLogger(__name__)
_molds: OrderedDict[int, Mold] = OrderedDict()


@dataclass(frozen=True)
class Report:
    """One job's line in the log. state: of the batch after it."""

    batch_id: int
    settled: int
    seconds: float
    state: str | None


def work_batch(mailing_id: int) -> Report | None:
    """Send the mailing's oldest batch that is due; None when there is none (paused, finished, others have it)."""
    held = lease.claim(mailing_id, worker=f"{socket.gethostname()}:{os.getpid()}")
    if held is None:
        return None
    began = time.monotonic()
    mailing = Mailing.objects.select_related("account", "workspace").get(pk=mailing_id)
    batch = _Batch(mailing, held)
    try:
        batch.send()
    finally:
        state = batch.give_back()
    return Report(held.batch_id, batch.settled_count, time.monotonic() - began, state)


class _Batch:
    """One lease being worked on."""

    def __init__(self, mailing: Mailing, held: Lease) -> None:
        self.mailing, self.held = mailing, held
        self.settled_count = 0
        self._wait = 0.0

    def send(self) -> None:
        began = time.monotonic()
        loaded = load(self.mailing, self.held)
        noted = journal.read(self.held.batch_id)
        known = [
            Result(
                each.number,
                Outcome(Fate.ACCEPTED, provider_id=noted[each.number]),
                loaded.attempts[each.number],
            )
            for each in loaded.recipients
            if each.number in noted
        ]
        state = settle(self.mailing, known, skipped=loaded.skipped)
        waiting = [each for each in loaded.recipients if each.number not in noted]
        if not waiting or state != "sending":
            return
        shared = Load(waiting, loaded.attempts)
        shared.fence = began + FENCE_SECONDS
        self._run(shared, count=min(self.mailing.account.lanes, len(waiting)))

    def _run(self, shared: Load, *, count: int) -> None:
        mold = mold_of(self.mailing)
        lanes = [Lane(shared, mold, self.mailing.account, self.held.batch_id) for _ in range(count)]
        for lane in lanes:
            lane.start()
        try:
            while any(lane.is_alive() for lane in lanes):
                _join(lanes, SETTLE_EVERY)
                self._settle(shared)
        finally:
            shared.stop.set()
            _join(lanes, None)
            self._settle(shared)
        self._react(shared)

    def _settle(self, shared: Load) -> None:
        """Write what the lanes reported, hold the lease, and stop when somebody paused or took the batch over."""
        asked_at = time.monotonic()
        results = shared.take_results()
        if results:
            state = settle(self.mailing, results)
            self.settled_count += len(results)
            meter.record(self.mailing.pk, len(results))
        else:
            state = Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk)
        if state != "sending" or not lease.renew(self.held):
            shared.stop.set()
        else:
            shared.fence = asked_at + FENCE_SECONDS

    def _react(self, shared: Load) -> None:
        """What stopped the lanes concerns the account or the moment, not a recipient."""
        if shared.account_stopped:
            mailings.stop_account(self.mailing, shared.account_stopped.server_said)
        elif shared.trouble and not self.settled_count:
            self._wait = TROUBLE_WAIT
            mailings.note_trouble(self.mailing, shared.trouble)
        else:
            self._wait = shared.wait_seconds

    def give_back(self) -> str | None:
        """Release the lease, close what a cancel left open, and finish the mailing when this was the last batch."""
        mailing_state = Mailing.objects.values_list("state", flat=True).get(pk=self.mailing.pk)
        if mailing_state == "canceled":
            cancel_range(self.mailing.pk, self.held.first, self.held.last)
        state = lease.release(self.held, wait_seconds=self._wait)
        if state == "done":
            journal.forget(self.held.batch_id)
            mailings.finish_if_done(self.mailing.pk)
        return state


def _join(lanes: list[Lane], seconds: float | None) -> None:
    """Wait until all lanes ended, at most so long."""
    deadline = None if seconds is None else time.monotonic() + seconds
    for lane in lanes:
        lane.join(None if deadline is None else max(0.0, deadline - time.monotonic()))


def mold_of(mailing: Mailing) -> Mold:
    """The mailing's mold, compiled once in this process."""
    if mailing.pk not in _molds:
        _molds[mailing.pk] = Mold(Content(**mailing.content), frame_of(mailing))
        while len(_molds) > MOLDS_KEPT:
            _molds.popitem(last=False)
    _molds.move_to_end(mailing.pk)
    return _molds[mailing.pk]


def frame_of(mailing: Mailing) -> Frame:
    return Frame(
        mailing_id=mailing.pk,
        workspace_id=mailing.workspace_id,
        workspace_name=mailing.workspace.name,
        postal_address=mailing.workspace.postal_address,
        campaign_name=mailing.name,
        is_test=mailing.is_test,
    )
