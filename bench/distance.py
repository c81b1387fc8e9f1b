"""`make bench-distance`: send to a server 20 ms away over the lanes of one worker and print one JSON line.

The distance is a delay line on loopback (bench.line): each direction takes half the round trip, and any amount may
be under way. One message a lane and round trip is what a pipelining sender reaches: `possible_per_second`.
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
    parser.add_argument("--ms", type=float, default=20, help="the round trip")
    parser.add_argument("--lanes", type=int, default=10)
    parser.add_argument("--messages", type=int, default=6_000)
    parser.add_argument("--kb", type=int, default=22)
    options = parser.parse_args()
    with of_its_own(), processes.workers(1) as running:
        sink = processes.OwnSink(times=True)
        with processes.a_long_way(sink.port, round_trip_ms=options.ms) as address:
            result = a_run(
                options.messages, running, sinks=[sink], address=address, lanes=options.lanes, kb=options.kb
            )
    possible = options.lanes * 1000 / options.ms
    print(json.dumps(vars(options) | result | {"possible_per_second": possible}), flush=True)


if __name__ == "__main__":
    main()
