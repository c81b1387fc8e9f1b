"""The same campaign at the same instant, forty times: one wins, the other is told so, and nothing doubles."""

import itertools
import os
import uuid
from collections import Counter
from datetime import timedelta
from functools import partial

import django_rq
import pytest
from django.contrib.messages import get_messages
from django.urls import reverse
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import AuditEntry
from accounts.queue import redis_client
from campaigns.actions import lifecycle
from campaigns.models import Campaign, State
from contacts.models import Contact, Subscription, Suppression
from delivery.actions import NothingToRetry
from delivery.mailings import finish_if_done
from delivery.models import Batch, Delivery, Mailing
from delivery.pipeline import dispatch
from delivery.pipeline.dispatch import queued_by_mailing
from delivery.pipeline.settle import Result, settle
from delivery.pipeline.work import work_slice
from delivery.transports.base import Fate, Outcome
from tests.at_once import ROUNDS
from tests.builders import a_campaign, a_list, an_account
from tests.delivery.test_pipeline import assert_everyone_is_accounted_for

pytestmark = pytest.mark.django_db(transaction=True)
BATCHES = 3
SHORT = '<p>Hello <a href="{{ unsubscribe_url }}">Unsubscribe</a> {{ workspace.postal_address }}</p>'


@pytest.fixture
def account(workspace, server):
    settings = {"host": "127.0.0.1", "port": server.port, "security": "none", "user": ""}
    return an_account(workspace, settings=settings, lanes=1)


@pytest.fixture
def news(workspace):
    """A list of three."""
    news = a_list(workspace)
    subscribe(news, 3)
    return news


def subscribe(news, count):
    people = Contact.objects.bulk_create(
        Contact(workspace=news.workspace, email=f"p{number}@example.com") for number in range(count)
    )
    Subscription.objects.bulk_create(
        Subscription(workspace=news.workspace, contact=each, list=news, status="subscribed")
        for each in people
    )


@pytest.fixture
def draft(workspace, news, account):
    return a_campaign(workspace, lists=[news], account=account, content_kind="html", content=SHORT)


@pytest.fixture
def drafts(draft):
    """The same draft at the beginning of each round; nothing of the rounds before is left."""

    def rounds():
        for _ in range(ROUNDS):
            AuditEntry.objects.all().delete()
            redis_client().flushdb()
            Campaign.objects.update(state=State.DRAFT, mailing=None, scheduled_at=None)
            Mailing.objects.all().delete()
            draft.refresh_from_db()
            yield draft

    return rounds()


@pytest.fixture
def begun(draft):
    """The campaign at the beginning of each round as its launch left it; nobody has got it yet."""
    begin(draft)

    def rounds():
        for _ in range(ROUNDS):
            AuditEntry.objects.all().delete()
            redis_client().flushdb()
            Suppression.objects.all().delete()  # of whoever was refused in the round before
            Campaign.objects.update(state=State.SENDING)
            Mailing.objects.update(
                state="sending", finished_at=None, accepted_count=0, rejected_count=0, canceled_count=0
            )
            Batch.objects.update(state="ready", key=uuid.uuid4())
            Delivery.objects.update(state="pending", attempt_count=0, code="")
            draft.refresh_from_db()
            yield draft

    return rounds()


def begin(campaign):
    """As after the press on "send" and its job."""
    lifecycle.transition(campaign.pk, to=State.SENDING)
    lifecycle.launch(campaign.pk)
    campaign.refresh_from_db()
    return campaign


def written(campaign) -> Counter:
    """What the audit trail says of it."""
    return Counter(AuditEntry.objects.filter(subject=campaign.name).values_list("verb", flat=True))


def assert_campaign_and_mailing_agree(campaign) -> str:
    campaign.refresh_from_db()
    assert lifecycle.FOLLOWS[campaign.mailing.state] == campaign.state
    return campaign.state


def assert_everyone_got_one_message(campaign, server):
    """Each of the three got one and no second one; the counters say what the ledger says."""
    assert Counter(server.recipients()) == {f"p{number}@example.com": 1 for number in range(3)}
    server.messages.clear()
    assert_everyone_is_accounted_for(campaign.mailing)


