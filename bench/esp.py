"""`make bench-esp`: send N messages through the batch calls of a fake ESP that answers late, and print one JSON line.

Mailgun's and SendGrid's calls take a thousand recipients each; the fake answers each after 50 ms, from a process of
its own, and checks as strictly as the documents do. `calls_over` is how many calls more than needed were made, as a
share; workers are real RQ workers in processes of their own.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from bench import processes  # noqa: E402
from bench.world import launch, of_its_own, wait_for_end, workspace_with_contacts  # noqa: E402
from delivery.models import SendingAccount  # noqa: E402
from delivery.providers import PROVIDERS  # noqa: E402
from delivery.secrets import seal  # noqa: E402
from tests.fake_esp.server import BEGINNINGS  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--esps", nargs="+", default=["mailgun", "sendgrid"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--ms", type=int, default=50, help="from a call to its answer")
    parser.add_argument("--kb", type=int, default=20)
    options = parser.parse_args()
    runs = {}
    with of_its_own(), processes.workers(options.workers) as workers:
        for name in options.esps:
            runs[name] = measure(options, name, workers)
    result = {"messages": options.messages, "workers": options.workers, "ms": options.ms, "kb": options.kb}
    print(json.dumps(result | {"esps": runs} | _worst(runs)), flush=True)


def _worst(runs: dict[str, dict]) -> dict[str, float]:
    return {
        "messages_per_second": min(run["messages_per_second"] for run in runs.values()),
        "lost": sum(run["lost"] for run in runs.values()),
        "repeated": sum(run["repeated"] for run in runs.values()),
    }


def measure(options, name: str, workers) -> dict[str, float]:
    workspace = workspace_with_contacts(options.messages)
    with a_fake(options.ms) as fake:
        account = SendingAccount.objects.create(
            workspace=workspace,
            name=name,
            provider=name,
            settings={"api_url": f"{fake.url}{name}{BEGINNINGS[name]}/"},
            secrets=seal({field.name: "bench" for field in PROVIDERS[name].fields if field.secret}),
            lanes=options.lanes,
        )
        senders = [process.pid for process in workers[: options.workers]]
        before = sum(map(processes.cpu_seconds, senders)), processes.database_cpu_seconds()
        began = time.monotonic()
        mailing = launch(account, kb=options.kb)
        planned = time.monotonic() - began
        wait_for_end(mailing, workers)
        seconds = time.monotonic() - began
        after = sum(map(processes.cpu_seconds, senders)), processes.database_cpu_seconds()
    needed = -(-options.messages // PROVIDERS[name].most)
    worker, database = ((b - a) / options.messages * 1e6 for a, b in zip(before, after, strict=True))
    return {
        "messages_per_second": round(options.messages / seconds, 1),
        "seconds": round(seconds, 3),
        "planning_seconds": round(planned, 3),
        "calls": fake.counted["calls"],
        "calls_over": round(fake.counted["calls"] / needed - 1, 4),
        "worker_us_per_message": round(worker, 1),
        "database_us_per_message": round(database, 1),
        "lost": max(options.messages - fake.counted["recipients"], options.messages - mailing.accepted_count),
        "repeated": max(fake.counted["recipients"] - options.messages, 0),
    }


class Fake:
    """The fake ESP in a process of its own. counted: calls and recipients, once it has ended."""

    def __init__(self, ms: int) -> None:
        command = [sys.executable, "-m", "tests.fake_esp", "--delay", str(ms / 1000)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()
        self.counted: dict[str, int] = {}


@contextlib.contextmanager
def a_fake(ms: int) -> Iterator[Fake]:
    fake = Fake(ms)
    try:
        yield fake
    finally:
        fake.process.send_signal(signal.SIGTERM)
        fake.counted = json.loads(fake.process.communicate(timeout=30)[0].strip().splitlines()[-1])


if __name__ == "__main__":
    main()
