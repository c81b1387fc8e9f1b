"""`make bench-million`: what a message costs in a mailing of a million and in one of ten thousand; one JSON line.

The same workers send a few to warm up, then ten thousand, then a million. `cost_ratio` is CPU time a message of the
workers, `database_cost_ratio` of PostgreSQL, `memory_ratio` the workers' memory at the end by that after the first.
"""

import argparse
import json
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from bench import processes  # noqa: E402
from bench.send import measure  # noqa: E402
from bench.world import of_its_own  # noqa: E402

WARM_UP = 2_000
KEPT = ("messages_per_second", "worker_us_per_message", "database_us_per_message", "worker_mb")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kb", type=int, default=20)
    parser.add_argument("--lanes", type=int, default=4)
    options = parser.parse_args()
    with of_its_own(), processes.workers(options.workers) as workers:
        run(options, workers, min(WARM_UP, options.few))
        few, many = run(options, workers, options.few), run(options, workers, options.messages)
        peak = max(processes.peak_mb(process.pid) for process in workers[: options.workers])
    result = {
        "messages": [options.few, options.messages],
        **{name: [few[name], many[name]] for name in KEPT},
        "worker_peak_mb": peak,
        "cost_ratio": ratio(many, few, "worker_us_per_message"),
        "database_cost_ratio": ratio(many, few, "database_us_per_message"),
        "memory_ratio": ratio(many, few, "worker_mb"),
        "lost": few["lost"] + many["lost"],
        "repeated": few["repeated"] + many["repeated"],
    }
    print(json.dumps(result), flush=True)


def run(options, workers, messages) -> dict[str, float]:
    sink = processes.a_sink()
    try:
        options = argparse.Namespace(**vars(options) | {"messages": messages, "signed": False})
        result = measure(options, sink.address, workers, sink)
    finally:
        sink.stop()
    senders = workers[: options.workers]
    return result | {"worker_mb": max(processes.memory_mb(process.pid) for process in senders)}


def ratio(many, few, name) -> float:
    return round(many[name] / few[name], 3) if few[name] else 0.0


if __name__ == "__main__":
    main()
