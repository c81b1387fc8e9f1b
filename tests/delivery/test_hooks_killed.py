"""A worker that is killed while it applies what webhooks told: another takes over, and everything counts once."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from contacts.models import Contact
from delivery.feedback import drain, stream
from delivery.hooks.entries import STREAM
from delivery.models import Delivery, Event, Mailing
from delivery.secrets import seal
from delivery.transports import names
from tests.builders import an_account
from tests.fake_esp import webhooks
from tests.fake_esp.webhooks import Message, event
from tests.people import a_workspace
from tests.volley import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 60
WORKER = """
import sys
import django; django.setup()
from delivery.feedback import drain, stream
drain.AT_ONCE = drain.ENTRIES_AT_ONCE = 5
{slowly}
print("ready", flush=True)
drain.drain("hook")
"""
# Held in the middle of the transaction, and between its end and the word that the entries are done.
HELD = {
    "in its transaction": """
from delivery.feedback import apply
import time
count = 0
def hold():
    global count
    count += 1
    if count == 3: print("held", flush=True); time.sleep(60)
apply.consequences.append(hold)
""",
    "after its commit": """
import time
done, count = stream.done, 0
def hold(*args):
    global count
    count += 1
    if count == 3: print("held", flush=True); time.sleep(60)
    done(*args)
stream.done = hold
""",
}


@pytest.fixture
def told(client):
    """An event for each of some people, kept and not yet applied."""
    workspace = a_workspace()
    key = webhooks.new_key("mailgun")
    account = an_account(workspace, provider="mailgun", hook=seal(key.known))
    mailing = Mailing.objects.create(
        workspace=workspace, name="Spring", account=account, content={}, accepted_count=PEOPLE
    )
    for number in range(1, PEOPLE + 1):
        contact = Contact.objects.create(workspace=workspace, email=f"p{number}@example.com")
        Delivery.objects.create(
            mailing=mailing, number=number, contact=contact, email=contact.email, state="accepted"
        )
        message = Message(
            "mailgun", "x", contact.email, metadata={names.KEY: names.name_of(mailing.pk, number)}
        )
        [post] = webhooks.posts("mailgun", [event("bounced", message)], key)
        url = f"/hooks/mailgun/{account.hook_key}/"
        assert client.post(url, **post.as_django()).status_code == 200
    return mailing


@pytest.mark.parametrize("when", HELD)
def test_a_worker_that_is_killed_loses_and_doubles_nothing(told, when, monkeypatch):
    kill_a_worker(HELD[when])
    before = time.monotonic()
    assert 0 < Event.objects.count() < PEOPLE
    monkeypatch.setattr(stream, "ABANDONED_MS", 1)
    drain.drain(STREAM)
    told.refresh_from_db()
    assert Event.objects.count() == PEOPLE
    assert told.bounced_count == PEOPLE
    assert Delivery.objects.filter(feedback="bounced").count() == PEOPLE
    assert stream.waiting(STREAM) == 0
    assert time.monotonic() - before < 60


def kill_a_worker(slowly):
    """SIGKILL while it holds entries."""
    known = connection.get_connection_params()
    url = make_conninfo(
        **{key: known[key] for key in ("dbname", "user", "password", "host", "port") if known.get(key)}
    )
    environment = os.environ | {
        "DATABASE_URL": url,
        "REDIS_URL": settings.REDIS_URL,
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    worker = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", WORKER.format(slowly=slowly)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        said = [worker.stdout.readline().strip() for _ in range(2)]
        assert said == ["ready", "held"], json.dumps(said)
    finally:
        worker.send_signal(signal.SIGKILL)
        worker.wait(timeout=10)
