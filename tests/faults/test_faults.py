"""A worker killed or stopped, Redis flushed, PostgreSQL restarted, in the middle of a campaign of real processes."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from tests.volley import ROOT

RECIPIENTS = 6000
LANES = 4
RATE = 1500  # messages a second, so that the fault falls into the middle
END_SECONDS = 90

LAUNCH = """
from django.db import transaction
from bench.world import a_newsletter, workspace_with_contacts
from contacts.models import Contact
from delivery.actions import launch
from delivery.models import SendingAccount
workspace = workspace_with_contacts({recipients})
settings = {{"host": "127.0.0.1", "port": {port}, "security": "none", "user": ""}}
account = SendingAccount.objects.create(
    workspace=workspace, name="Sink", provider="smtp", settings=settings, lanes={lanes}, rate_per_second={rate})
with transaction.atomic():
    mailing = launch(workspace=workspace, name="Faults", account=account, content=a_newsletter(4),
                     recipients=Contact.objects.filter(workspace=workspace), list_ids=[])
print(json.dumps({{"mailing": mailing.pk}}))
"""
STATE = """
from delivery.models import Mailing
mailing = Mailing.objects.get(pk={mailing})
print(json.dumps({{"state": mailing.state, "accepted": mailing.accepted_count, "total": mailing.total_count}}))
"""
LEDGER = """
from delivery.mailings import recount
from delivery.models import Batch
print(json.dumps(recount({mailing}) | {{"leased": Batch.objects.filter(mailing={mailing}, state="leased").count()}}))
"""
PACE = """
from delivery.actions import set_pace
from delivery.models import Mailing
set_pace(Mailing.objects.get(pk={mailing}), per_second={rate})
print("{{}}")
"""
FLUSH = "import django_rq; django_rq.get_connection('send').flushall(); print('{}')"

pytestmark = pytest.mark.faults


@pytest.fixture
def sink():
    process = subprocess.Popen([sys.executable, "-m", "bench.sink"], cwd=ROOT, stdout=subprocess.PIPE)
    process.port = json.loads(process.stdout.readline())["port"]
    yield process
    process.kill()
    process.wait()


def received(sink) -> Counter:
    sink.send_signal(signal.SIGTERM)
    return Counter(json.loads(sink.communicate(timeout=30)[0]))


def begin(volley, sink) -> int:
    code = LAUNCH.format(recipients=RECIPIENTS, port=sink.port, lanes=LANES, rate=RATE)
    return volley.python(code)["mailing"]


def wait_until(volley, mailing, is_so, what):
    return volley.until(STATE.format(mailing=mailing), is_so, what=what, seconds=END_SECONDS)


def test_a_killed_worker_loses_nobody_and_repeats_at_most_one_message_a_lane(volley, sink):
    mailing = begin(volley, sink)
    wait_until(volley, mailing, lambda now: now["accepted"] > 300, "sending")
    victim = volley.sender_pids()[0]
    os.kill(victim, signal.SIGKILL)
    state = wait_until(volley, mailing, lambda now: now["state"] == "finished", "finished")
    assert state["accepted"] == state["total"] == RECIPIENTS
    counts = received(sink)
    assert len(counts) == RECIPIENTS, "nobody is lost"
    repeated = counts.total() - RECIPIENTS
    assert repeated <= LANES
    assert len(volley.sender_pids()) == 2, "another worker took its place"


def test_a_flushed_redis_loses_nobody_and_repeats_nothing(volley, sink):
    mailing = begin(volley, sink)
    wait_until(volley, mailing, lambda now: now["accepted"] > 300, "sending")
    volley.python(FLUSH)
    state = wait_until(volley, mailing, lambda now: now["state"] == "finished", "finished")
    assert state["accepted"] == state["total"] == RECIPIENTS
    counts = received(sink)
    assert len(counts) == RECIPIENTS
    assert counts.total() == RECIPIENTS


def test_a_worker_told_to_stop_repeats_nothing(volley, sink):
    mailing = begin(volley, sink)
    wait_until(volley, mailing, lambda now: now["accepted"] > 300, "sending")
    os.kill(volley.sender_pids()[0], signal.SIGTERM)
    state = wait_until(volley, mailing, lambda now: now["state"] == "finished", "finished")
    assert state["accepted"] == state["total"] == RECIPIENTS
    counts = received(sink)
    assert (len(counts), counts.total()) == (RECIPIENTS, RECIPIENTS)


def test_a_rolling_restart_repeats_nothing(volley, sink):
    """One worker after the other is told to stop, and those of before and after work side by side meanwhile."""
    mailing = begin(volley, sink)
    volley.python(PACE.format(mailing=mailing, rate=RATE / 12))
    wait_until(volley, mailing, lambda now: now["accepted"] > 300, "sending")
    for old in volley.sender_pids():
        os.kill(old, signal.SIGTERM)
        wait_until(
            volley,
            mailing,
            lambda _now, old=old: old not in (now := volley.sender_pids()) and len(now) == 2,
            "replaced",
        )
        state = volley.python(STATE.format(mailing=mailing))
        assert state["state"] == "sending", "in the middle"
    volley.python(PACE.format(mailing=mailing, rate=None))
    state = wait_until(volley, mailing, lambda now: now["state"] == "finished", "finished")
    assert state["accepted"] == state["total"] == RECIPIENTS
    counts = received(sink)
    assert (len(counts), counts.total()) == (RECIPIENTS, RECIPIENTS)
    assert volley.python(LEDGER.format(mailing=mailing)) == {"accepted": RECIPIENTS, "leased": 0}


def test_a_postgresql_that_restarts_loses_nobody_and_repeats_nothing(volley, sink):
    mailing = begin(volley, sink)
    wait_until(volley, mailing, lambda now: now["accepted"] > 300, "sending")
    volley.restart_postgres()
    state = wait_until(volley, mailing, lambda now: now["state"] == "finished", "finished")
    assert state["accepted"] == state["total"] == RECIPIENTS
    counts = received(sink)
    assert len(counts) == RECIPIENTS, "nobody is lost"
    assert counts.total() == RECIPIENTS, "what was accepted stands in the journal"
    ledger = volley.python(LEDGER.format(mailing=mailing))
    assert ledger == {"accepted": RECIPIENTS, "leased": 0}
