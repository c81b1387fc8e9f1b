"""`make bench-tracking`: ask for pixels and tracked links of a sent mailing as fast as they are answered, and print one
JSON line.

Web server, worker and clock are those of `make run`, in processes of their own, beside PostgreSQL and Redis; who asks is
one process more on the same machine. `answered` is what came back whole, `stored` the events in the end, `counted` what
the mailing's counters say. With --kill a web process and the worker are ended by SIGKILL in the middle.
"""

import argparse
import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.utils import timezone  # noqa: E402

from accounts.queue import workers_alive  # noqa: E402
from bench import processes  # noqa: E402
from bench.world import an_account, of_its_own, workspace_with_contacts  # noqa: E402
from contacts.models import Contact  # noqa: E402
from delivery.feedback import stream  # noqa: E402
from delivery.models import Delivery, Event, Incoming, Mailing  # noqa: E402
from delivery.tracking.signing import Target, link_part, person_token  # noqa: E402

PEOPLE = 5_000
LINKS = 10
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
START_SECONDS, END_SECONDS = 60, 300


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hits", type=int, default=40_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--web", type=int, default=2, help="processes of the web server")
    parser.add_argument("--kill", action="store_true", help="end a web process and the worker in the middle")
    options = parser.parse_args()
    with of_its_own():
        mailing = a_sent_mailing()
        port = processes.free_port()
        running = [web(port, options.web), worker(), clock()]
        try:
            wait_for(lambda: workers_alive("events") and is_open(port), "It did not start.", START_SECONDS)
            result = measure(options, port, mailing, running)
        finally:
            for process in running:
                process.terminate()
            for process in running:
                process.wait()
    print(json.dumps(result), flush=True)


def a_sent_mailing() -> Mailing:
    """To PEOPLE, who have had it for a day."""
    workspace = workspace_with_contacts(PEOPLE)
    account = an_account(workspace, "127.0.0.1:9", 1)
    mailing = Mailing.objects.create(
        workspace=workspace, name="Bench", account=account, content={}, state="finished", total_count=PEOPLE
    )
    yesterday = timezone.now() - timedelta(days=1)
    contacts = Contact.objects.filter(workspace=workspace).order_by("pk")
    Delivery.objects.bulk_create(
        Delivery(
            mailing=mailing,
            number=number,
            contact=contact,
            email=contact.email,
            state="accepted",
            settled_at=yesterday,
        )
        for number, contact in enumerate(contacts, start=1)
    )
    return mailing


def web(port: int, count: int) -> subprocess.Popen:
    command = ["granian", "--interface", "wsgi", "--port", str(port), "--workers", str(count)]
    command += ["--blocking-threads", "4", "--no-ws", "--respawn-failed-workers", "--log-level", "error"]
    return subprocess.Popen(
        [f"{os.path.dirname(sys.executable)}/{command[0]}", *command[1:], "config.wsgi:application"]
    )


def worker() -> subprocess.Popen:
    command = [
        sys.executable,
        "manage.py",
        "rqworker-pool",
        "events",
        "--worker-class",
        "config.worker.Worker",
    ]
    return subprocess.Popen(
        [*command, "--num-workers", "1", "--verbosity", "0"], env=os.environ | {"LOG_LEVEL": "ERROR"}
    )


def clock() -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "manage.py", "clock"], env=os.environ | {"LOG_LEVEL": "ERROR"})


def measure(options, port: int, mailing: Mailing, running: list[subprocess.Popen]) -> dict:
    asked = Asked(paths(mailing, options.hits), port)
    victims = [children(running[0].pid)[0], *children(running[1].pid)] if options.kill else []
    seconds = asyncio.run(asked.all(options.connections, victims))
    began = time.monotonic()
    wait_for(
        lambda: not stream.waiting("hit") and not Incoming.objects.exists(),
        "It was not applied.",
        END_SECONDS,
    )
    applied = time.monotonic() - began
    mailing.refresh_from_db()
    counted = (
        mailing.open_total + mailing.click_total + mailing.machine_open_total + mailing.machine_click_total
    )
    latencies = sorted(asked.latencies)
    return {
        "hits_per_second": round(asked.answered / seconds, 1),
        "p50_ms": round(latencies[len(latencies) // 2] * 1000, 2),
        "p99_ms": round(latencies[int(len(latencies) * 0.99)] * 1000, 2),
        "answered": asked.answered,
        "stored": Event.objects.filter(mailing=mailing).count(),
        "counted": counted,
        "unanswered": asked.broken,
        "applied_seconds_later": round(applied, 2),
        "connections": options.connections,
        "web": options.web,
        "killed": len(victims),
    }


def paths(mailing: Mailing, count: int) -> list[str]:
    """Two opens to each click, by everybody in no order."""
    links = [link_part(mailing.pk, Target(f"https://shop.example/page/{n}?a=b&c=d")) for n in range(LINKS)]
    people = [person_token(mailing.pk, number) for number in range(1, PEOPLE + 1)]
    rng = random.Random(1)
    return [
        f"/o/{rng.choice(people)}.gif" if n % 3 else f"/c/{rng.choice(people)}/{rng.choice(links)}"
        for n in range(count)
    ]


class Asked:
    """Many connections, each of which asks as soon as it has its answer. latencies: seconds."""

    def __init__(self, paths: list[str], port: int) -> None:
        self._paths, self._port = iter(paths), port
        self._half = len(paths) // 2
        self.latencies: list[float] = []
        self.statuses: Counter[bytes] = Counter()
        self.broken = 0

    @property
    def answered(self) -> int:
        return self.statuses[b"200"] + self.statuses[b"302"]

    async def all(self, connections: int, victims: list[int]) -> float:
        began = time.monotonic()
        tasks = [asyncio.create_task(self._one()) for _ in range(connections)]
        if victims:
            while len(self.latencies) < self._half:
                await asyncio.sleep(0.002)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        await asyncio.gather(*tasks)
        return time.monotonic() - began

    async def _one(self) -> None:
        connection = None
        for path in self._paths:
            try:
                connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                await self._ask(*connection, path)
            except (OSError, asyncio.IncompleteReadError):
                self.broken += 1
                connection = None
                await asyncio.sleep(0.01)

    async def _ask(self, reader, writer, path: str) -> None:
        began = time.monotonic()
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: {AGENT}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        at = head.lower().find(b"content-length: ")
        if at > 0:
            await reader.readexactly(int(head[at + 16 : head.index(b"\r\n", at)]))
        self.latencies.append(time.monotonic() - began)
        self.statuses[head[9:12]] += 1


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as found:
        return [int(each) for each in found.read().split()]


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(is_so, words: str, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(words)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
