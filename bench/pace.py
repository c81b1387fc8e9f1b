"""`make bench-pace`: keep to a limit over several workers, and print one JSON line.

The sink tells when each message came. `used` is the share of the limit that was used over --seconds from the first
message on; `most_in_a_second` is the fullest of all sliding windows of one second. With --more a rate at which turns
are taken in blocks, a limit of each receiving domain, and a campaign's own pace that is changed while it is sent follow.
"""

import argparse
import json
import os
import time
from collections import defaultdict

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from bench import processes  # noqa: E402
from bench.world import an_account, launch, of_its_own, wait_until, workspace_with_contacts  # noqa: E402
from delivery.actions import cancel, set_pace  # noqa: E402

DOMAINS = 5
SPARE = 1.1  # messages launched for each that may leave, so that the end is none of the measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=100, help="messages a second")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--more", action="store_true", help="the other limits too, a quarter as long each")
    options = parser.parse_args()
    with of_its_own(), processes.workers(options.workers) as workers:
        result = of_an_account(options, workers, options.rate, options.seconds)
        if options.more:
            result["more"] = {
                "by_blocks": of_an_account(options, workers, 10 * options.rate, options.seconds / 4),
                "by_domain": of_domains(options, workers, options.rate / 10, options.seconds / 4),
                "changed": changed(options, workers, options.rate, options.seconds / 4),
            }
    print(json.dumps({"workers": options.workers} | result), flush=True)


def of_an_account(options, workers, rate, seconds) -> dict[str, float]:
    with Air(options, workers, int(rate * seconds * SPARE), rate_per_second=rate) as air:
        air.wait(seconds)
    return {"rate": rate, "seconds": seconds} | kept(all_of(air.times), rate, seconds)


def of_domains(options, workers, rate, seconds) -> dict[str, float]:
    """The worst of the domains, each of which has the rate for itself."""
    messages = int(rate * seconds * SPARE) * DOMAINS
    with Air(options, workers, messages, domains=DOMAINS, domain_per_second=rate) as air:
        air.wait(seconds)
    by_domain = defaultdict(dict)
    for address, came in air.times.items():
        by_domain[address.partition("@")[2]][address] = came
    each = [kept(all_of(times), rate, seconds) for times in by_domain.values()]
    return {
        "rate": rate,
        "seconds": seconds,
        "domains": len(each),
        "used": min(one["used"] for one in each),
        "most_in_a_second": max(one["most_in_a_second"] for one in each),
    }


def changed(options, workers, rate, seconds) -> dict[str, float]:
    """Half the rate, then the rate: how soon the new pace held, and how well each was kept."""
    grace = min(seconds, 2)  # until the new pace is known everywhere: the slices at work end
    with Air(options, workers, int(rate * (seconds + 5)), pace=rate / 2) as air:
        air.wait(grace)
        slow_from = time.monotonic()
        time.sleep(seconds / 2)
        changed_at = time.monotonic()
        set_pace(air.mailing, per_second=rate)
        time.sleep(seconds / 2 + grace)
    times = all_of(air.times)
    before = [at for at in times if slow_from <= at < changed_at]
    after = [at for at in times if at >= changed_at]
    fast_from = next(
        (at for at, later in zip(after, after[10:], strict=False) if later - at < 14 / rate), changed_at
    )
    return {
        "slow": kept(before, rate / 2, seconds / 2),
        "fast": kept([at for at in after if at >= fast_from], rate, seconds / 2),
        "seconds_until_it_held": round(fast_from - changed_at, 2),
    }


class Air:
    """A mailing of so many that is being sent to a sink of its own; canceled at the end. times: {address: [when]}."""

    def __init__(self, options, workers, messages, *, domains=1, pace=None, **limits) -> None:
        self._workers = workers
        self._sink = processes.OwnSink(times=True)
        workspace = workspace_with_contacts(messages, domains=domains)
        account = an_account(workspace, self._sink.address, options.lanes, **limits)
        self.mailing = launch(account, kb=2, per_second=pace)

    def __enter__(self) -> "Air":
        return self

    def wait(self, seconds) -> None:
        """From the first message on, and a little longer: others are counted in passing."""
        wait_until(self.mailing, self._workers, lambda: self.mailing.accepted_count > 0)
        time.sleep(seconds + 0.5)

    def __exit__(self, *_error) -> None:
        self.mailing.refresh_from_db(fields=["state"])
        if self.mailing.state == "sending":
            cancel(self.mailing)
        deadline = time.monotonic() + 5
        while self.mailing.batches.filter(state="leased").exists() and time.monotonic() < deadline:
            time.sleep(0.05)  # until the lanes at work have ended
        self.times = self._sink.stop()


def all_of(times: dict[str, list[float]]) -> list[float]:
    return sorted(at for each in times.values() for at in each)


def kept(times: list[float], rate: float, seconds: float) -> dict[str, float]:
    """How much of the limit was used from the first message on, and the fullest second."""
    within = sum(at < times[0] + seconds for at in times) if times else 0
    return {"used": round(within / (rate * seconds), 4), "most_in_a_second": most_in_a_second(times)}


def most_in_a_second(times: list[float]) -> int:
    """times: ascending."""
    most = start = 0
    for end, at in enumerate(times):
        while times[start] <= at - 1:
            start += 1
        most = max(most, end - start + 1)
    return most


if __name__ == "__main__":
    main()
