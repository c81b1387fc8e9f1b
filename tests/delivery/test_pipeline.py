"""A mailing reaches everyone once, whatever servers, people and workers do meanwhile."""

import email
import email.policy
import itertools
import threading
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import django_rq
import pytest
from django.db import connection
from django.utils import timezone

from accounts.queue import leaving
from contacts.models import Subscription, Suppression
from delivery import mailings
from delivery.actions import cancel, pause, resume, send_test
from delivery.content import Content
from delivery.models import Batch, Delivery, Mailing
from delivery.pipeline import lease, work
from delivery.pipeline.load import load
from delivery.pipeline.settle import Result, settle
from delivery.pipeline.sweep import sweep
from delivery.pipeline.work import work_slice
from delivery.queries import deliveries, progress
from delivery.transports.base import Fate, Outcome
from tests.at_once import beside
from tests.delivery.conftest import HELLO

pytestmark = pytest.mark.django_db


def work_all(mailing) -> int:
    """What the workers do until nothing is due. Returns how many batches they worked on."""
    batches = 0
    while report := work_slice(mailing.pk):
        batches += len(report.batch_ids)
    mailing.refresh_from_db()
    return batches


def make_due(mailing) -> None:
    """The time of the next try has come."""
    past = timezone.now() - timedelta(hours=1)  # the database's now is when the test began
    Delivery.objects.filter(mailing=mailing, state="deferred").update(due_at=past)
    Batch.objects.filter(mailing=mailing, state="ready").update(due_at=past)
    Mailing.objects.filter(pk=mailing.pk).update(due_at=None)


def assert_everyone_is_accounted_for(mailing) -> None:
    mailing.refresh_from_db()
    states = mailings.recount(mailing.pk)
    counted = {
        name: getattr(mailing, f"{name}_count")
        for name in ("accepted", "rejected", "skipped", "in_doubt", "canceled")
    }
    assert {state: count for state, count in counted.items() if count} == {
        state: count for state, count in states.items() if state not in ("pending", "deferred")
    }
    assert sum(states.values()) == mailing.total_count


def said(mailing, address: str) -> Delivery:
    return Delivery.objects.get(mailing=mailing, email=address)


def test_everyone_gets_one_message_and_the_mailing_ends(people, send_to_news, server):
    people(120)
    mailing = send_to_news()
    assert work_all(mailing) == 3
    assert Counter(server.recipients()) == Counter(f"p{n}@example.com" for n in range(1, 121))
    assert (mailing.state, mailing.accepted_count) == ("finished", 120)
    assert_everyone_is_accounted_for(mailing)


def test_a_worker_goes_on_to_the_next_batch_over_the_same_connections(people, send_to_news, server, account):
    people(120)
    mailing = send_to_news()
    report = work_slice(mailing.pk)
    assert (len(report.batch_ids), report.settled) == (3, 120)
    assert server.connection_count == account.lanes
    assert set(Batch.objects.filter(mailing=mailing).values_list("state", flat=True)) == {"done"}


def test_a_worker_told_to_stop_gives_back_what_it_has_not_sent(people, send_to_news, server):
    people(120)
    mailing = send_to_news()

    def take_and_stop(_recipient):
        leaving.set()
        return "250 Ok"

    server.answers["END"] = take_and_stop
    try:
        work_slice(mailing.pk)
    finally:
        leaving.clear()
        del server.answers["END"]
    assert 0 < len(server.messages) < 120
    assert not Batch.objects.filter(mailing=mailing, state="leased").exists()
    work_all(mailing)
    assert sorted(Counter(server.recipients()).values()) == [1] * 120


