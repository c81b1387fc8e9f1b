"""Send a mailing to sinks that tell when each message came, and say how fast it went."""

import time
from collections.abc import Sequence
from itertools import chain
from subprocess import Popen

from bench.processes import OwnSink
from bench.world import an_account, launch, wait_for_end, workspace_with_contacts


def a_run(
    messages: int,
    running: Sequence[Popen],
    *,
    sinks: Sequence[OwnSink],
    lanes: int,
    kb: int,
    address: str = "",
) -> dict[str, float]:
    """Ends the sinks. messages_per_second is of the whole, from the launch to the mailing's end; steady_per_second
    from the first message's arrival to the last one's.

    running: as processes.workers gives them. address: to send to, where it is not the first sink's.
    """
    try:
        account = an_account(workspace_with_contacts(messages), address or sinks[0].address, lanes)
        began = time.monotonic()
        mailing = launch(account, kb=kb)
        wait_for_end(mailing, running)
        seconds = time.monotonic() - began
    finally:
        times = arrivals(sinks)
    return {
        "messages_per_second": round(messages / seconds, 1),
        "steady_per_second": round(len(times) / (times[-1] - times[0]), 1),
        "lost": messages - mailing.accepted_count,
        "repeated": len(times) - mailing.accepted_count,
    }


def arrivals(sinks: Sequence[OwnSink]) -> list[float]:
    """When each message came, ascending; ends the sinks."""
    return sorted(chain.from_iterable(chain.from_iterable(sink.stop().values() for sink in sinks)))
