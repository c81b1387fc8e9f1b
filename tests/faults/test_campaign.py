"""A few rounds of `make faults`: what is killed comes back, and a hostile mail server loses nobody."""

import json
import subprocess
import sys

import pytest

from tests.volley import ROOT

ROUNDS = ("kill_clock+kill_redis", "kill_worker_and_redis+sink_does_everything")
SEED = 1
END_SECONDS = 300

pytestmark = pytest.mark.faults


def test_a_short_campaign_of_faults_loses_nobody_and_repeats_no_more_than_its_bounds():
    command = [
        sys.executable,
        "-m",
        "tests.faults.campaign",
        "--faults",
        ",".join(ROUNDS),
        "--seed",
        str(SEED),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=END_SECONDS)
    result = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}
    assert done.returncode == 0, (result.get("failures"), done.stderr[-6000:])
    assert (result["rounds"], result["lost"], result["failures"]) == (len(ROUNDS), 0, [])
