"""What was accepted is noted at once, outlives its worker, and reaches whoever takes the batch, on whatever host."""

import signal
import subprocess
import sys
import time
import uuid

import pytest
import redis
from django.db import OperationalError

from accounts.queue import redis_client
from delivery.models import Batch, Delivery
from delivery.pipeline import journal, lanes, work
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
        with pytest.raises(redis.RedisError):
            journal.read(held.batch_key)  # what others noted is not known, so nothing may be sent
    assert journal.hand_over() == 1
    assert journal.read(held.batch_key) == {7: ""}
    journal.forget(held.batch_key)
    assert journal.read(held.batch_key) == {}


def test_a_line_that_was_not_written_to_its_end_says_nothing(held, settings):
    Journal(held).close(is_settled=False)
    files(settings)[0].write_bytes(b"+7 -\n+8 id.x-\n+12")
    assert journal.read(held.batch_key) == {7: "", 8: "id.x"}


def test_a_folder_that_cannot_be_made_is_no_reason_not_to_send(people, send_to_news, server, settings):
    settings.JOURNALS.write_text("a file is in its place")
    people(3)
    mailing = send_to_news()
    work_slice(mailing.pk)
    mailing.refresh_from_db()
    assert (mailing.state, len(server.messages)) == ("finished", 3)


@pytest.mark.parametrize("odd", ["a\nb", "\ud800", "a-b\r\n+9 -"])
def test_an_odd_id_of_an_esp_breaks_no_journal(held, odd):
    notes = Journal(held)
    notes.note(7, odd)
    notes.note(8, "x")
    assert set(journal.read(held.batch_key)) == {7, 8}


def test_a_line_that_was_cut_on_a_full_disk_makes_nobody_of_two(held, settings):
    Journal(held).close(is_settled=False)
    files(settings)[0].write_bytes(b"+1+34 -\n+5 -\n")  # of 12, and the next one behind it
    assert set(journal.read(held.batch_key)) == {5}


@pytest.mark.django_db(transaction=True)
def test_a_settlement_that_fails_loses_no_result_and_another_host_sends_nothing_again(
    people, send_to_news, server, monkeypatch, settings
):
    settle, failures = work.settle, []

    def fail_once(mailing, results, **options):
        if results and not failures:
            failures.append(1)
            raise OperationalError("the connection was lost")
        return settle(mailing, results, **options)

    monkeypatch.setattr(work, "settle", fail_once)
    people(6)
    mailing = send_to_news()
    with pytest.raises(OperationalError):
        work_slice(mailing.pk)
    settings.JOURNALS = settings.JOURNALS.parent / "another host"
    while work_slice(mailing.pk):
        pass
    assert len(server.messages) == 6
    assert set(Delivery.objects.filter(mailing=mailing).values_list("state", flat=True)) == {"accepted"}


@pytest.mark.django_db(transaction=True)
def test_a_settlement_that_goes_on_failing_leaves_the_acceptances_where_every_host_finds_them(
    people, send_to_news, server, monkeypatch, settings
):
    people(120)
    mailing = send_to_news()
    with monkeypatch.context() as broken:
        broken.setattr(work, "settle", lambda *args, **options: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            work_slice(mailing.pk)
    sent = len(server.messages)
    assert sent > 0
    settings.JOURNALS = settings.JOURNALS.parent / "another host"
    while work_slice(mailing.pk):
        pass
    assert len(set(server.recipients())) == len(server.messages) == 120


def test_one_lease_that_cannot_be_given_back_keeps_no_other_journal(
    people, send_to_news, monkeypatch, settings
):
    people(120)
    mailing = send_to_news()
    held = work._Slice(mailing, 0.0)
    for _ in range(2):
        held._hold(work.lease.claim(mailing.pk, worker="w"))
    for each in held._held:
        each.left = 1
        each.journal.note(each.lease.first)
    held.is_broken = True
    monkeypatch.setattr(work.lease, "release", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        held.give_back()
    assert files(settings) == [], "both were closed, and handed over to Redis"
    assert all(journal.read(key) for key in Batch.objects.order_by("pk").values_list("key", flat=True)[:2])


def test_nothing_is_sent_once_connecting_took_longer_than_the_lease_is_sure(
    people, send_to_news, server, account, monkeypatch
):
    account.lanes = 1
    account.save()
    borrow = lanes.connections.borrow

    def slowly(*args, **options):
        time.sleep(1.0)
        return borrow(*args, **options)

    monkeypatch.setattr(lanes.connections, "borrow", slowly)
    monkeypatch.setattr(work, "FENCE_SECONDS", 0.4)
    monkeypatch.setattr(work.lease, "renew", lambda leases: False)
    people(3)
    work_slice(send_to_news().pk)
    assert server.messages == []


def test_while_redis_is_away_nothing_is_sent_that_another_host_may_have_sent(
    people, send_to_news, server, monkeypatch
):
    people(3)
    mailing = send_to_news()

    def away(batch_key):
        raise redis.ConnectionError("away")

    with monkeypatch.context() as gone:
        gone.setattr(work.journal, "read", away)
        assert work_slice(mailing.pk).is_held
    assert server.messages == []
    mailing.__class__.objects.update(due_at=None)
    while work_slice(mailing.pk):
        pass
    assert len(server.messages) == 3