@pytest.mark.django_db(transaction=True)
def test_what_was_accepted_and_not_settled_is_known_by_the_journals_of_its_batches(
    people, send_to_news, server, monkeypatch
):
    people(120)
    mailing = send_to_news()
    monkeypatch.setattr(work, "settle", lambda *args, **options: 1 / 0)  # the database goes away
    monkeypatch.setattr(work, "SETTLE_EVERY", 60)
    with pytest.raises(ZeroDivisionError):
        work_slice(mailing.pk)
    assert len(server.messages) > 50, "of more than one batch"
    assert not Delivery.objects.filter(mailing=mailing, state="accepted").exists()
    monkeypatch.undo()
    work_all(mailing)
    assert sorted(Counter(server.recipients()).values()) == [1] * 120
    assert_everyone_is_accounted_for(mailing)


def test_each_message_is_personal_and_connections_are_kept(people, send_to_news, server):
    people(60)
    work_all(send_to_news())
    for recipient, octets in server.messages:
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert message["Subject"] == "Hi P" + recipient[1:].partition("@")[0]
    assert server.connection_count <= 3


def test_a_server_without_pipelining_is_served_in_lock_step(people, send_to_news, server):
    server.pipelining = False
    people(10)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == len(server.messages) == 10


@pytest.mark.parametrize("pipelining", [True, False])
def test_a_refused_address_keeps_the_servers_words_and_stops_nobody_else(
    people, send_to_news, server, pipelining
):
    server.pipelining = pipelining
    server.answers["RCPT"] = lambda line: "550 5.1.1 No such user" if "<p3@" in line else "250 Ok"
    people(10)
    mailing = send_to_news()
    work_all(mailing)
    assert len(server.messages) == 9
    row = said(mailing, "p3@example.com")
    assert (row.state, row.code, row.server_said) == ("rejected", "550 5.1.1", "550 5.1.1 No such user")
    assert mailing.state == "finished"
    assert progress(mailing).errors[0].server_said == "550 5.1.1 No such user"
    assert_everyone_is_accounted_for(mailing)


def test_a_message_refused_after_data_is_rejected(people, send_to_news, server):
    server.answers["END"] = lambda recipient: "554 5.7.1 Spam" if recipient.startswith("p2@") else "250 Ok"
    people(5)
    mailing = send_to_news()
    work_all(mailing)
    assert said(mailing, "p2@example.com").code == "554 5.7.1"
    assert mailing.accepted_count == 4


def test_a_deferred_message_is_tried_again_with_the_same_message_id(people, send_to_news, server):
    ids = []
    tries = Counter()

    def greylist(line):
        tries[line] += 1
        return "451 4.7.1 Come back later" if "<p1@" in line and tries[line] == 1 else "250 Ok"

    server.answers["RCPT"] = greylist
    people(3)
    mailing = send_to_news()
    work_all(mailing)
    row = said(mailing, "p1@example.com")
    assert row.state == "deferred"
    assert 40 <= (row.due_at - timezone.now()).total_seconds() <= 75
    assert mailing.state == "sending"
    assert "put off by the receiving servers" in progress(mailing).waiting_for or not progress(
        mailing
    ).waiting_for.startswith("The account")
    assert work_slice(mailing.pk) is None, "not before its time"
    make_due(mailing)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", 3)
    assert said(mailing, "p1@example.com").attempt_count == 2
    ids = [email.message_from_bytes(octets)["Message-ID"] for _, octets in server.messages]
    assert len(set(ids)) == 3


def test_a_message_deferred_for_a_day_is_given_up(people, send_to_news, server):
    server.answers["RCPT"] = lambda _line: "451 4.7.1 Come back later"
    people(1)
    mailing = send_to_news()
    Mailing.objects.filter(pk=mailing.pk).update(created_at=timezone.now() - timedelta(days=3))
    work_all(mailing)
    assert said(mailing, "p1@example.com").state == "deferred", (
        "a mailing may be old: it was paused, or is slow"
    )
    make_due(mailing)
    Delivery.objects.update(deferred_since=timezone.now() - timedelta(hours=25))
    work_all(mailing)
    assert said(mailing, "p1@example.com").server_said.startswith("Given up after 2 tries")
    assert mailing.state == "finished"


