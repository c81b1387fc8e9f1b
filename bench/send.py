"""`make bench-send`: send N messages through the whole pipeline to an SMTP server and print one JSON line.

The messages have ten links and five merge tags; workers are real RQ workers in processes of their own.
`ceiling_per_second` is what bench.ceiling reaches in the same run, with nothing done but sending.
Without --smtp a sink is started: postfix's `smtp-sink` where it is installed, else the one of this folder,
which knows each recipient. With an SMTP server of one's own, lost and repeated are what the ledger says.
"""

import argparse
import json
import os
import subprocess
import sys
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import connection  # noqa: E402

from bench import processes  # noqa: E402
from bench.world import a_signing_domain, an_account, launch, of_its_own, wait_until, workspace_with_contacts  # noqa: E402
from delivery.models import Delivery  # noqa: E402

EARLY = 10_000  # messages after which memory is looked at first


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kb", type=int, default=20)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--signed", action="store_true", help="with DKIM")
    parser.add_argument("--smtp", default="", help="host:port; without it a sink is started")
    options = parser.parse_args()
    with of_its_own():
        # The bare ceiling first, at a sink of its own: both of one run, since the machine's speed drifts.
        ceiling = {} if options.smtp else measure_ceiling(options)
        sink = None if options.smtp else processes.a_sink()
        try:
            with processes.workers(options.workers) as workers:
                result = measure(options, options.smtp or sink.address, workers, sink)
        finally:
            if sink:
                sink.stop()
    if ceiling:
        ceiling["share_of_ceiling"] = round(result["messages_per_second"] / ceiling["ceiling_per_second"], 3)
    print(json.dumps(result | ceiling), flush=True)


def measure(options, address, workers, sink):
    workspace = workspace_with_contacts(options.messages)
    account = an_account(workspace, address, options.lanes)
    if options.signed:
        a_signing_domain(workspace)
    senders = [process.pid for process in workers[: options.workers]]
    cost = Cost(senders)
    began = time.monotonic()
    mailing = launch(account, kb=options.kb)
    planned = time.monotonic() - began
    early = min(EARLY, options.messages)
    wait_until(mailing, workers, lambda: mailing.accepted_count >= early or mailing.state != "sending")
    early_mb = max(map(processes.memory_mb, senders))
    wait_until(mailing, workers, lambda: mailing.state != "sending")
    seconds = time.monotonic() - began
    result = {
        "messages": options.messages,
        "seconds": round(seconds, 3),
        "messages_per_second": round(options.messages / seconds, 1),
        "planning_seconds": round(planned, 3),
        "worker_mb_early": early_mb,
        "worker_peak_mb": max(map(processes.peak_mb, senders)),
        "workers": options.workers,
        "kb": options.kb,
        "signed": options.signed,
    }
    return result | cost.per_message(options.messages) | lost_and_repeated(mailing, options.messages, sink)


class Cost:
    """CPU time from now on: of the senders, and of the database for all that is done meanwhile."""

    def __init__(self, senders: list[int]) -> None:
        self._senders = senders
        self._before = self._used()

    def _used(self) -> tuple[float, float]:
        return sum(map(processes.cpu_seconds, self._senders)), processes.database_cpu_seconds()

    def per_message(self, messages: int) -> dict[str, float]:
        names = ("worker_us_per_message", "database_us_per_message")
        spent = zip(names, self._used(), self._before, strict=True)
        return {name: round((after - before) / messages * 1e6, 1) for name, after, before in spent}


def measure_ceiling(options) -> dict[str, float]:
    """What as many processes and connections reach that send one prebuilt message and do nothing else."""
    sink = processes.a_sink()
    port, share = str(sink.port), max(options.messages // 4, 1_000) // options.workers
    command = [sys.executable, "-m", "bench.ceiling", "--port", port, "--kb", str(options.kb)]
    command += ["--lanes", str(options.lanes), "--messages", str(share)]
    senders = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(options.workers)]
    try:
        said = [json.loads(sender.communicate(timeout=300)[0]) for sender in senders]
    finally:
        for sender in senders:
            sender.kill()
        sink.stop()
    return {"ceiling_per_second": round(sum(each["messages"] / each["seconds"] for each in said), 1)}


def lost_and_repeated(mailing, messages, sink):
    """By the sink's count of each recipient where it keeps one, else by the ledger and the sink's total."""
    rows = Delivery.objects.filter(mailing=mailing)
    accepted = rows.filter(state="accepted").count()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sum(attempt_count) FROM delivery_delivery WHERE mailing_id = %s", [mailing.pk])
        tries = cursor.fetchone()[0] or 0
    lost, repeated, name = messages - accepted, tries - messages, "given"
    if sink:
        received = sink.stop()
        name = sink.name
        if isinstance(received, dict):
            lost = messages - len(received)
            repeated = sum(received.values()) - len(received)
        elif received is not None:
            lost, repeated = max(lost, messages - received), max(repeated, received - messages)
    return {"lost": lost, "repeated": repeated, "sink": name}


if __name__ == "__main__":
    main()
