"""What Amazon SES allows an account binds its pace, never beyond what the admin set."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.queue import redis_client
from delivery import accounts, quota
from delivery.days import days_for, today
from delivery.models import SendingAccount
from delivery.pipeline import pace
from delivery.queries import progress
from tests.delivery.test_esp_batches import an_esp_account
from tests.delivery.test_pipeline import make_due, work_all
from tests.fake_esp.core import Answer
from tests.fake_esp.server import Plan

pytestmark = pytest.mark.django_db


@pytest.fixture
def account(workspace, fake_esp):
    return an_esp_account(workspace, fake_esp, "amazon_ses")


@pytest.fixture
def ses(fake_esp):
    return fake_esp.account("amazon_ses")


def asked(fake_esp) -> int:
    return sum(each.path == "/v2/email/account" for each in fake_esp.looks)


def a_minute_later() -> None:
    for key in redis_client().keys("volley:quota:*"):
        redis_client().delete(key)


def test_it_is_asked_as_sending_begins_and_once_a_minute(people, send_to_news, fake_esp, ses, account):
    ses.quota = {"MaxSendRate": 400.0, "Max24HourSend": 5000.0, "SentLast24Hours": 100.0}
    people(3)
    work_all(send_to_news())
    work_all(send_to_news())
    assert asked(fake_esp) == 1
    account.refresh_from_db()
    assert account.quota == {"per_second": 400.0, "per_day": 5000, "room": 4900, "is_sandbox": False}
    a_minute_later()
    work_all(send_to_news())
    assert asked(fake_esp) == 2
    assert len(fake_esp.messages) == 9


@pytest.mark.parametrize(
    ("own", "there", "bound"), [(None, 14.0, 14.0), (5.0, 14.0, 5.0), (50.0, 14.0, 14.0), (5.0, 0.0, 5.0)]
)
def test_the_lower_of_its_rate_and_the_admins_holds(account, ses, own, there, bound):
    account.rate_per_second = own
    ses.quota = {"MaxSendRate": there}
    quota.read(account)
    assert pace.account_limit(account).per_second == bound


@pytest.mark.parametrize(
    ("own", "most", "sent", "bound"),
    [
        (None, 200.0, 150.0, 50),
        (30, 200.0, 150.0, 30),
        (80, 200.0, 150.0, 50),
        (80, -1.0, 150.0, 80),
        (None, -1.0, 150.0, None),
        (None, 200.0, 250.0, 0),
    ],
)
def test_what_is_left_of_its_24_hours_binds_them(account, ses, own, most, sent, bound):
    account.rate_per_day = own
    ses.quota = {"Max24HourSend": most, "SentLast24Hours": sent}
    quota.read(account)
    assert pace.daily_limit(account, timezone.now()) == bound


def test_a_campaign_stops_where_the_quota_ends_and_goes_on_when_there_is_more(
    people, send_to_news, fake_esp, ses, account
):
    ses.quota = {"Max24HourSend": 200.0, "SentLast24Hours": 196.0}
    people(10)
    mailing = send_to_news()
    work_all(mailing)
    assert len(fake_esp.messages) == 4
    assert mailing.state == "sending"
    words = f"What its provider lets “{account}” send within 24 hours is used up; it goes on at"
    assert words in progress(mailing).waiting_for
    # The others' are a day old, and ours count there by now.
    ses.quota["SentLast24Hours"] = 4.0
    a_minute_later()
    make_due(mailing)
    work_all(mailing)
    assert (mailing.state, len(fake_esp.messages)) == ("finished", 10)


def test_what_is_on_its_way_there_is_not_sent_twice_over(people, send_to_news, fake_esp, ses, account):
    """It counts late: both its number and Volley's own have to leave room."""
    ses.quota = {"Max24HourSend": 6.0, "SentLast24Hours": 0.0}
    people(10)
    mailing = send_to_news()
    for _ in range(3):
        a_minute_later()
        make_due(mailing)
        work_all(mailing)
    assert len(fake_esp.messages) == 6


