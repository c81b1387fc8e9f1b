"""Web server and worker killed while pixels and links are asked for: every answered hit is counted, and none twice."""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests import seed
from tests.volley import ROOT

CONNECTIONS = 8

pytestmark = pytest.mark.faults


@pytest.fixture
def var():
    made = Path(tempfile.mkdtemp(prefix="volley-"))
    made.chmod(0o755)  # PostgreSQL runs as a user of its own when we are root
    seed.copy(made / "var")
    yield made / "var"
    shutil.rmtree(made, ignore_errors=True)


def test_what_was_answered_is_counted_once(var):
    bench = f"-m bench.tracking --hits 6000 --connections {CONNECTIONS} --kill"
    done = subprocess.run(
        [sys.executable, "-m", "config.run", "--once", bench],
        cwd=ROOT,
        env=seed.apart(VOLLEY_VAR=str(var)),
        capture_output=True,
        text=True,
        timeout=480,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.strip().splitlines()[-1])
    assert said["killed"] >= 2
    # Of a connection that broke it is not known whether the hit was kept.
    assert said["answered"] <= said["stored"] <= said["answered"] + said["unanswered"]
    assert said["counted"] == said["stored"]
    assert said["answered"] + said["unanswered"] == 6000
