"""What other systems broke, and this one promises: in the ledger, in the queues, between campaigns."""

import json
import socket
import zlib
from collections import Counter
from pathlib import Path

import django_rq
import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from rq.serializers import JSONSerializer

from accounts.queue import enqueue, redis_client
from config.worker import Worker
from contacts.models import Contact
from delivery.actions import send_test
from delivery.management.commands import clock
from delivery.models import Batch, Delivery, Mailing
from delivery.pipeline import plan
from delivery.pipeline.dispatch import queued_by_mailing
from delivery.pipeline.mold import Mold
from delivery.pipeline.sweep import sweep
from delivery.pipeline.work import work_slice
from delivery.transports import smtp
from tests.at_once import until
from tests.delivery.conftest import HELLO
from tests.delivery.test_pipeline import assert_everyone_is_accounted_for, said, work_all
from tests.smtp_server import ScriptedServer

pytestmark = pytest.mark.django_db
WEEK = 7 * 86400


def run_worker(queue="send"):
    """One real worker, until its queue is empty."""
    queues = [django_rq.get_queue(queue)]
    Worker(queues, connection=queues[0].connection, serializer=JSONSerializer).work(burst=True)


def test_the_ledger_takes_nobody_twice(people, send_to_news):
    contact = people(1)[0]
    mailing = send_to_news()
    with pytest.raises(IntegrityError), transaction.atomic():
        Delivery.objects.create(mailing=mailing, number=2, contact=contact, email=contact.email)


@pytest.mark.parametrize(
    "address", ["", "no-at", "a b@x.example", "ä@müller.example", "a@" + "x" * 80, "a@b\n.c"]
)
def test_an_address_that_cannot_be_sent_to_stops_nobody_else(people, send_to_news, server, address):
    contacts = people(3)
    Contact.objects.filter(pk=contacts[1].pk).update(email=address)
    mailing = send_to_news()
    for _ in range(3):
        work_all(mailing)
    assert {"p1@example.com", "p3@example.com"} <= set(server.recipients())
    assert mailing.accepted_count >= 2
    assert mailing.state == "finished", said(mailing, address).server_said
    assert_everyone_is_accounted_for(mailing)


def test_a_server_that_takes_the_call_and_never_answers_costs_a_while_and_is_named(
    people, send_to_news, account, monkeypatch
):
    monkeypatch.setattr(smtp, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(smtp, "CONNECT_SECONDS", 0.3)
    people(3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        account.settings["port"] = silent.getsockname()[1]
        account.save()
        mailing = send_to_news()
        work_slice(mailing.pk)
    mailing.refresh_from_db()
    assert mailing.state == "sending"
    assert f"127.0.0.1:{account.settings['port']}" in mailing.state_reason
    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}


def test_settings_changed_in_the_middle_hold_from_the_next_turn_on(
    people, send_to_news, server, account, one_batch_a_slice
):
    people(120)
    mailing = send_to_news()
    work_slice(mailing.pk)
    other = ScriptedServer()
    account.settings["port"] = other.port
    account.updated_at = account.updated_at.replace(year=2030)
    account.save()
    work_all(mailing)
    assert (len(server.messages), len(other.messages)) == (50, 70)
    assert sorted(Counter(server.recipients() + other.recipients()).values()) == [1] * 120
    other.close()


# --- Queues ---------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_lost_jobs_are_queued_again_and_those_that_wait_are_not_doubled(people, send_to_news):
    people(150)
    mailing = send_to_news()
    window = queued_by_mailing()[mailing.pk]
    assert window >= 1
    assert sweep() == 0
    redis_client().flushdb()
    assert sweep() == window
    assert queued_by_mailing() == {mailing.pk: window}


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_queues_nothing():
    with transaction.atomic():
        enqueue("delivery.jobs.send_batch", queue="send", mailing_id=1)
        transaction.set_rollback(True)
    assert django_rq.get_queue("send").count == 0


@pytest.mark.django_db(transaction=True)
def test_a_job_says_whose_turn_it_is_in_plain_json_and_leaves_nothing_behind(people, send_to_news, server):
    people(3)
    mailing = send_to_news()
    queue = django_rq.get_queue("send")
    job = queue.jobs[0]
    stored = redis_client().hget(job.key, "data")
    assert mailing.pk in json.loads(zlib.decompress(stored))[3].values()
    assert job.kwargs == {"mailing_id": mailing.pk}
    run_worker()
    mailing.refresh_from_db()
    assert mailing.state == "finished"
    assert not redis_client().exists(job.key)


@pytest.mark.django_db(transaction=True)
def test_a_failed_job_is_kept_for_a_week_at_most():
    enqueue("delivery.jobs.no_such_job", queue="send", job_id="send-1-broken")
    run_worker()
    assert 0 < redis_client().ttl("rq:job:send-1-broken") <= WEEK


def test_each_worker_listens_on_one_queue():
    """Only then is RQ safe between taking a job and starting it."""
    lines = (Path(settings.BASE_DIR) / "Procfile").read_text().splitlines()
    commands = [line.split("rqworker-pool ")[1] for line in lines if "rqworker-pool" in line]
    named = [command.split(" --")[0].split() for command in commands]
    assert sorted(named) == [["bulk"], ["events"], ["send"], ["system"]]


@pytest.mark.django_db(transaction=True)
def test_a_second_clock_waits_its_turn(monkeypatch):
    swept = []
    monkeypatch.setattr(clock, "sweep", lambda: swept.append(1))
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [clock.LOCK])
        clock.tick()
        assert swept == []
    other.close()  # as when its host dies; PostgreSQL notices in its own time
    until(lambda: clock.tick() or swept)
    assert swept == [1]


# --- Between campaigns ----------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_campaigns_that_are_sent_together_get_on_together(
    people, send_to_news, server, monkeypatch, one_batch_a_slice
):
    monkeypatch.setattr(plan, "BATCH_MIN", 5)
    people(80)
    mailings = [send_to_news() for _ in range(5)]
    seen = []

    def note(self, *arguments, **options):
        done = perform(self, *arguments, **options)
        seen.append(dict(Mailing.objects.values_list("pk", "accepted_count")))
        return done

    perform = Worker.perform_job
    monkeypatch.setattr(Worker, "perform_job", note)
    run_worker()
    assert {each.accepted_count for each in Mailing.objects.all()} == {80}
    first_ahead = next(counts for counts in seen if max(counts.values()) >= 72)
    assert min(first_ahead[each.pk] for each in mailings) >= 8


@pytest.mark.django_db(transaction=True)
def test_a_test_send_overtakes_a_campaign(people, send_to_news, account, workspace):
    people(150)
    send_to_news()
    test = send_test(
        workspace=workspace,
        name="Test",
        account=account,
        content=HELLO,
        to=["boss@acme.example"],
        sample=None,
    )
    assert django_rq.get_queue("send").jobs[0].kwargs == {"mailing_id": test.pk}
    assert Batch.objects.filter(mailing=test).count() == 1


def test_a_message_that_cannot_be_made_for_whatever_reason_is_that_recipients_alone(
    people, send_to_news, server, monkeypatch
):
    made = Mold.pieces

    def poisoned(self, recipient):
        if recipient.email == "p2@example.com":
            raise RuntimeError("what nobody thought of")
        return made(self, recipient)

    monkeypatch.setattr(Mold, "pieces", poisoned)
    people(120)
    mailing = send_to_news()
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count, mailing.rejected_count) == ("finished", 119, 1)
    assert "what nobody thought of" in said(mailing, "p2@example.com").server_said
