"""A large campaign goes to some first, and to the rest once there was time for what comes back."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Workspace
from accounts.queue import redis_client
from delivery import actions, queries
from delivery.actions import NobodyHeldBack
from delivery.feedback.apply import apply
from delivery.hygiene import gradual
from delivery.models import Batch, Delivery, Mailing
from delivery.pipeline import dispatch, lease
from delivery.pipeline.sweep import sweep
from delivery.pipeline.work import work_slice
from tests.delivery.test_hygiene import fact
from tests.delivery.test_pipeline import assert_everyone_is_accounted_for, work_all

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rules(workspace):
    """From 40 people on, to 20 first, to the rest 15 minutes later."""
    Workspace.objects.update(gradual_from=40, gradual_count=20)
    workspace.refresh_from_db()
    return workspace


@pytest.fixture
def large(people, send_to_news):
    people(100)
    return send_to_news(gradually=True)


def numbers_sent():
    return list(Delivery.objects.filter(state="accepted").order_by("number").values_list("number", flat=True))


def time_has_come(mailing):
    Mailing.objects.filter(pk=mailing.pk).update(rest_at=timezone.now() - timedelta(seconds=1))


def first_are_out(mailing):
    work_all(mailing)
    gradual.watch()
    mailing.refresh_from_db()


def test_it_goes_to_some_from_all_parts_of_the_audience_and_to_the_rest_after_the_wait(large, server):
    work_all(large)
    assert numbers_sent() == [n for ten in range(0, 100, 10) for n in (ten + 1, ten + 2)]
    before = timezone.now()
    gradual.watch()
    large.refresh_from_db()
    assert large.state == "sending"
    assert 14.9 < (large.rest_at - before).total_seconds() / 60 < 15.1
    gradual.watch()
    sweep()
    assert work_slice(large.pk) is None, "the wait has not ended"
    time_has_come(large)
    gradual.watch()
    work_all(large)
    assert large.state == "finished"
    assert len(server.messages) == len(set(server.recipients())) == 100
    assert_everyone_is_accounted_for(large)


def test_the_wait_begins_when_the_last_of_the_first_was_tried(large, server, one_batch_a_slice):
    server.answers["RCPT"] = lambda line: "450 4.2.0 Greylisted" if "<p1@" in line else "250 Ok"
    work_slice(large.pk)
    gradual.watch()
    large.refresh_from_db()
    assert large.rest_at is None
    first_are_out(large)
    assert Delivery.objects.filter(state="deferred").count() == 1
    assert large.rest_at is not None, "whoever is put off is not waited for"


def test_what_comes_back_of_the_first_keeps_it_from_the_rest(people, send_to_news, server, rules):
    Workspace.objects.update(gradual_from=300, gradual_count=250)
    rules.refresh_from_db()
    people(600)
    mailing = send_to_news(gradually=True)
    first_are_out(mailing)
    apply([fact(mailing, number, "bounced", timezone.now()) for number in numbers_sent()[:20]])
    time_has_come(mailing)
    gradual.watch()
    mailing.refresh_from_db()
    assert mailing.state == "paused"
    assert "20 of the 250 messages sent so far (8 %) bounced for good" in mailing.state_reason
    gradual.watch()
    assert Batch.objects.filter(state="held").exists()
    actions.resume(mailing)
    gradual.watch()
    work_all(mailing)
    assert len(server.messages) == 600, "whoever resumes it has seen that"


def test_nobody_waits_who_does_not_want_it_or_has_few_people(people, send_to_news, server):
    people(39)
    for options in ({"gradually": True}, {}):
        mailing = send_to_news(**options)
        assert not Batch.objects.filter(state="held").exists()
        work_all(mailing)
        assert mailing.state == "finished"


def test_whoever_launches_it_otherwise_waits_for_nothing(people, send_to_news, server):
    people(100)
    work_all(send_to_news())
    assert len(server.messages) == 100


def test_a_limit_of_none_never_waits_and_nothing_comes_back_of_the_local_inbox(
    people, send_to_news, account, rules
):
    people(100)
    Workspace.objects.update(gradual_from=0)
    rules.refresh_from_db()
    assert send_to_news(gradually=True).first_count == 0
    Workspace.objects.update(gradual_from=40)
    rules.refresh_from_db()
    account.provider = "inbox"
    account.save()
    assert send_to_news(gradually=True).first_count == 0


def test_a_usual_workspace_waits_from_ten_thousand_people_on(workspace, account):
    from delivery.pipeline.plan import first_of

    usual = Workspace()
    assert [first_of(usual, account, total) for total in (500, 9_999, 10_000)] == [0, 0, 500]


def test_a_person_sends_to_the_rest_at_once(large, server):
    first_are_out(large)
    actions.send_rest(large)
    work_all(large)
    assert large.state == "finished"
    assert len(server.messages) == 100
    with pytest.raises(NobodyHeldBack):
        actions.send_rest(large)


def test_also_while_the_first_are_being_sent(large, server, one_batch_a_slice):
    work_slice(large.pk)
    actions.send_rest(large)
    work_all(large)
    assert len(server.messages) == len(set(server.recipients())) == 100


def test_a_paused_one_goes_to_nobody_more(large):
    first_are_out(large)
    actions.pause(large)
    time_has_come(large)
    gradual.watch()
    with pytest.raises(NobodyHeldBack):
        actions.send_rest(large)
    assert Batch.objects.filter(state="held").count() == 10


def test_canceled_it_ends_with_those_who_got_it(large, server):
    first_are_out(large)
    actions.cancel(large)
    sweep()
    large.refresh_from_db()
    assert (large.accepted_count, large.canceled_count) == (20, 80)
    assert_everyone_is_accounted_for(large)


def test_it_survives_a_flushed_redis_and_a_dead_worker(large, server):
    claimed = lease.claim(large.pk, worker="dead")
    assert claimed
    redis_client().flushdb()
    Batch.objects.filter(state="leased").update(leased_until=timezone.now() - timedelta(minutes=1))
    sweep()
    first_are_out(large)
    redis_client().flushdb()
    time_has_come(large)
    gradual.watch()
    redis_client().flushdb()
    assert dispatch.top_up(large.pk) > 0
    work_all(large)
    assert large.state == "finished"
    assert len(server.messages) == 100


def test_who_was_rejected_first_is_tried_again_and_the_rest_still_waits(large, server):
    server.answers["RCPT"] = lambda line: "550 5.1.1 No" if "<p1@" in line else "250 Ok"
    Workspace.objects.update(pause_at_rejected_percent=0, pause_at_bounced_percent=0)
    first_are_out(large)
    server.answers.clear()
    actions.retry(large, state="rejected")
    work_all(large)
    assert large.state == "sending"
    assert Batch.objects.filter(state="held").count() == 10


def test_the_monitor_says_what_becomes_of_the_rest(large):
    said = queries.progress(large)
    assert (
        "It goes to 20 people first, from all parts of the audience. The other 80 follow 15 minutes"
        in said.rest
    )
    first_are_out(large)
    said = queries.progress(large)
    shown = large.rest_at.astimezone(large.workspace.zone).strftime("%H:%M")
    assert (
        f"It has gone to the first 20 people, from all parts of the audience. The other 80 follow at {shown}"
        in said.rest
    )
    assert said.seconds_left is None
    actions.send_rest(large)
    large.refresh_from_db()
    assert queries.progress(large).rest == ""


def test_asking_whether_the_first_are_out_reads_no_more_than_their_rows(large):
    Batch.objects.create(mailing=large, first_number=101, last_number=30_000, state="held")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_delivery "
            "(mailing_id, number, email, state, attempt_count, code, server_said, provider_id) "
            "SELECT %s, number, '', 'pending', 0, '', '', '' FROM generate_series(101, 30000) AS number",
            [large.pk],
        )
        cursor.execute("ANALYZE delivery_delivery, delivery_batch")
        cursor.execute(f"EXPLAIN {gradual.ALL_OUT}", [large.pk])
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "Scan using delivery_delivery_pkey" in plan
    assert "number >= b.first_number" in plan.partition("Index Cond")[2], plan


def test_waiting_is_not_standing_still(large, rules):
    first_are_out(large)
    long_ago = timezone.now() - timedelta(minutes=10)
    Batch.objects.update(due_at=long_ago)
    Mailing.objects.update(progress_at=long_ago)
    assert queries.late(rules) == {}
    time_has_come(large)
    gradual.watch()
    assert queries.late(rules) == {}, "it has only just been let go"


@pytest.mark.django_db(transaction=True)
def test_the_clock_and_a_person_at_once_let_it_go_once(large, at_once):
    first_are_out(large)
    for _ in range(10):
        Batch.objects.update(state="held")
        Mailing.objects.update(first_count=20)
        assert sorted(at_once(*[lambda: gradual.let_go(large.pk)] * 2)) == [0, 20]
