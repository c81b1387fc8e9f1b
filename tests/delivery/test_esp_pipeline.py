"""A mailing through each ESP: in few calls, each recipient once, and all of them accounted for whatever it answers."""

import json
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.queue import redis_client
from contacts.models import Contact
from delivery.actions import cancel
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind
from delivery.feedback.facts import key_of as key_of_event
from delivery.models import Batch, Call, Delivery, Mailing, SendingAccount
from delivery.pipeline import calls, lease, work
from delivery.pipeline.sweep import sweep
from delivery.pipeline.work import work_slice
from delivery.providers import PROVIDERS
from delivery.transports import esp
from delivery.transports.names import read_name
from tests.at_once import WAIT_SECONDS
from tests.delivery.test_esp_batches import BATCHING, ESPS, an_esp_account
from tests.delivery.test_pipeline import assert_everyone_is_accounted_for, make_due, said, work_all
from tests.fake_esp.core import Answer
from tests.fake_esp.server import FakeEsp, Plan

pytestmark = pytest.mark.django_db
COUNT = 7
REPEATING = ("brevo", "resend")  # the ESP knows a call again by its key
names = pytest.mark.parametrize("name", [provider.name for provider in ESPS])


@pytest.fixture
def fake():
    with FakeEsp() as server:
        yield server


