"""The benches still run: each command with a few hundred messages, as `make` starts it. What is fast is no test."""

import fcntl
import json
import os
import subprocess
import sys

import pytest

from tests import seed
from tests.volley import ROOT

FEW = [
    ("send", "--messages 300 --kb 2"),
    ("plan", "--recipients 300"),
    ("distance", "--messages 200 --ms 2"),
    ("late", "--seconds 0.2 --ms 10 --lanes 4 --hosts-lanes 2"),
    ("pace", "--more --rate 200 --seconds 0.4 --workers 1"),
    ("fairness", "--many 300 --few 20 --times 1 --kb 2"),
    ("esp", "--messages 300 --kb 2 --ms 5"),
    ("hooks", "--events 400 --calls 20"),
    ("million", "--few 100 --messages 300 --kb 2"),
    ("tracking", "--hits 300 --connections 4"),
    ("contacts", "--contacts 300"),  # all its parts, a line each
]


def run(command: str) -> list[dict]:
    """Its JSON lines, from a database and a Redis beside the tests' own; one at a time, whoever runs the tests."""
    lock = ROOT / "var" / "test_bench.lock"
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        return _run(command)


def _run(command: str) -> list[dict]:
    done = subprocess.run(
        [sys.executable, "-m", "config.run", "--once", f"-m bench.{command}"],
        cwd=ROOT,
        env=seed.apart(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.strip().splitlines() if line.startswith("{")]


@pytest.mark.parametrize(("bench", "few"), FEW, ids=[bench for bench, _ in FEW])
def test_it_runs_and_says_so_in_lines_of_json(bench, few):
    lines = run(f"{bench} {few}")
    assert len(lines) == (9 if bench == "contacts" else 1)
    for said in lines:
        assert (said.get("lost", 0), said.get("repeated", 0)) == (0, 0)


def test_it_does_not_touch_a_database_that_was_named():
    named = os.environ | {"DATABASE_URL": "postgresql://somebody.example/volley"}
    done = subprocess.run(
        [sys.executable, "-m", "bench.send"], cwd=ROOT, env=named, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "unset DATABASE_URL" in done.stderr
