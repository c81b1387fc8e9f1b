"""A worker killed and PostgreSQL crashed in the middle of an import and of a bulk action, with real processes."""

import os
import signal
import time

import pytest

from tests.volley import Volley

PEOPLE = 60_000
END_SECONDS = 120

IMPORT = """
from django.core.files.base import ContentFile
from accounts.models import User, Workspace
from contacts.actions import imports
from contacts.importing.reader import Reading
from contacts.jobs import run_import
from contacts.models import List
workspace = Workspace.objects.create(name="Faults", postal_address="1 High Street")
by = User.objects.create_user(email="alice@example.com", password="x")
news = List.objects.create(workspace=workspace, name="News")
rows = "".join(f"p{{n}}@example.com,Person {{n}}\\n" for n in range({people}))
run = imports.upload(ContentFile(("email,name\\n" + rows).encode(), name="people.csv"), workspace=workspace, by=by)
plan = imports.Plan(Reading("utf-8-sig", ",", True, "us"), ["email", "name"], lists=[news], consent_note="fair")
imports.check(run, plan, by=by)
run_import(import_id=run.pk)
run.refresh_from_db()
imports.start(run, by=by)
print(json.dumps({{"pk": run.pk}}))
"""
STATE = """
from contacts.models import Import
run = Import.objects.get(pk={pk})
print(json.dumps({{"state": run.state, "done": run.done_count, "created": run.created_count, "error": run.error,
                   "subscribed": run.subscribed_count, "refused": run.refused_count}}))
"""
AGED = """
from datetime import timedelta
from django.db.models import F
from contacts.models import {model}
{model}.objects.filter(state="running").update(progress_at=F("progress_at") - timedelta(minutes=2))
print("{{}}")
"""
TRUTH = """
from contacts.actions import growth
from contacts.models import Contact, Import, Subscription
growth.fold()
run = Import.objects.get(pk={pk})
mine = {{"workspace": run.workspace}}
print(json.dumps({{"contacts": Contact.objects.filter(**mine).count(),
                   "subscriptions": Subscription.objects.filter(**mine).count(),
                   "counted": run.lists.get().subscribed_count}}))
"""
TAG = """
from accounts.models import User
from bench.world import workspace_with_contacts
from contacts import chosen
from contacts.actions import bulk
from contacts.actions.bulk import Plan, Whom
from contacts.queries.contacts import Finder
plan = Plan("add_tags", "Tag", {{}}, new_tags=("fair",))
workspace = workspace_with_contacts({people})
by = User.objects.create_user(email="bob@example.com", password="x")
run = bulk.ask(workspace, plan, Whom(chosen.of_finder(Finder()), "All"), by=by)
print(json.dumps({{"pk": run.pk}}))
"""
BULK_STATE = """
from contacts.models import BulkRun, Contact
run = BulkRun.objects.get(pk={pk})
print(json.dumps({{"state": run.state, "done": run.done_count, "changed": run.changed_count, "error": run.error,
                   "tagged": Contact.objects.filter(workspace=run.workspace, tag_ids__len=1).count()}}))
"""

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("faults")]


@pytest.fixture(scope="module")
def volley():
    running = Volley(LOG_LEVEL="WARNING")
    yield running
    running.stop()


def wait_until(volley, state, is_so):
    deadline = time.monotonic() + END_SECONDS
    while time.monotonic() < deadline:
        now = volley.python(state)
        if is_so(now):
            return now
    raise AssertionError(f"not within {END_SECONDS} s: {now}\n{volley.log_text()}")


def kill_long_workers(volley):
    for pid in volley.pids("rqworker-pool", "bulk"):
        os.kill(pid, signal.SIGKILL)


def test_an_import_loses_and_doubles_nobody_when_its_worker_is_killed_and_postgresql_crashes(volley):
    run = volley.python(IMPORT.format(people=PEOPLE))["pk"]
    now = wait_until(volley, STATE.format(pk=run), lambda now: now["done"])
    assert now["state"] == "running", "the fault comes in the middle"
    kill_long_workers(volley)
    volley.restart_postgres()  # its staging table is unlogged, and so empty now
    volley.python(AGED.format(model="Import"))
    now = wait_until(volley, STATE.format(pk=run), lambda now: now["state"] not in ("queued", "running"))
    assert now == {
        "state": "done", "done": PEOPLE, "created": PEOPLE, "subscribed": PEOPLE, "refused": 0, "error": "",
    }  # fmt: skip
    assert volley.python(TRUTH.format(pk=run)) == {
        "contacts": PEOPLE,
        "subscriptions": PEOPLE,
        "counted": PEOPLE,
    }


def test_a_bulk_action_is_done_once_to_each_when_its_worker_is_killed(volley):
    run = volley.python(TAG.format(people=PEOPLE))["pk"]
    now = wait_until(volley, BULK_STATE.format(pk=run), lambda now: now["done"])
    assert now["state"] == "running", "the fault comes in the middle"
    kill_long_workers(volley)
    volley.python(AGED.format(model="BulkRun"))
    now = wait_until(volley, BULK_STATE.format(pk=run), lambda now: now["state"] not in ("queued", "running"))
    assert now == {"state": "done", "done": PEOPLE, "changed": PEOPLE, "tagged": PEOPLE, "error": ""}