@pytest.fixture
def quick(monkeypatch):
    """Nobody waits long for an answer."""
    monkeypatch.setattr(esp, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(esp, "REPEAT_AFTER_SECONDS", 0.01)


@pytest.fixture
def name():
    return "mailgun"


@pytest.fixture
def account(workspace, fake, name):
    own = {"own_headers": False} if name == "mailersend" else {}
    account = an_esp_account(workspace, fake, name, **own)
    SendingAccount.objects.filter(pk=account.pk).update(lanes=1)
    account.refresh_from_db()
    redis_client().set(f"volley:quota:{account.pk}", 1)  # asked just now: what follows is about its calls
    return account


def calls_needed(name, count=COUNT) -> int:
    return -(-count // PROVIDERS[name].most)


def assert_nobody_got_it_twice(fake, mailing, *, everybody=COUNT):
    assert set(fake.counts.values()) <= {1}, fake.counts
    assert_everyone_is_accounted_for(mailing)
    assert not Call.objects.exists()
    assert mailing.total_count == everybody


@names
def test_everyone_gets_it_in_as_few_calls_as_the_esp_allows(people, send_to_news, fake, name):
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    assert len(fake.calls) == calls_needed(name)
    assert fake.connection_count == 1
    assert len(fake.counts) == COUNT
    assert {message.text.strip() for message in fake.messages} == {"Hi"}
    assert {message.subject for message in fake.messages} == {f"Hi P{n}" for n in range(1, COUNT + 1)}
    assert Delivery.objects.filter(mailing=mailing).exclude(provider_id="").count() == COUNT
    assert_nobody_got_it_twice(fake, mailing)


@names
@pytest.mark.parametrize("why", ["invalid", "suppressed"])
def test_one_that_is_refused_touches_no_other(people, send_to_news, fake, name, why):
    fake.account(name).refused = {"p3@example.com": why}
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.state == "finished"
    assert set(fake.counts) == {f"p{n}@example.com" for n in range(1, COUNT + 1)} - {"p3@example.com"}
    assert mailing.accepted_count >= COUNT - 1
    if why == "invalid" and name not in ("mailersend", "sparkpost"):  # which say it later, or of nobody
        assert said(mailing, "p3@example.com").state == "rejected"
    assert_nobody_got_it_twice(fake, mailing)


@names
def test_too_many_requests_make_it_wait_and_cost_nobody_a_try(people, send_to_news, fake, name):
    fake.plan(Plan(status=429, retry_after=2))
    people(COUNT)
    mailing = send_to_news()
    for _ in until_finished(mailing):
        assert not Delivery.objects.filter(mailing=mailing, state__in=["deferred", "rejected"]).exists()
    assert mailing.accepted_count == COUNT
    assert fake.calls[1].at - fake.calls[0].at > 0.9
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) == {1}
    assert_nobody_got_it_twice(fake, mailing)


def until_finished(mailing):
    """Work on it again and again, as often as the clock would; the pace in Redis says when something leaves."""
    deadline = time.monotonic() + WAIT_SECONDS
    while mailing.state != "finished" and time.monotonic() < deadline:
        work_all(mailing)
        yield
        time.sleep(0.1)
        make_due(mailing)


@names
def test_an_esp_in_trouble_is_asked_again_later(people, send_to_news, fake, name):
    fake.plan(Plan(status=503))
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    waiting = Delivery.objects.filter(mailing=mailing, state="deferred")
    assert waiting.count() == min(COUNT, PROVIDERS[name].most)
    assert len(set(waiting.values_list("due_at", flat=True))) == 1, "together again"
    make_due(mailing)
    list(until_finished(mailing))
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    assert_nobody_got_it_twice(fake, mailing)


@names
@pytest.mark.parametrize(
    "plan", [Plan(answer="none"), Plan(answer="half"), Plan(drop="body")], ids=["silence", "half", "reset"]
)
def test_without_an_answer_nobody_is_sent_to_twice(people, send_to_news, fake, quick, name, plan):
    fake.plan(plan)
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    make_due(mailing)
    work_all(mailing)
    doubtful = 0 if name in REPEATING else min(COUNT, PROVIDERS[name].most)
    assert (mailing.state, mailing.in_doubt_count) == ("finished", doubtful)
    assert mailing.accepted_count == COUNT - doubtful
    assert_nobody_got_it_twice(fake, mailing)


@names
@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_error_that_leaves_open_what_was_taken_sends_nobody_a_second_copy(
    people, send_to_news, fake, quick, name, status
):
    fake.plan(Plan(says=Answer(status, "<html>Gateway</html>")))
    people(COUNT)
    mailing = send_to_news()
    list(until_finished(mailing))
    doubtful = 0 if name in REPEATING else min(COUNT, PROVIDERS[name].most)
    assert (mailing.in_doubt_count, mailing.accepted_count) == (doubtful, COUNT - doubtful)
    assert_nobody_got_it_twice(fake, mailing)


@pytest.mark.parametrize("name", ["amazon_ses", "mailjet"])
def test_an_esp_that_fails_for_long_leaves_one_call_in_doubt_and_is_then_tried_with_one_recipient(
    people, send_to_news, fake, name
):
    failed = Plan(says=Answer(502, "<html>Gateway</html>"))
    fake.plan(failed, failed, failed)
    people(150)
    mailing = send_to_news()
    list(until_finished(mailing))
    sizes = [len(call.to) for call in fake.calls]
    assert sizes[:4] == [50, 1, 1, 1], "the last of them was taken"
    assert max(sizes[4:]) == 50, "and from then on it is as ever"
    assert (mailing.in_doubt_count, mailing.accepted_count) == (52, 98)
    assert_nobody_got_it_twice(fake, mailing, everybody=150)


@pytest.mark.parametrize("name", ["amazon_ses"])
def test_amazon_says_too_fast_with_a_400_and_it_costs_nobody_a_try(people, send_to_news, fake, name):
    fake.plan(Plan(status=429))
    people(COUNT)
    mailing = send_to_news()
    list(until_finished(mailing))
    assert (mailing.accepted_count, mailing.rejected_count) == (COUNT, 0)
    assert set(Delivery.objects.values_list("attempt_count", flat=True)) == {1}


def test_what_comes_back_settles_who_was_in_doubt(people, send_to_news, workspace, fake, quick):
    fake.plan(Plan(answer="none"))
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.in_doubt_count == COUNT
    now = timezone.now()
    names_ = [message.metadata["volley"] for message in fake.messages]
    assert {read_name(each) for each in names_} == {(mailing.pk, number) for number in range(1, COUNT + 1)}
    apply(
        [
            Fact(workspace.pk, Kind.DELIVERED, now, key_of_event(now, each), *read_name(each))
            for each in names_[:5]
        ]
    )
    mailing.refresh_from_db()
    assert (mailing.accepted_count, mailing.in_doubt_count, mailing.delivered_count) == (5, 2, 5)


@names
def test_an_account_that_is_refused_is_set_aside_before_anybody_is_lost(people, send_to_news, fake, name):
    fake.account(name).key = "another"
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.state == "paused"
    assert Delivery.objects.filter(mailing=mailing, state="pending").count() == COUNT
    assert SendingAccount.objects.get(pk=mailing.account_id).stopped_reason
    assert not Call.objects.exists()


def test_where_nothing_listens_the_mailing_waits_and_says_why(people, send_to_news, account):
    SendingAccount.objects.filter(pk=account.pk).update(
        settings={**account.settings, "api_url": "http://127.0.0.1:1/v3/"}
    )
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert "No answer" in mailing.state_reason
    assert set(Delivery.objects.values_list("state", "attempt_count")) == {("pending", 0)}
    assert not Call.objects.exists()


# --- How many a call ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["amazon_ses", "mailjet", "resend"])
def test_calls_are_full_over_many_batches(people, send_to_news, fake, name):
    people(430)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == 430
    assert len(fake.calls) == calls_needed(name, 430)
    assert_nobody_got_it_twice(fake, mailing, everybody=430)


@pytest.mark.parametrize("name", ["mailgun", "postmark"])
def test_lanes_side_by_side_share_no_call(people, send_to_news, fake, account):
    SendingAccount.objects.filter(pk=account.pk).update(lanes=4)
    people(1200)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == 1200
    assert len(fake.calls) == calls_needed(account.provider, 1200)
    assert_nobody_got_it_twice(fake, mailing, everybody=1200)


def test_a_pace_lets_no_more_leave_at_once_than_it_allows(people, send_to_news, fake, account):
    SendingAccount.objects.filter(pk=account.pk).update(rate_per_second=40)
    people(40)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == 40
    assert {len(call.to) for call in fake.calls} == {10}
    assert fake.calls[-1].at - fake.calls[0].at > 0.6


def test_a_daily_limit_is_kept(people, send_to_news, fake, account):
    SendingAccount.objects.filter(pk=account.pk).update(rate_per_day=5)
    people(COUNT)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == len(fake.counts) == 5
    assert "used up" in mailing.state_reason
    assert Delivery.objects.filter(mailing=mailing, state="pending").count() == 2


def test_a_receiving_domain_has_its_own_pace_and_holds_no_other_back(people, send_to_news, fake, account):
    SendingAccount.objects.filter(pk=account.pk).update(domain_per_second=20)
    contacts = people(60)
    for contact in contacts[10:]:
        Contact.objects.filter(pk=contact.pk).update(email=f"p@{contact.pk}.example")
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.accepted_count == 60
    slow = [call.at for call in fake.calls for to in call.to if to.endswith("@example.com")]
    fast = [call.at for call in fake.calls for to in call.to if not to.endswith("@example.com")]
    assert max(slow) - min(slow) > 0.25
    assert max(fast) - min(fast) < 0.1


# --- A holder that dies ------------------------------------------------------------------------------------


def die_in_the_call(mailing, monkeypatch):
    """The process ends with its call on the way: nothing is settled, the lease runs out."""
    first = lease.claim(mailing.pk, worker="dead")
    numbers = list(range(first.first, first.last + 1))
    announced = calls.Announced(calls.uuid.uuid4(), first, numbers)
    assert calls.announce([announced], account_id=mailing.account_id) == {announced.id}
    Batch.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    lease.expire()
    return numbers


def test_a_call_on_its_way_when_its_worker_died_leaves_its_recipients_in_doubt(
    people, send_to_news, fake, monkeypatch
):
    people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    work_all(mailing)
    assert (mailing.state, mailing.in_doubt_count) == ("finished", COUNT)
    assert not fake.calls
    assert "worker ended" in said(mailing, "p1@example.com").server_said
    assert_nobody_got_it_twice(fake, mailing)


@pytest.mark.parametrize("name", REPEATING)
def test_a_call_that_the_esp_knows_again_is_repeated_as_it_was(people, send_to_news, fake, monkeypatch, name):
    people(COUNT)
    mailing = send_to_news()
    numbers = die_in_the_call(mailing, monkeypatch)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    assert len(fake.calls) == 1
    assert calls.key_of(a_lease_of(mailing), numbers).hex in key_of(fake.calls[0])
    assert_nobody_got_it_twice(fake, mailing)


def a_lease_of(mailing):
    batch = Batch.objects.get(mailing=mailing)
    return lease.Lease(mailing.pk, batch.pk, batch.first_number, batch.last_number, batch.key, batch.key)


def key_of(call) -> str:
    data = json.loads(call.request.body)
    key = (
        data["headers"]["idempotencyKey"]
        if isinstance(data, dict)
        else call.request.headers["idempotency-key"]
    )
    return key.replace("-", "")


@pytest.mark.parametrize("name", REPEATING)
def test_it_is_not_repeated_once_somebody_in_it_has_left(people, send_to_news, fake, monkeypatch, name):
    contacts = people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    contacts[2].subscriptions.update(status="unsubscribed")
    work_all(mailing)
    assert (mailing.in_doubt_count, mailing.skipped_count, len(fake.calls)) == (COUNT, 0, 0)


@pytest.mark.parametrize("name", REPEATING)
def test_a_repeated_call_that_is_told_to_wait_is_repeated_later(
    people, send_to_news, fake, name, monkeypatch
):
    fake.plan(Plan(status=429, retry_after=1))
    people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    list(until_finished(mailing))
    assert mailing.accepted_count == COUNT
    assert len({key_of(call) for call in fake.calls}) == 1
    assert_nobody_got_it_twice(fake, mailing)


@pytest.mark.parametrize("name", REPEATING)
def test_a_pace_towards_a_domain_takes_nobody_out_of_a_repeated_call(
    people, send_to_news, fake, account, monkeypatch
):
    SendingAccount.objects.filter(pk=account.pk).update(domain_per_second=1)
    people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    list(until_finished(mailing))
    assert (mailing.accepted_count, len(fake.calls)) == (COUNT, 1)
    assert_nobody_got_it_twice(fake, mailing)


def test_a_connection_that_breaks_between_two_parts_is_made_anew(
    people, send_to_news, fake, quick, monkeypatch
):
    monkeypatch.setattr(esp.Connection, "cut", lambda self, skeleton, letters: [letters[:3], letters[3:]])
    fake.plan(Plan(answer="none"))
    people(COUNT)
    mailing = send_to_news()
    list(until_finished(mailing))
    assert (mailing.in_doubt_count, mailing.accepted_count) == (3, 4)
    assert_nobody_got_it_twice(fake, mailing)


def test_whoever_something_came_back_of_was_sent_to(people, send_to_news, fake, monkeypatch):
    people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    Delivery.objects.filter(mailing=mailing, number=2).update(
        feedback="delivered", feedback_at=timezone.now()
    )
    work_all(mailing)
    assert (mailing.accepted_count, mailing.in_doubt_count) == (1, COUNT - 1)
    assert said(mailing, "p2@example.com").state == "accepted"


def test_a_cancel_does_not_hide_who_may_have_got_it(people, send_to_news, fake, monkeypatch):
    people(COUNT)
    mailing = send_to_news()
    die_in_the_call(mailing, monkeypatch)
    cancel(mailing)
    sweep()
    assert_everyone_is_accounted_for(mailing)
    assert (mailing.in_doubt_count, mailing.canceled_count) == (COUNT, 0)
    assert not Call.objects.exists()


def test_no_call_is_made_by_whoever_lost_the_batch(people, send_to_news, fake, monkeypatch):
    people(COUNT)
    mailing = send_to_news()
    announce = calls.announce

    def too_late(asked, *, account_id):
        Batch.objects.update(lease=calls.uuid.uuid4())
        return announce(asked, account_id=account_id)

    monkeypatch.setattr(calls, "announce", too_late)
    work_slice(mailing.pk)
    assert not fake.calls


def test_an_error_of_our_own_in_a_call_is_not_taken_for_a_refusal(people, send_to_news, fake, monkeypatch):
    people(COUNT)
    mailing = send_to_news()
    monkeypatch.setattr(esp.Connection, "_call", lambda *_: 1 / 0)
    work_all(mailing)
    assert mailing.in_doubt_count == COUNT


# --- Over to another account --------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["smtp", "postmark"])
def test_another_account_goes_on_in_mid_campaign(
    people, send_to_news, workspace, fake, server, account, other
):
    SendingAccount.objects.filter(pk=account.pk).update(rate_per_second=8)
    people(COUNT)
    mailing = send_to_news()
    fake.plan(Plan(), Plan(status=401), dialect="mailgun")
    settings = {"host": "127.0.0.1", "port": server.port, "security": "none", "user": ""}
    heir = (
        SendingAccount.objects.create(workspace=workspace, name="Heir", provider="smtp", settings=settings)
        if other == "smtp"
        else an_esp_account(workspace, fake, other)
    )
    SendingAccount.objects.filter(pk=heir.pk).update(stands_in=True)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    assert [way["accepted"] for way in mailing.ways] == [2, 5]
    reached = Counter(fake.counts) + Counter(server.recipients())
    assert set(reached.values()) == {1}
    assert len(reached) == COUNT


def test_every_account_has_its_manner_in_words():
    assert all("call" in provider.manner for provider in ESPS)
    assert {provider.mode for provider in BATCHING} == {"slots", "combined"}
    assert all(work.BATCHES_HELD and 1000 % provider.most == 0 for provider in ESPS)
    assert Mailing._meta.get_field("batch_size")
