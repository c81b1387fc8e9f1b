"""The first page says what is late, and why; what only waits its turn is not."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.queue import beat
from campaigns.actions import lifecycle
from campaigns.models import Campaign, State
from delivery.actions import pause, resume
from delivery.models import Batch, Mailing
from delivery.pipeline.work import work_slice
from tests.builders import a_campaign, a_contact, a_list, an_account

pytestmark = pytest.mark.django_db
LONG_AGO = timedelta(minutes=5)


@pytest.fixture
def campaign(workspace):
    news = a_list(workspace)
    a_contact(workspace, subscribed_to=[news])
    made = a_campaign(workspace, lists=[news], account=an_account(workspace), state=State.SENDING)
    lifecycle.launch(made.pk)
    made.refresh_from_db()
    return made


@pytest.fixture
def at_work():
    for role in ("system", "send", "clock"):
        beat(role, f"host:{role}")


def stand_still(campaign):
    """As if nobody had worked on it for a while."""
    long_ago = timezone.now() - LONG_AGO
    Mailing.objects.filter(pk=campaign.mailing_id).update(progress_at=long_ago, created_at=long_ago)
    Batch.objects.filter(mailing=campaign.mailing).update(due_at=long_ago)


def late(client) -> str:
    """What the page says needs attention."""
    page = client.get(reverse("home")).content.decode()
    return page.partition("Needs attention")[2].partition("In the air")[0]


def test_a_campaign_of_which_nothing_moves_is_late(sign_in, carol, campaign, at_work):
    client = sign_in(carol)
    assert late(client) == ""
    stand_still(campaign)
    assert "Nothing of it has moved" in late(client)
    report = client.get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "Nothing of it has moved" in report


def test_why_it_is_no_faster_is_said_and_is_no_alarm(sign_in, carol, campaign, at_work, monkeypatch):
    monkeypatch.setattr("delivery.pipeline.meter.per_second", lambda _mailing: 9.0)
    campaign.account.rate_per_second = 100
    campaign.account.save()
    Mailing.objects.update(rate_per_second=10)
    report = sign_in(carol).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "Held to 10 messages a second by its own pace." in report
    assert "alert-warning" not in report


def test_without_a_sending_worker_that_is_why(sign_in, carol, campaign):
    stand_still(campaign)
    assert "No sending worker is running" in late(sign_in(carol))


def test_an_account_that_cannot_be_reached_is_named(sign_in, carol, campaign, at_work):
    work_slice(campaign.mailing_id)
    client = sign_in(carol)
    assert late(client) == "", "it is tried again in a moment"
    Mailing.objects.update(trouble_since=timezone.now() - timedelta(minutes=2))
    assert "refused the connection" in late(client)


def test_what_was_paused_for_long_is_not_late_when_it_goes_on(sign_in, carol, campaign, at_work):
    pause(campaign.mailing)
    stand_still(campaign)
    resume(campaign.mailing)
    assert late(sign_in(carol)) == ""


def test_what_waits_for_its_pace_is_not_late(sign_in, carol, campaign, at_work):
    stand_still(campaign)
    Mailing.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert late(sign_in(carol)) == ""


def test_a_schedule_that_no_clock_keeps_is_late(sign_in, carol, workspace):
    a_campaign(workspace, state=State.SCHEDULED, scheduled_at=timezone.now() - LONG_AGO)
    assert "the clock is not running" in late(sign_in(carol))


def test_recipients_that_nobody_prepares_are_late(sign_in, carol, workspace, campaign):
    Campaign.objects.update(mailing=None)
    client = sign_in(carol)
    assert "no worker is running for the queue “system”" in late(client)
    beat("system", "host:system")
    assert late(client) == ""


def test_another_workspaces_late_campaign_is_not_ours(sign_in, mallory, campaign):
    stand_still(campaign)
    assert late(sign_in(mallory)) == ""