def test_whoever_left_or_was_suppressed_after_planning_gets_nothing(people, send_to_news, server, workspace):
    first, second, third, fourth = people(4)
    mailing = send_to_news()
    Subscription.objects.filter(contact=first).update(status="unsubscribed")
    Suppression.objects.create(workspace=workspace, email=second.email, reason="manual")
    third.delete()
    work_all(mailing)
    assert server.recipients() == [fourth.email]
    assert mailing.state == "finished"
    assert (mailing.accepted_count, mailing.skipped_count) == (1, 3)
    assert_everyone_is_accounted_for(mailing)


def test_a_first_batch_of_nobody_does_not_end_the_mailing(people, send_to_news, server):
    contacts = people(120)
    mailing = send_to_news()
    first = Delivery.objects.filter(mailing=mailing, number__lte=50).values_list("contact_id", flat=True)
    Subscription.objects.filter(contact_id__in=list(first)).update(status="unsubscribed")
    work_all(mailing)
    assert len(server.messages) == len(contacts) - 50
    assert mailing.state == "finished"


def test_nothing_is_sent_while_paused_and_the_rest_after_resuming(
    people, send_to_news, server, one_batch_a_slice
):
    people(120)
    mailing = send_to_news()
    work_slice(mailing.pk)
    pause(mailing)
    assert work_slice(mailing.pk) is None
    assert len(server.messages) == 50
    resume(mailing)
    work_all(mailing)
    assert len(set(server.recipients())) == len(server.messages) == 120


def test_a_pause_stops_a_batch_that_is_being_sent(people, send_to_news, server, monkeypatch):
    people(50)
    mailing = send_to_news()
    server.answers["END"] = lambda _recipient: (threading.Event().wait(0.05), "250 Ok")[1]
    settled = []

    def settle_then_pause(*args, **options):
        settled.append(1)
        if len(settled) == 2:  # somebody presses the button after the first messages
            pause(mailing)
        return settle(*args, **options)

    monkeypatch.setattr(work, "settle", settle_then_pause)
    work_slice(mailing.pk)
    mailing.refresh_from_db()
    assert mailing.state == "paused"
    assert 0 < len(server.messages) < 50
    assert mailing.accepted_count == len(server.messages)


def test_canceling_leaves_the_rest_unsent_and_counted(people, send_to_news, server, one_batch_a_slice):
    people(120)
    mailing = send_to_news()
    work_slice(mailing.pk)
    cancel(mailing)
    assert work_slice(mailing.pk) is None
    mailing.refresh_from_db()
    assert (mailing.state, mailing.accepted_count, mailing.canceled_count) == ("canceled", 50, 70)
    assert_everyone_is_accounted_for(mailing)


def test_an_account_that_is_refused_pauses_the_mailing_and_says_why(people, send_to_news, server, account):
    server.answers["MAIL"] = lambda _line: "530 5.7.0 Authentication required"
    people(5)
    mailing = send_to_news()
    work_all(mailing)
    account.refresh_from_db()
    assert mailing.state == "paused"
    assert "530 5.7.0 Authentication required" in mailing.state_reason
    assert "530" in account.stopped_reason
    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}
    account.stopped_reason = ""
    account.save()
    del server.answers["MAIL"]
    resume(mailing)
    work_all(mailing)
    assert mailing.accepted_count == 5


def test_a_closed_port_is_tried_again_and_named(people, send_to_news, server, account):
    people(5)
    account.settings["port"] = 1
    account.save()
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.state == "sending"
    assert "refused the connection" in progress(mailing).waiting_for
    assert set(Delivery.objects.values_list("state", flat=True)) == {"pending"}
    type(mailing).objects.update(trouble_since=timezone.now() - timedelta(minutes=6))
    make_due(mailing)
    work_all(mailing)
    assert mailing.state == "paused"
    assert "could not be reached" in mailing.state_reason


