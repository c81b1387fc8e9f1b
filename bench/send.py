"""`make bench-send`: send N messages through the whole pipeline to an SMTP server and print one JSON line.

The messages have ten links and five merge tags; workers are real RQ workers in processes of their own.
`ceiling_per_second` is what bench.ceiling reaches in the same run, with nothing done but sending.
Without --smtp a sink is started: postfix's `smtp-sink` where it is installed, else the one of this folder,
which knows each recipient. With an SMTP server of one's own, lost and repeated are what the ledger says.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

import django_rq  # noqa: E402
from django.db import connection, transaction  # noqa: E402

from accounts.models import Workspace  # noqa: E402
from accounts.queue import workers_alive  # noqa: E402
from bench.world import a_newsletter, clear, workspace_with_contacts  # noqa: E402
from contacts.models import Contact  # noqa: E402
from delivery.actions import launch  # noqa: E402
from delivery.models import Delivery, Mailing, SendingAccount  # noqa: E402

START_SECONDS = 60
END_SECONDS = 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kb", type=int, default=20)
    parser.add_argument("--lanes", type=int, default=4)
    parser.add_argument("--smtp", default="", help="host:port; without it a sink is started")
    options = parser.parse_args()
    if os.environ.get("DATABASE_URL") or os.environ.get("REDIS_URL"):
        raise SystemExit(
            "The bench empties its Redis and fills its database: unset DATABASE_URL and REDIS_URL."
        )
    clear()
    django_rq.get_connection("send").flushdb()
    # The bare ceiling first, at a sink of its own: both of one run, since the machine's speed drifts.
    ceiling = {} if options.smtp else measure_ceiling(options)
    sink = None if options.smtp else start_sink()
    address = options.smtp or sink.address
    workers = start_workers(options.workers)
    try:
        print(json.dumps(measure(options, address, workers, sink) | ceiling), flush=True)
    finally:
        for process in workers:
            process.terminate()
        for process in workers:
            process.wait()
        if sink:
            sink.stop()
        clear()


def measure(options, address, workers, sink):
    workspace = workspace_with_contacts(options.messages)
    account = an_account(workspace, address, options.lanes)
    began = time.monotonic()
    with transaction.atomic():
        mailing = launch(
            workspace=workspace,
            name="Bench",
            account=account,
            content=a_newsletter(options.kb),
            recipients=Contact.objects.filter(workspace=workspace),
            list_ids=[],
        )
    planned = time.monotonic() - began
    wait_for_end(mailing, workers)
    seconds = time.monotonic() - began
    result = {
        "messages": options.messages,
        "seconds": round(seconds, 3),
        "messages_per_second": round(options.messages / seconds, 1),
        "planning_seconds": round(planned, 3),
        "worker_peak_mb": max(peak_mb(process.pid) for process in workers[: options.workers]),
        "workers": options.workers,
        "kb": options.kb,
    }
    return result | lost_and_repeated(mailing, options.messages, sink)


def measure_ceiling(options) -> dict[str, float]:
    """What as many processes and connections reach that send one prebuilt message and do nothing else."""
    sink = start_sink()
    port, share = sink.address.rpartition(":")[2], max(options.messages // 4, 1_000) // options.workers
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


def an_account(workspace: Workspace, address: str, lanes: int) -> SendingAccount:
    host, _, port = address.rpartition(":")
    settings = {"host": host, "port": int(port), "security": "none", "user": ""}
    return SendingAccount.objects.create(
        workspace=workspace, name="Sink", provider="smtp", settings=settings, lanes=lanes, is_default=True
    )


def start_workers(count: int) -> list[subprocess.Popen]:
    """The senders and one clock, as `make run` starts them; ready when this returns."""
    command = [sys.executable, "manage.py", "rqworker", "send", "--worker-class", "config.worker.Worker"]
    environment = os.environ | {"LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}
    workers = [subprocess.Popen([*command, "--verbosity", "0"], env=environment) for _ in range(count)]
    workers.append(subprocess.Popen([sys.executable, "manage.py", "clock"], env=environment))
    deadline = time.monotonic() + START_SECONDS
    while workers_alive("send") < count:
        if time.monotonic() > deadline or any(process.poll() is not None for process in workers):
            raise SystemExit("The workers did not start.")
        time.sleep(0.05)
    return workers


def wait_for_end(mailing: Mailing, workers) -> None:
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        mailing.refresh_from_db(fields=["state"])
        if mailing.state != "sending":
            return
        if any(process.poll() is not None for process in workers):
            raise SystemExit("A worker ended.")
        time.sleep(0.02)
    raise SystemExit("The mailing did not end.")


def peak_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status") as status:
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return round(kilobytes / 1024, 1)


class start_sink:  # noqa: N801
    """A sink in a process of its own; `stop()` gives what it counted."""

    def __init__(self) -> None:
        binary = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
        self.name = "smtp-sink" if binary else "built-in"
        self._counts = None
        if binary:
            port = free_port()
            user = ["-u", "nobody"] if os.geteuid() == 0 else []
            # Into a file: its counter is written for each message, and a pipe that nobody reads would stop it.
            self._output = tempfile.TemporaryFile()
            command = [binary, "-c", *user, f"127.0.0.1:{port}", "512"]
            self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
            time.sleep(0.5)
        else:
            self._process = subprocess.Popen([sys.executable, "-m", "bench.sink"], stdout=subprocess.PIPE)
            port = json.loads(self._process.stdout.readline())["port"]
        self.address = f"127.0.0.1:{port}"

    def stop(self):
        """{address: times} of the built-in sink, the number of messages of smtp-sink, or None if it did not say."""
        if self._counts is None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            if self.name == "built-in":
                self._counts = json.loads(self._process.communicate()[0])
            else:
                self._process.wait()
                self._output.seek(0)
                self._counts = _last_number(self._output.read().decode())
        return self._counts


def _last_number(said: str) -> int | None:
    """What `smtp-sink -c` counted; its line is written over and over: "sess=8 quit=0 mesg=40000"."""
    counts = [part.partition("=")[2] for part in said.replace("\r", " ").split() if part.startswith("mesg=")]
    return int(counts[-1]) if counts else None


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