def test_two_people_press_send(sign_in, alice, bob, drafts, at_once):
    clients = [sign_in(person) for person in (alice, bob)]
    for campaign in drafts:
        url = reverse("campaign_send", args=[campaign.pk])
        pages = at_once(*[partial(client.post, url) for client in clients])
        assert [page.status_code for page in pages] == [302, 302]
        said = [str(each) for page in pages for each in get_messages(page.wsgi_request)]
        for client in clients:
            client.cookies.pop("messages", None)  # they were read
        assert said == [f"“{campaign}” is sending; this cannot be done now."]
        assert django_rq.get_queue("system").count == 1
        # The queue may give a job twice.
        counts = at_once(*[partial(lifecycle.launch, campaign.pk)] * 2)
        assert sorted(counts) == [0, 3]
        mailing = Mailing.objects.get(name=campaign.name)
        assert Campaign.objects.get(pk=campaign.pk).mailing == mailing
        assert Delivery.objects.filter(mailing=mailing).count() == mailing.total_count == 3
        assert Batch.objects.filter(mailing=mailing).count() == 1
        assert written(campaign) == {"campaign.sending": 1}


def test_the_clock_starts_a_scheduled_one_on_two_hosts(bob, drafts, at_once):
    for campaign in drafts:
        lifecycle.schedule(campaign, at=timezone.now() + timedelta(hours=1), by=bob)
        Campaign.objects.filter(pk=campaign.pk).update(scheduled_at=timezone.now() - timedelta(seconds=1))
        assert sorted(at_once(lifecycle.launch_due, lifecycle.launch_due)) == [0, 1]
        assert django_rq.get_queue("system").count == 1
        assert written(campaign) == {"campaign.scheduled": 1, "campaign.sending": 1}


def test_a_person_unschedules_it_as_the_clock_starts_it(bob, drafts, at_once):
    for campaign in itertools.islice(drafts, 30):
        lifecycle.schedule(campaign, at=timezone.now() + timedelta(hours=1), by=bob)
        Campaign.objects.filter(pk=campaign.pk).update(scheduled_at=timezone.now() - timedelta(seconds=1))
        started, unscheduled = at_once(lifecycle.launch_due, partial(lifecycle.unschedule, campaign, by=bob))
        campaign.refresh_from_db()
        if started:
            assert isinstance(unscheduled, WrongState)
            assert campaign.state == State.SENDING
        else:
            assert unscheduled is None
            assert campaign.state == State.DRAFT
        assert django_rq.get_queue("system").count == started


def test_two_people_resume(alice, bob, news, workspace, account, at_once):
    Subscription.objects.all().delete()
    Contact.objects.all().delete()
    subscribe(news, 50 * BATCHES)
    campaign = begin(a_campaign(workspace, lists=[news], account=account))
    assert campaign.mailing.batches.count() == BATCHES
    window = min(BATCHES, dispatch.JOBS_PER_WORKER * (os.cpu_count() or 1))
    for number in range(1, ROUNDS + 1):
        lifecycle.pause(campaign, by=bob)
        redis_client().flushdb()
        done = at_once(*[partial(lifecycle.resume, campaign, by=person) for person in (alice, bob)])
        assert sorted(map(type, done), key=str) == [type(None), WrongState]
        assert assert_campaign_and_mailing_agree(campaign) == State.SENDING
        assert queued_by_mailing() == {campaign.mailing_id: window}, "a job a worker, and none twice"
        assert written(campaign) == {
            "campaign.sending": 1,
            "campaign.paused": number,
            "campaign.resumed": number,
        }


def test_a_person_pauses_as_the_last_message_leaves(bob, begun, at_once, server):
    for campaign in begun:
        _, paused = at_once(
            partial(work_slice, campaign.mailing_id), partial(lifecycle.pause, campaign, by=bob)
        )
        assert paused is None or isinstance(paused, WrongState)
        state = assert_campaign_and_mailing_agree(campaign)
        assert state in (State.SENT, State.PAUSED)
        assert written(campaign)["campaign.paused"] == (0 if paused else 1)
        if state == State.PAUSED:
            lifecycle.resume(campaign, by=bob)
            while work_slice(campaign.mailing_id):
                pass
            finish_if_done(campaign.mailing_id)
        assert assert_campaign_and_mailing_agree(campaign) == State.SENT
        assert written(campaign)["campaign.sent"] == 1
        assert_everyone_got_one_message(campaign, server)


