"""The processes of a bench: real workers and a clock, servers that take the mail, and what all that costs."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

from accounts.queue import redis_client, workers_alive
from config import embedded

START_SECONDS = 60
TICKS = os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def workers(count: int, *, within: Sequence[Sequence[str]] = ((),)) -> Iterator[list[subprocess.Popen]]:
    """The senders and one clock, as `make run` starts them; ready when this is entered, the clock comes last.

    within: commands that run another one somewhere; the senders are spread over them.
    """
    command = [sys.executable, "manage.py", "rqworker", "send", "--worker-class", "config.worker.Worker"]
    environment = os.environ | {"LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}
    redis_client().delete("volley:alive:send")  # those of an earlier run seem alive for a while
    running = []
    try:
        for number in range(count):
            place = within[number % len(within)]
            running.append(subprocess.Popen([*place, *command, "--verbosity", "0"], env=environment))
        running.append(subprocess.Popen([sys.executable, "manage.py", "clock"], env=environment))
        _wait_for_workers(count, running)
        yield running
    finally:
        _end(running)


def _wait_for_workers(count: int, running: list[subprocess.Popen]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while workers_alive("send") < count:
        if time.monotonic() > deadline or any(process.poll() is not None for process in running):
            raise SystemExit("The workers did not start.")
        time.sleep(0.05)


def _end(running: list[subprocess.Popen]) -> None:
    for process in running:
        process.terminate()
    for process in running:
        process.wait()


# --- Who takes the mail -------------------------------------------------------------------------------


class OwnSink:
    """bench.sink in a process of its own: it knows each recipient, can be slow, and can tell when each came."""

    name = "built-in"

    def __init__(self, *, late_ms: int = 0, times: bool = False, port: int = 0, within: Sequence[str] = ()):
        command = [*within, sys.executable, "-m", "bench.sink", "--port", str(port), "--late", str(late_ms)]
        self._counts = None
        self._process = subprocess.Popen([*command, "--times"] if times else command, stdout=subprocess.PIPE)
        self.port = json.loads(self._process.stdout.readline())["port"]
        self.address = f"127.0.0.1:{self.port}"

    def stop(self) -> dict:
        """{address: how many messages}, or with times: {address: [seconds, as time.monotonic() has them]}."""
        if self._counts is None:
            self._process.send_signal(signal.SIGTERM)
            self._counts = json.loads(self._process.communicate()[0])
        return self._counts


class PostfixSink:
    """postfix's smtp-sink, in C: as fast as a server can be. It counts messages and knows no recipients."""

    name = "smtp-sink"

    def __init__(self, binary: str) -> None:
        self.port = free_port()
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        # Into a file: its counter is written for each message, and a pipe that nobody reads would stop it.
        self._output = tempfile.TemporaryFile()
        command = [binary, "-c", *user, f"127.0.0.1:{self.port}", "512"]
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        self.address = f"127.0.0.1:{self.port}"
        time.sleep(0.5)

    def stop(self) -> int | None:
        """How many messages came, or None if it did not say."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
        self._output.seek(0)
        return _last_number(self._output.read().decode())


def a_sink() -> OwnSink | PostfixSink:
    """postfix's `smtp-sink` where it is installed, else our own."""
    binary = shutil.which("smtp-sink") or shutil.which("smtp-sink", path="/usr/sbin")
    return PostfixSink(binary) if binary else OwnSink()


def _last_number(said: str) -> int | None:
    """What `smtp-sink -c` counted; its line is written over and over: "sess=8 quit=0 mesg=40000"."""
    counts = [part.partition("=")[2] for part in said.replace("\r", " ").split() if part.startswith("mesg=")]
    return int(counts[-1]) if counts else None


@contextlib.contextmanager
def a_long_way(to_port: int, *, round_trip_ms: float) -> Iterator[str]:
    """bench.distance's delay line in a process of its own; gives the address to send to."""
    command = [sys.executable, "-m", "bench.line", "--to", str(to_port)]
    line = subprocess.Popen([*command, "--ms", str(round_trip_ms / 2)], stdout=subprocess.PIPE)
    try:
        yield f"127.0.0.1:{json.loads(line.stdout.readline())['port']}"
    finally:
        line.terminate()
        line.communicate()


@contextlib.contextmanager
def hosts(count: int) -> Iterator[tuple[list[list[str]], bool]]:
    """Commands that run another one as on so many hosts, each with a network of its own where that is permitted.

    Gives them and whether they are such; PostgreSQL and Redis are reached from each by their sockets.
    """
    holders = []
    try:
        for _ in range(count):
            alone = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]
            holder = subprocess.Popen(alone, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            holders.append(holder)
            if holder.stdout.readline() != b"up\n":
                yield [[]] * count, False
                return
        yield [["nsenter", f"--net=/proc/{holder.pid}/ns/net"] for holder in holders], True
    except FileNotFoundError:  # no unshare here
        yield [[]] * count, False
    finally:
        _end(holders)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# --- What it costs ------------------------------------------------------------------------------------


def peak_mb(pid: int) -> float:
    return _memory_mb(pid, "VmHWM")


def memory_mb(pid: int) -> float:
    return _memory_mb(pid, "VmRSS")


def _memory_mb(pid: int, name: str) -> float:
    with open(f"/proc/{pid}/status") as status:
        kilobytes = next(int(line.split()[1]) for line in status if line.startswith(name))
    return round(kilobytes / 1024, 1)


def cpu_seconds(pid: int, *, with_ended_children: bool = False) -> float:
    """What a process has used of the CPU so far, in user and system mode (proc(5): fields 14 to 17 of its stat)."""
    return sum(_stat(pid)[11 : 15 if with_ended_children else 13]) / TICKS


def _stat(pid: int) -> list[int]:
    """The numbers of /proc/<pid>/stat from the third field on (its state, a letter, is 0)."""
    with open(f"/proc/{pid}/stat") as stat:
        return [
            int(part) if part.lstrip("-").isdigit() else 0 for part in stat.read().rpartition(")")[2].split()
        ]


def database_cpu_seconds() -> float:
    """The same of PostgreSQL: its first process with the children that ended, and those at work."""
    first = int((embedded.VAR / "postgres" / "postmaster.pid").read_text().split()[0])
    seconds = cpu_seconds(first, with_ended_children=True)
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if name.isdigit() and _stat(int(name))[1] == first:
                seconds += cpu_seconds(int(name))
    return seconds
