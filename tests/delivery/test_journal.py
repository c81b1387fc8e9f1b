"""What was accepted is noted at once, outlives its worker, and reaches whoever takes the batch, on whatever host."""

import signal
import subprocess
import sys
import uuid

import pytest

from accounts.queue import redis_client
from delivery.pipeline import journal
from delivery.pipeline.journal import Journal
from delivery.pipeline.lease import Lease
from delivery.pipeline.work import work_slice

pytestmark = pytest.mark.django_db

WRITER = """
import os, sys, uuid
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django; django.setup()
from django.conf import settings
settings.JOURNALS = sys.argv[1]
from delivery.pipeline.journal import Journal
from delivery.pipeline.lease import Lease
notes = Journal(Lease(1, 1, 1, 50, uuid.uuid4(), uuid.UUID(sys.argv[2])))
notes.note(7)
notes.note(8, "id-of-the-esp")
print("written", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def held():
    return Lease(1, 1, 1, 50, uuid.uuid4(), uuid.uuid4())


def files(settings):
    return list(settings.JOURNALS.iterdir())


def test_notes_are_read_by_the_next_holder_and_go_away_when_settled(held, settings):
    notes = Journal(held)
    notes.note(7)
    notes.note(8, "id-of-the-esp")
    assert journal.read(held.batch_key) == {7: "", 8: "id-of-the-esp"}
    assert journal.read(uuid.uuid4()) == {}
    notes.close(is_settled=True)
    assert journal.read(held.batch_key) == {}
    assert files(settings) == []


def test_what_a_killed_worker_noted_is_handed_over_and_what_a_living_one_notes_is_not(held, settings):
    living = Journal(held)
    living.note(1)
    dead = str(uuid.uuid4())
    command = [sys.executable, "-c", WRITER, str(settings.JOURNALS), dead]
    writer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert writer.stdout.readline() == b"written\n"
    assert journal.hand_over() == 0, "both are alive"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdin.close()
    writer.stdout.close()
    assert journal.read(uuid.UUID(dead)) == {7: "", 8: "id-of-the-esp"}, "on the same host at once"
    assert journal.hand_over() == 1
    assert [path.name.partition(".")[0] for path in files(settings)] == [str(held.batch_key)]
    assert journal.read(uuid.UUID(dead)) == {7: "", 8: "id-of-the-esp"}, "and on others by Redis"
    living.close(is_settled=False)


def test_without_redis_a_dead_workers_notes_stay_until_it_is_back(held, settings, monkeypatch):
    notes = Journal(held)
    notes.note(7)
    notes.close(is_settled=False)
    with monkeypatch.context() as away:
        away.setattr(journal, "redis_client", lambda: redis_client().__class__(port=1))
        assert journal.hand_over() == 0
        assert journal.read(held.batch_key) == {7: ""}
    assert journal.hand_over() == 1
    assert journal.read(held.batch_key) == {7: ""}
    journal.forget(held.batch_key)
    assert journal.read(held.batch_key) == {}


def test_a_line_that_was_not_written_to_its_end_says_nothing(held, settings):
    Journal(held).close(is_settled=False)
    files(settings)[0].write_bytes(b"7 \n8 \n12")
    assert journal.read(held.batch_key) == {7: "", 8: ""}


def test_a_folder_that_cannot_be_made_is_no_reason_not_to_send(people, send_to_news, server, settings):
    settings.JOURNALS.write_text("a file is in its place")
    people(3)
    mailing = send_to_news()
    work_slice(mailing.pk)
    mailing.refresh_from_db()
    assert (mailing.state, len(server.messages)) == ("finished", 3)