def test_a_person_cancels_as_the_last_message_leaves(bob, begun, at_once, server):
    for campaign in begun:
        _, canceled = at_once(
            partial(work_slice, campaign.mailing_id), partial(lifecycle.cancel, campaign, by=bob)
        )
        assert canceled is None or isinstance(canceled, WrongState)
        expected = State.SENT if canceled else State.CANCELED
        assert assert_campaign_and_mailing_agree(campaign) == expected
        assert written(campaign) == {f"campaign.{expected}": 1}
        assert not Batch.objects.filter(mailing=campaign.mailing).exclude(state="done").exists()
        assert_everyone_is_accounted_for(campaign.mailing)
        assert len(server.messages) == campaign.mailing.accepted_count == len(set(server.recipients()))
        server.messages.clear()


def test_one_person_pauses_and_another_resumes(alice, bob, news, workspace, account, at_once):
    campaign = begin(a_campaign(workspace, lists=[news], account=account))
    for _ in range(ROUNDS):
        before = written(campaign)
        done = at_once(
            partial(lifecycle.pause, campaign, by=alice), partial(lifecycle.resume, campaign, by=bob)
        )
        refused = [isinstance(each, WrongState) for each in done]
        assert refused == [each is not None for each in done], done
        now = written(campaign) - before
        if assert_campaign_and_mailing_agree(campaign) == State.PAUSED:
            assert refused == [False, True]
            assert now == {"campaign.paused": 1}
            lifecycle.resume(campaign, by=bob)
        else:
            assert refused == [False, False]
            assert now == {"campaign.paused": 1, "campaign.resumed": 1}


def test_two_people_try_a_group_again(alice, bob, begun, at_once, server):
    for campaign in begun:
        mailing = campaign.mailing
        full = Outcome(Fate.REJECTED, "552 5.2.2", "552 Full")
        settle(mailing, [Result(1, full), Result(2, full), Result(3, full)])
        mailing.batches.update(state="done")
        finish_if_done(mailing.pk)
        redis_client().flushdb()
        again = partial(lifecycle.retry, campaign, state="rejected", code="552 5.2.2")
        done = at_once(partial(again, by=alice), partial(again, by=bob))
        assert 3 in done
        assert [type(each) for each in done if each != 3] == [NothingToRetry]
        assert assert_campaign_and_mailing_agree(campaign) == State.SENDING
        assert queued_by_mailing() == {mailing.pk: 1}
        assert written(campaign)["campaign.retried"] == 1
        work_slice(mailing.pk)
        assert assert_campaign_and_mailing_agree(campaign) == State.SENT
        assert_everyone_got_one_message(campaign, server)


def test_a_group_is_tried_again_as_the_rest_ends(bob, begun, at_once, server):
    """Whoever is opened again is sent to, whether the last batch is released just before or just after."""
    server.answers["RCPT"] = lambda line: "550 5.1.1 Nobody" if "<p1@" in line else "250 Ok"
    for campaign in itertools.islice(begun, 30):
        mailing = campaign.mailing
        settle(mailing, [Result(3, Outcome(Fate.REJECTED, "552 5.2.2", "552 Full"))])
        retry = partial(lifecycle.retry, campaign, state="rejected", code="552 5.2.2", by=bob)
        done = at_once(partial(work_slice, mailing.pk), retry)
        assert not any(isinstance(each, Exception) and not isinstance(each, Refusal) for each in done), done
        finish_if_done(mailing.pk)
        while work_slice(mailing.pk):
            pass
        finish_if_done(mailing.pk)
        assert assert_campaign_and_mailing_agree(campaign) == State.SENT
        assert Counter(server.recipients()) == {"p0@example.com": 1, "p2@example.com": 1}
        server.messages.clear()
        assert_everyone_is_accounted_for(campaign.mailing)
