"""The process manager: what is killed begins again, and what cannot start ends all with its words."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.volley import ROOT

RUN = """
import sys
from pathlib import Path
from config import processes
processes.PROCFILE = Path({path!r})
sys.exit(processes.main())
"""
WAIT_SECONDS = 20


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
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        lines = path.read_text().split() if path.exists() else []
        if len(lines) >= count:
            return [int(line) for line in lines]
        time.sleep(0.05)
    raise AssertionError(f"not {count} starts: {lines}")


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


def test_a_second_run_from_the_same_folder_leaves_the_first_alone(tmp_path):
    """It would find the ports taken, and stop PostgreSQL under the first one as it ends."""
    with (tmp_path / "run.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        kept = {name: value for name, value in os.environ.items() if not name.endswith("_URL")}
        second = subprocess.run(
            [sys.executable, "-m", "config.run"],
            cwd=ROOT,
            env=kept | {"VOLLEY_VAR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert second.returncode == 1
    assert "Volley runs from this folder already" in second.stderr
    assert not (tmp_path / "postgres").exists()
