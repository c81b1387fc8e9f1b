"""Whether a large campaign goes to some first: set by an admin, chosen for each, and ended early by a person."""

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Workspace
from campaigns.actions import editing, lifecycle
from campaigns.models import Campaign
from delivery.models import Batch, Mailing
from tests.builders import a_campaign, a_contact, a_list, an_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(workspace):
    """To 30 people, in a workspace in which 20 are enough to begin with 10."""
    Workspace.objects.filter(pk=workspace.pk).update(gradual_from=20, gradual_count=10)
    workspace.refresh_from_db()
    news = a_list(workspace)
    for number in range(30):
        a_contact(workspace, f"p{number}@example.com", subscribed_to=[news])
    return a_campaign(workspace, name="Spring", lists=[news], account=an_account(workspace))


def begin(campaign, by):
    lifecycle.send_now(campaign, by=by)
    lifecycle.launch(campaign.pk)
    campaign.refresh_from_db()


def test_the_review_says_it_and_the_schedule_lets_one_do_without(campaign, bob, sign_in):
    client = sign_in(bob)
    review = reverse("campaign_review", args=[campaign.pk])
    assert "To 10 people first, to the rest 15 minutes later" in client.get(review).text
    assert ": to 10 first, to the rest 15 minutes later" in client.get(review).text
    schedule = reverse("campaign_schedule", args=[campaign.pk])
    assert "Start gradually if it goes to 20 people or more" in client.get(schedule).text
    client.post(schedule, {"when": "now", "at": "", "start": "shown"})
    campaign.refresh_from_db()
    assert not campaign.starts_gradually
    assert "15 minutes later" not in client.get(review).text
    begin(campaign, bob)
    assert not Batch.objects.filter(state="held").exists()
    copy = lifecycle.duplicate(campaign, by=bob)
    assert not copy.starts_gradually
    client.post(
        reverse("campaign_schedule", args=[copy.pk]),
        {"when": "now", "at": "", "start": "shown", "starts_gradually": "on"},
    )
    copy.refresh_from_db()
    assert copy.starts_gradually


def test_a_page_that_did_not_show_the_tick_leaves_it_as_it_is(campaign, bob, sign_in):
    Workspace.objects.update(gradual_from=0)
    schedule = reverse("campaign_schedule", args=[campaign.pk])
    client = sign_in(bob)
    assert "Start gradually" not in client.get(schedule).text
    client.post(schedule, {"when": "now", "at": ""})
    campaign.refresh_from_db()
    assert campaign.starts_gradually


def test_who_wrote_over_the_tick_is_told(campaign, bob, sign_in):
    seen = editing.version(campaign, "schedule")
    editing.save_intended_time(campaign, at=None, by=bob, starts_gradually=False)
    typed = {"when": "now", "at": "", "start": "shown", "starts_gradually": "on", "version": seen}
    answer = sign_in(bob).post(reverse("campaign_schedule", args=[campaign.pk]), typed)
    assert answer.status_code == 409
    assert not Campaign.objects.get().starts_gradually


def test_the_monitor_says_it_and_a_marketer_ends_the_wait(campaign, bob, carol, sign_in):
    begin(campaign, bob)
    report = reverse("campaign_report", args=[campaign.pk])
    assert "It goes to 10 people first" in sign_in(carol).get(report).text
    assert "Send to the rest now" not in sign_in(carol).get(report).text
    assert "the rest follows later" in sign_in(carol).get(reverse("campaigns")).text
    client = sign_in(bob)
    assert "Send to the rest now" in client.get(report).text
    said = client.post(reverse("campaign_send_rest", args=[campaign.pk]), follow=True).text
    assert "“Spring” goes to everybody from now on." in said
    assert "Send to the rest now" not in said
    assert not Batch.objects.filter(state="held").exists()
    assert AuditEntry.objects.filter(verb="campaign.rest_sent", user=bob).count() == 1
    again = client.post(reverse("campaign_send_rest", args=[campaign.pk]), follow=True).text
    assert "Nobody is held back" in again
    assert AuditEntry.objects.filter(verb="campaign.rest_sent").count() == 1


def test_a_paused_one_offers_to_resume_and_not_to_go_on_with_the_rest(campaign, bob, sign_in):
    begin(campaign, bob)
    lifecycle.pause(campaign, by=bob)
    page = sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).text
    assert "Send to the rest now" not in page
    assert Mailing.objects.get().first_count == 10


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("gradual_count", "299", "Give 300 or more"),
        ("gradual_minutes", "0", "Give from 1 to 1440 minutes"),
        ("gradual_minutes", "1441", "Give from 1 to 1440 minutes"),
    ],
)
def test_an_admin_sets_from_how_many_people_on(ada, workspace, sign_in, name, value, words):
    page = reverse("workspace_settings")
    client = sign_in(ada)
    usual = client.get(page).context["form"].initial
    given = {key: "" if kept is None else kept for key, kept in usual.items()}
    assert (given["gradual_from"], given["gradual_count"], given["gradual_minutes"]) == (10_000, 500, 15)
    assert words in client.post(page, given | {name: value}).text
    mine = {"gradual_from": 50_000, "gradual_count": 1000, "gradual_minutes": 60}
    assert client.post(page, given | mine).status_code == 302
    workspace.refresh_from_db()
    assert {key: getattr(workspace, key) for key in mine} == mine