def test_old_news_of_what_was_left_is_not_believed_but_the_size_of_the_quota_is(account, ses):
    ses.quota = {"Max24HourSend": 200.0, "SentLast24Hours": 200.0}
    quota.read(account)
    now = timezone.now()
    this_one = today([account], now=now)[account.pk]
    assert (this_one.left, this_one.limit) == (0, 200)
    assert pace.daily_limit(account, now + timedelta(minutes=6)) == 200
    assert days_for(account, 350, now=now, today=this_one) == 3, "today there is no room"


@pytest.mark.parametrize(
    "trouble", ["denied", "wrong key", "429", "500", "dropped", "half", "late", "odd", "no JSON"]
)
def test_where_it_cannot_be_asked_all_goes_on_as_before(
    people, send_to_news, fake_esp, ses, account, monkeypatch, trouble
):
    monkeypatch.setattr(quota, "PATIENCE_SECONDS", 0.3)
    plans = {
        "429": Plan(status=429),
        "500": Plan(status=500),
        "dropped": Plan(drop="before"),
        "half": Plan(answer="half"),
        "late": Plan(delay=2),
        "odd": Plan(says=Answer(200, {"SendQuota": {"MaxSendRate": "many"}})),
        "no JSON": Plan(says=Answer(200, "<html>")),
    }
    ses.may_read = trouble != "denied"
    known = {"per_second": 450.0, "per_day": 9000, "room": 9000, "is_sandbox": False}
    SendingAccount.objects.filter(pk=account.pk).update(quota=known, quota_at=timezone.now())
    if trouble == "wrong key":
        ses.key = "another"
        account.refresh_from_db()
        quota.read(account)
        ses.key = None
    fake_esp.plan(*([plans[trouble]] if trouble in plans else []))
    people(3)
    work_all(send_to_news())
    assert len(fake_esp.messages) == 3
    account.refresh_from_db()
    assert trouble == "wrong key" or account.quota == known


def test_a_key_that_may_not_ask_is_not_asked_every_minute(account, ses, fake_esp):
    ses.may_read = False
    quota.refresh(account)
    assert redis_client().ttl(f"volley:quota:{account.pk}") > 3000
    quota.refresh(account)
    assert asked(fake_esp) == 1
    assert account.quota == {}


def test_other_providers_are_not_asked(workspace, fake_esp):
    quota.refresh(an_esp_account(workspace, fake_esp, "mailgun"))
    assert not fake_esp.looks


def test_an_account_in_the_sandbox_says_so_after_a_test(ada, ses, account, sign_in):
    ses.is_sandbox, ses.quota = True, {"Max24HourSend": 200.0, "MaxSendRate": 1.0}
    client = sign_in(ada)
    words = "addresses alone that are verified there"
    assert words not in client.get(reverse("sending")).content.decode()
    part = client.post(
        reverse("sending_test", args=[account.pk]),
        headers={"HX-Request": "true", "HX-Target": f"dd#test-{account.pk}"},
    )
    assert words in part.content.decode()
    listed = client.get(reverse("sending")).content.decode()
    assert words in listed
    assert "1 a second, 200 within 24 hours" in listed
    assert "200 left of 200" in listed
    assert words in client.get(reverse("sending_edit", args=[account.pk])).content.decode()
    ses.is_sandbox = False
    client.post(reverse("sending_test", args=[account.pk]))
    assert words not in client.get(reverse("sending")).content.decode()


def test_what_was_said_of_another_key_is_forgotten_with_it(
    ada, account, ses, django_capture_on_commit_callbacks
):
    quota.refresh(account)
    values = accounts.Values("Renamed", account.settings, {}, {})
    accounts.update(account, values=values, by=ada)
    account.refresh_from_db()
    assert account.quota["per_day"] == 50_000, "a new name is no other account there"
    with django_capture_on_commit_callbacks(execute=True):
        accounts.update(
            account, values=accounts.Values("New", account.settings, {"secret_access_key": "k"}, {}), by=ada
        )
    account.refresh_from_db()
    assert (account.quota, account.quota_at) == ({}, None)
    ses.quota = {"Max24HourSend": 70.0}
    quota.refresh(account)
    assert account.quota["per_day"] == 70
