"""Out through an ESP and back by its webhooks: the ledger tells what became of everybody, in whatever order it is told."""

import datetime
from collections import Counter
from dataclasses import replace

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.queue import redis_client
from contacts.models import Subscription, Suppression
from delivery import mailings
from delivery.feedback import drain
from delivery.hooks import setup, sns, strays
from delivery.hooks.entries import STREAM
from delivery.models import Event, SendingAccount, Stray
from delivery.secrets import seal
from delivery.transports import esp
from tests.delivery.test_esp_batches import an_esp_account
from tests.delivery.test_pipeline import work_all
from tests.fake_esp import webhooks
from tests.fake_esp.happenings import shared_key
from tests.fake_esp.hooks import amazon_ses
from tests.fake_esp.server import Plan
from tests.fake_esp.webhooks import What

pytestmark = pytest.mark.django_db(transaction=True)
TELLING = [name for name in webhooks.PROVIDERS if What.DELIVERED in webhooks.kinds(name)]
# What happens to p1, p2 and so on, beside that everybody's message was delivered first.
HAPPENS = {
    1: What.BOUNCED,
    2: What.SOFT_BOUNCED,
    3: What.COMPLAINED,
    4: What.OPENED,
    5: What.CLICKED,
    6: What.UNSUBSCRIBED,
}
COUNT = 8


@pytest.fixture(autouse=True)
def clean():
    client = redis_client()
    for key in [*client.scan_iter("volley:hook:*"), "volley:in:hook"]:
        client.delete(key)


@pytest.fixture(autouse=True)
def certificate(monkeypatch):
    sns._certificates.clear()
    monkeypatch.setattr(sns, "fetch", lambda url: webhooks.new_key("amazon_ses").certificate)


@pytest.fixture
def name():
    return "mailgun"


@pytest.fixture
def account(workspace, fake_esp, name):
    account = an_esp_account(
        workspace, fake_esp, name, **({"own_headers": False} if name == "mailersend" else {})
    )
    SendingAccount.objects.filter(pk=account.pk).update(lanes=1)
    account.refresh_from_db()
    redis_client().set(f"volley:quota:{account.pk}", 1)  # asked just now: what follows is about its calls
    return account


@pytest.fixture
def hook(fake_esp, account, name):
    """hook(when=…) lets the provider tell the account's own webhook; gives what it answered to each post."""

    def make(**more):
        key = shared_key("api_key", "s-api_key") if name == "unisender_go" else webhooks.new_key(name)
        known = dict(key.known)
        if name == "amazon_ses":
            known = {setup.TOPIC: amazon_ses.TOPIC}
        elif "basic_auth" in known:
            known = {"webhook_secret": known["basic_auth"][0]}
        SendingAccount.objects.filter(pk=account.pk).update(hook=seal(known))
        path, answers = setup.address_of(account).partition("//")[2].partition("/")[2], []

        def post(made):
            answers.append(Client().post(f"/{path}", **made.as_django()).status_code)
            connections.close_all()  # it is the fake's thread that posts

        fake_esp.webhooks(name, post, key, url=setup.address_of(account), **more)
        return answers

    return make


def person(message) -> int:
    return int(message.to.removeprefix("p").partition("@")[0])


def counted(mailing) -> dict[str, int]:
    mailing.refresh_from_db()
    kinds = ("delivered", "blocked", "soft_bounced", "bounced", "complained", "opened", "clicked")
    return {kind: count for kind in kinds if (count := getattr(mailing, f"{kind}_count"))}


@pytest.mark.parametrize("name", TELLING)
def test_what_comes_back_stands_in_the_ledger_once(people, send_to_news, fake_esp, hook, name):
    """Deliveries are told before the API has answered; the rest later, twice and in any order."""
    people(COUNT)
    answers = hook(when="before", twice=True, shuffles=True)
    mailing = send_to_news()
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    drain.drain(STREAM)
    assert counted(mailing) == {"delivered": COUNT}

    told = [each for each in HAPPENS.values() if each in webhooks.kinds(name)]
    by_person = {person(message): message for message in fake_esp.messages_of(name)}
    later = timezone.now() + datetime.timedelta(seconds=30)  # as a reader does
    events = [
        webhooks.event(what, by_person[number], later)
        for number, what in HAPPENS.items()
        if what in webhooks.kinds(name)
    ]
    fake_esp.tellers[name].tell_events(events)
    fake_esp.tellers[name].tell_events(events[::-1])
    fake_esp.tell(name, What.DELIVERED)
    assert set(answers) <= {200, 406}, "taken, or known already"
    drain.drain(STREAM)

    expected = Counter(str(each) for each in told if each is not What.UNSUBSCRIBED)
    if expected["clicked"]:
        expected["opened"] += 1  # whoever clicks has opened
    outweighed = sum(expected[kind] for kind in ("bounced", "soft_bounced", "complained"))
    assert counted(mailing) == {"delivered": COUNT - outweighed, **expected}
    assert Counter(Event.objects.values_list("kind", flat=True)) == Counter(map(str, told))
    assert sorted(event.number for event in Event.objects.all()) == [
        mailing.deliveries.get(email=each.message.to).number for each in events
    ]
    reasons = {"bounced": "hard_bounce", "complained": "complaint"}
    assert {each.email: each.reason for each in Suppression.objects.all()} == {
        each.message.to: reasons[each.what] for each in events if each.what in reasons
    }
    left = Subscription.objects.get(contact__email="p6@example.com")
    assert (left.status == "unsubscribed") is (What.UNSUBSCRIBED in told)
    assert not Stray.objects.exists()


