"""`make bench-late`: a server that answers each command late, at more and more lanes, and print one JSON line.

Where waiting is all that limits, messages a second must grow with the lanes: `efficiency` is the rate at n lanes by
n times that at one. Then two hosts send at once, each with workers, a network and a server of its own (network
namespaces; where these are not permitted, two processes): `hosts_efficiency` is their rate by twice one host's.
Rates are steady ones, from the first message's arrival to the last one's; `whole` has them from launch to end.
"""

import argparse
import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from bench import processes  # noqa: E402
from bench.steady import a_run  # noqa: E402
from bench.world import of_its_own  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ms", type=int, default=50, help="from a command to its answer")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--hosts-lanes", type=int, default=16, help="of each host's worker")
    parser.add_argument("--seconds", type=float, default=12, help="about how long each run lasts")
    parser.add_argument("--kb", type=int, default=2)
    options = parser.parse_args()
    with of_its_own():
        with processes.workers(1) as running:
            runs = {lanes: late(options, running, lanes) for lanes in options.lanes}
        one, _ = on_hosts(options, 1)
        two, are_networks = on_hosts(options, 2)
    rates = {lanes: run["steady_per_second"] for lanes, run in runs.items()}
    fewest = min(rates)
    result = {
        "ms": options.ms,
        "kb": options.kb,
        "per_second": rates,
        "whole": {lanes: run["messages_per_second"] for lanes, run in runs.items()},
        "efficiency": {
            lanes: round(rate / (lanes / fewest * rates[fewest]), 3) for lanes, rate in rates.items()
        },
        "hosts": "network namespaces" if are_networks else "processes",
        "hosts_per_second": [one["steady_per_second"], two["steady_per_second"]],
        "hosts_efficiency": round(two["steady_per_second"] / (2 * one["steady_per_second"]), 3),
        "lost": sum(run["lost"] for run in (*runs.values(), one, two)),
        "repeated": sum(run["repeated"] for run in (*runs.values(), one, two)),
    }
    print(json.dumps(result), flush=True)


def on_hosts(options, count: int) -> tuple[dict[str, float], bool]:
    """One worker on each, at a server on each; without networks of their own they share one server."""
    with processes.hosts(count) as (places, are_networks), processes.workers(count, within=places) as running:
        servers = places if are_networks else places[:1]
        return late(options, running, options.hosts_lanes, hosts=count, servers=servers), are_networks


def late(options, running, lanes: int, *, hosts=1, servers=((),)) -> dict[str, float]:
    """One run of about as many seconds as were asked for."""
    messages = max(int(options.seconds * 1000 / options.ms * lanes * hosts), 2)
    port = processes.free_port()
    sinks = [processes.OwnSink(late_ms=options.ms, times=True, port=port, within=place) for place in servers]
    return a_run(messages, running, sinks=sinks, lanes=lanes, kb=options.kb)


if __name__ == "__main__":
    main()