def test_a_connection_the_server_closed_is_opened_again(people, send_to_news, server):
    sent = Counter()

    def limited(_recipient):
        sent["all"] += 1
        return "421 4.7.0 Too many messages on this connection" if sent["all"] in (4, 9) else "250 Ok"

    server.answers["END"] = limited
    people(20)
    mailing = send_to_news()
    work_all(mailing)
    make_due(mailing)
    work_all(mailing)
    assert sorted(Counter(server.recipients()).values()) == [1] * 20
    assert mailing.state == "finished"


def test_a_connection_lost_after_the_message_is_repeated_with_the_same_id(people, send_to_news, server):
    sent = Counter()

    def lose_once(recipient):
        sent[recipient] += 1
        return None if recipient == "p2@example.com" and sent[recipient] == 1 else "250 Ok"

    server.answers["END"] = lose_once
    people(3)
    mailing = send_to_news()
    work_all(mailing)
    assert said(mailing, "p2@example.com").code == "in doubt"
    make_due(mailing)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", 3)


def test_what_a_dead_worker_noted_is_settled_and_not_sent_again(people, send_to_news, server):
    people(5)
    mailing = send_to_news()
    batch = Batch.objects.get(mailing=mailing)
    lease.claim(mailing.pk, worker="the dead one")
    django_rq.get_connection("send").rpush(f"volley:journal:{batch.key}", "1", "2", "3 id-of-the-esp")
    Batch.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    assert work_slice(mailing.pk) is None, "the lease is still its holder's"
    sweep()
    work_all(mailing)
    assert len(server.messages) == 2
    assert (mailing.state, mailing.accepted_count) == ("finished", 5)
    assert Delivery.objects.get(mailing=mailing, number=3).provider_id == "id-of-the-esp"


def test_a_lease_that_was_taken_over_cannot_be_renewed_or_released(people, send_to_news):
    people(5)
    mailing = send_to_news()
    held = lease.claim(mailing.pk, worker="slow")
    Batch.objects.update(lease=uuid.uuid4())
    assert not lease.renew([held])
    assert lease.release(held) is None


def test_leases_are_renewed_together_and_one_that_is_lost_is_noticed(people, send_to_news):
    people(120)
    mailing = send_to_news()
    held = [lease.claim(mailing.pk, worker="slow") for _ in range(3)]
    assert lease.renew(held)
    Batch.objects.filter(pk=held[1].batch_id).update(lease=uuid.uuid4())
    assert not lease.renew(held)


def test_a_worker_claims_no_more_of_a_mailing_that_went_to_another_account(people, send_to_news, account):
    people(120)
    mailing = send_to_news()
    assert lease.claim(mailing.pk, worker="w", account_id=account.pk)
    assert lease.claim(mailing.pk, worker="w", account_id=account.pk + 1) is None


def test_one_recipients_template_error_fails_that_one_alone(people, send_to_news, server):
    contacts = people(3)
    contacts[1].attributes = {"n": 0}
    contacts[1].save()
    mailing = send_to_news(
        Content(
            "Hi",
            "{% if contact.n == 0 %}{{ 1 | divided_by: contact.n }}{% endif %}x",
            "x",
            "A",
            "a@acme.example",
        )
    )
    work_all(mailing)
    assert len(server.messages) == 2
    assert said(mailing, "p2@example.com").code == "template"
    assert mailing.state == "finished"


def test_a_test_send_needs_no_contact_and_takes_a_samples_name(people, account, server, workspace):
    sample = people(1)[0]
    mailing = send_test(
        workspace=workspace,
        name="Test",
        account=account,
        content=HELLO,
        to=["boss@acme.example"],
        sample=sample,
    )
    work_all(mailing)
    assert server.recipients() == ["boss@acme.example"]
    assert b"Subject: Hi P1" in server.messages[0][1]