# MailerSend says no ids of what it takes in bulk; those that SendGrid and Unisender Go are known by travel with our name.
WITHOUT_IDS = ("mailersend", "sendgrid", "unisender_go")
WITH_IDS = [name for name in webhooks.PROVIDERS if name not in WITHOUT_IDS]


@pytest.mark.parametrize("name", WITH_IDS)
def test_what_has_lost_our_name_is_matched_by_the_providers_id(people, send_to_news, fake_esp, hook, name):
    """Also what is told before the ledger has the id: it is looked for again."""
    people(3)
    hook()
    mailing = send_to_news()
    work_all(mailing)
    nameless = [
        replace(message, metadata={}, headers={}, tags=(), options={})
        for message in fake_esp.messages_of(name)
    ]
    bounces = What.BOUNCED if What.BOUNCED in webhooks.kinds(name) else What.SOFT_BOUNCED
    fake_esp.tellers[name].tell([bounces], nameless)
    ids = dict(mailing.deliveries.values_list("number", "provider_id"))
    mailing.deliveries.filter(number=1).update(provider_id="")
    drain.drain(STREAM)
    assert sum(counted(mailing).values()) == 2
    assert Stray.objects.count() == 1
    mailing.deliveries.filter(number=1).update(provider_id=ids[1])
    strays.find()
    assert sum(counted(mailing).values()) == 3
    assert {(each.number, each.contact_id) for each in Event.objects.all()} == set(
        mailing.deliveries.values_list("number", "contact_id")
    )
    assert not Stray.objects.exists()


@pytest.mark.parametrize("name", ["amazon_ses", "mailersend", "mailgun", "postal", "sendgrid"])
def test_whoever_is_in_doubt_is_settled_by_what_the_esp_tells(
    people, send_to_news, fake_esp, hook, monkeypatch, name
):
    """It took the call and never answered: nobody is sent to again, and its events say that all of them got it."""
    monkeypatch.setattr(esp, "ANSWER_SECONDS", 0.5)
    people(3)
    hook()
    fake_esp.plan(Plan(answer="none"))
    mailing = send_to_news()
    work_all(mailing)
    mailings.recount(mailing.pk)
    taken = fake_esp.recipient_count
    assert mailing.in_doubt_count >= 1
    assert mailing.in_doubt_count + mailing.accepted_count == taken == 3
    fake_esp.tell(name, What.DELIVERED)
    drain.drain(STREAM)
    mailing.refresh_from_db()
    assert (mailing.in_doubt_count, mailing.accepted_count, mailing.delivered_count) == (0, 3, 3)
    work_all(mailing)
    assert set(fake_esp.counts.values()) == {1}
    assert mailing.state == "finished"


def test_two_accounts_of_one_esp_hear_their_own_alone(
    people, send_to_news, fake_esp, workspace, hook, account
):
    """What one's key signed is nothing to the other's webhook."""
    people(1)
    hook()
    other = an_esp_account(workspace, fake_esp, "mailgun")
    SendingAccount.objects.filter(pk=other.pk).update(hook=seal(webhooks.new_key("mailgun").known))
    mailing = send_to_news()
    work_all(mailing)
    [message] = fake_esp.messages
    key = fake_esp.tellers["mailgun"].key
    [post] = webhooks.posts("mailgun", [webhooks.event("bounced", message)], key)
    path = setup.address_of(other).partition("//")[2].partition("/")[2]
    assert Client().post(f"/{path}", **post.as_django()).status_code == 403
    drain.drain(STREAM)
    assert not Event.objects.exists()