def test_nobody_to_send_to_ends_at_once(send_to_news):
    assert send_to_news().state == "finished"


@pytest.mark.django_db(transaction=True)
def test_many_workers_share_a_mailing_without_sending_twice(people, send_to_news, server):
    people(600)
    mailing = send_to_news()

    def worker():
        while work_slice(mailing.pk):
            pass

    for each in [beside(worker) for _ in range(4)]:
        each.result(60)
    assert sorted(Counter(server.recipients()).values()) == [1] * 600
    mailing.refresh_from_db()
    assert mailing.state == "finished"
    assert_everyone_is_accounted_for(mailing)


def test_complaints_that_differ_in_a_queue_id_alone_are_one_group(people, send_to_news, server):
    ids = itertools.count(10)
    server.answers["RCPT"] = lambda _: f"451 4.7.1 Greylisted, see a8f{next(ids)}c7d-gsmtp"
    people(30)
    mailing = send_to_news()
    work_all(mailing)
    found = progress(mailing)
    assert [(group.state, group.code, group.count) for group in found.errors] == [
        ("deferred", "451 4.7.1", 30)
    ]
    assert "gsmtp" in found.errors[0].server_said, "one of the answers as it was given"
    assert found.deferred == 30


def test_the_recipients_behind_a_group_are_found_by_its_code(people, send_to_news, server):
    server.answers["RCPT"] = lambda line: "552 5.2.2 Full" if "<p3@" in line else "550 5.1.1 Nobody"
    people(4)
    mailing = send_to_news()
    work_all(mailing)
    assert [row.email for row in deliveries(mailing, state="rejected", code="552 5.2.2")] == [
        "p3@example.com"
    ]


def test_attributes_reach_the_message_and_those_that_nobody_reads_stay_in_the_database(
    people, send_to_news, server
):
    p1, p2, p3 = people(3)
    for contact, attributes in ((p1, {"city": "Zürich", "secret": "x"}), (p2, {"city": 7}), (p3, {})):
        contact.attributes = attributes
        contact.save()
    mailing = send_to_news(replace(HELLO, html="<p>{{ contact.city | default: 'nowhere' }}</p>"))
    batch = lease.claim(mailing.pk, worker="test")
    recipients = load(mailing, batch, attributes=["city"]).recipients
    assert [each.attributes for each in recipients] == [{"city": "Zürich"}, {"city": 7}, {"city": None}]
    assert load(mailing, batch, attributes=[]).recipients[0].attributes is None
    assert load(mailing, batch).recipients[0].attributes == {"city": "Zürich", "secret": "x"}
    lease.release(batch)
    work_all(mailing)
    bodies = {to: octets.decode() for to, octets in server.messages}
    assert "Z=C3=BCrich" in bodies["p1@example.com"]
    assert "<p>=\r\n7" in bodies["p2@example.com"]
    assert "nowhere" in bodies["p3@example.com"]


def rows_written() -> Counter:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'delivery_delivery'"
        )
        rows, without_index = cursor.fetchone()
    return Counter(rows=rows, without_index=without_index)


def test_who_was_reached_is_written_without_touching_an_index(people, send_to_news):
    """A million settled rows would else write their two indexes anew, three times the log (PostgreSQL's HOT)."""
    people(200)
    mailing = send_to_news()
    said = "250 2.0.0 Ok: queued as 4XyZ12345678"
    accepted = [Result(n, Outcome(Fate.ACCEPTED, "250 2.0.0", said)) for n in range(1, 200)]
    before = rows_written()
    settle(mailing, accepted)
    settle(mailing, [Result(200, Outcome(Fate.REJECTED, "550 5.1.1", "Nobody"))])
    assert rows_written() - before == Counter(rows=200, without_index=199)
    assert list(Delivery.objects.filter(exception="rejected").values_list("number", flat=True)) == [200]
