"""What keeps a campaign from leaving, and what its sender should know before."""

from datetime import timedelta

import pytest
import redis
from django.utils import timezone

from accounts import queue
from campaigns import preflight
from campaigns.models import Campaign
from delivery.pipeline import pace
from tests.builders import a_campaign, a_contact, a_list, an_account


@pytest.fixture
def ready(workspace):
    """ready(**fields) gives a campaign that nothing but these fields keeps from leaving."""
    queue.beat("send", "worker-1")
    news = a_list(workspace)
    a_contact(workspace, "anna@example.com", subscribed_to=[news], first_name="Anna", visits=0)

    def make(**fields):
        inbox = an_account(workspace, provider="inbox", name="Local inbox")
        campaign = a_campaign(workspace, **{"lists": [news], "account": inbox, **fields})
        return Campaign.objects.get(pk=campaign.pk)

    return make


def found(campaign, level):
    return [check.text for check in preflight.checks(campaign) if check.level == level]


def html(body):
    return {"content_kind": "html", "content": body}


def test_nothing_is_wrong_with_a_campaign_that_is_ready(ready):
    assert preflight.checks(ready()) == []


@pytest.mark.parametrize(
    ("fields", "words", "page"),
    [
        ({"lists": []}, "Nobody would get it", "campaign_audience"),
        ({"subject": "  "}, "no subject", "campaign_sender"),
        ({"from_email": ""}, "address is missing", "campaign_sender"),
        ({"from_email": "news at acme"}, "“news at acme” is no e-mail address", "campaign_sender"),
        ({"account": None}, "No sending account", "campaign_sender"),
        ({"content": " "}, "no content", "campaign_content"),
        ({"content": "<mjml>\n<mj-foo>"}, "Line 2: there is no element <mj-foo>", "campaign_content"),
        ({"subject": "Hi {{ contact.first_name"}, "", "campaign_sender"),
        ({"preheader": "Hi {% if %}"}, "", "campaign_sender"),
        (html("<p>{{ 7 | divided_by: contact.visits }}"), "For anna@example.com: ", "campaign_content"),
    ],
)
def test_an_error_names_the_page_that_mends_it(ready, fields, words, page):
    (problem,) = preflight.problems(ready(**fields))
    assert words in problem.text
    assert "Line" not in problem.text or "<mj-foo>" in problem.text or page == "campaign_sender"
    assert problem.fix_url_name == page
    assert problem.fix_label


def test_an_account_that_may_not_send_from_there_is_an_error(ready, workspace):
    account = an_account(workspace, provider="inbox", name="Ours", sender_domains=["brand.net"])
    (problem,) = preflight.problems(ready(account=account))
    assert "“Ours” may send from brand.net alone, and not from news@acme.example." in problem.text
    assert problem.fix_url_name == "campaign_sender"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"preheader": ""}, "no preview text"),
        (html("<img src='https://acme.example/a.png'>"), "1 picture has no alternative text"),
        (html("<a href='http://localhost:3000/x'>x</a>"), "http://localhost:3000/x"),
        (html("<img alt='' src='file:///home/a.png'>"), "file:///home/a.png"),
        (html("<p>" + "long words " * 10_000), "Gmail cuts it off"),
    ],
)
def test_a_warning_does_not_keep_it_from_leaving(ready, fields, words):
    campaign = ready(**fields)
    (warning,) = found(campaign, "warning")
    assert words in warning
    assert preflight.problems(campaign) == []


def test_links_to_volley_itself_and_to_the_web_are_fine(ready, settings):
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    body = "<a href='http://127.0.0.1:8000/x'>x</a> <a href='https://acme.example'>y</a> <a href='http://[nonsense'>z</a>"
    assert preflight.checks(ready(**html(body))) == []


def test_an_account_that_is_set_aside_is_an_error(ready, workspace):
    account = an_account(workspace, stopped_reason="535 Authentication failed")
    assert "535 Authentication failed" in found(ready(account=account), "error")[0]


@pytest.mark.parametrize("test", [{}, {"tested_at": timezone.now(), "test_said": "550 No"}])
def test_an_account_that_never_passed_its_test_is_a_warning(ready, workspace, test):
    campaign = ready(account=an_account(workspace, **test))
    assert "has not passed its test" in found(campaign, "warning")[0]
    assert preflight.problems(campaign) == []


def test_a_workspace_without_an_address_is_an_error(ready, workspace):
    workspace.postal_address = ""
    workspace.save()
    (problem,) = preflight.problems(ready())
    assert problem.fix_url_name == "workspace_settings"


def test_no_worker_is_a_warning(ready, monkeypatch):
    campaign = ready()
    monkeypatch.setattr(queue, "ALIVE_SECONDS", -60)  # Redis is shared with tests beside this one
    assert "No sending worker" in found(campaign, "warning")[0]


def test_errors_come_first(ready):
    assert [check.level for check in preflight.checks(ready(preheader="", subject=""))] == [
        "error",
        "warning",
    ]


def test_a_time_that_has_passed_is_named_before_the_last_press(ready):
    campaign = ready(scheduled_at=timezone.now() - timedelta(minutes=1))
    assert any("has passed; choose a later one" in text for text in found(campaign, "error"))


def days_warning(campaign, people):
    return [check.text for check in preflight.checks(campaign, people=people) if "so it takes" in check.text]


def test_an_account_that_may_not_send_so_much_in_a_day_is_worth_a_look(ready, workspace):
    now = timezone.now()
    relay = an_account(
        workspace,
        name="Relay",
        rate_per_day=50_000,
        warm_up=[2_000, 3_000],
        warm_up_from=now.astimezone(workspace.zone).date(),
        tested_at=now,
    )
    campaign = ready(account=relay)
    assert days_warning(campaign, 2_000) == []
    pace.open_day(relay, now=now)
    pace.take_of_day(relay, 50, now=now)
    (warning,) = days_warning(campaign, 2_000)
    assert "“Relay” may send 2,000 messages in 24 hours (1,950 left)" in warning
    assert warning.endswith("goes to 2,000 people, so it takes about 2 days.")
    assert "about 3 days" in days_warning(campaign, 4_951)[0]
    campaign.scheduled_at = now + timedelta(days=1, minutes=10)
    assert days_warning(campaign, 3_000) == []
    assert "may send 3,000 messages in 24 hours, and" in days_warning(campaign, 3_001)[0]
    campaign.scheduled_at = now + timedelta(days=2)
    assert days_warning(campaign, 50_000) == []


def test_what_left_today_is_known_without_redis(ready, workspace, monkeypatch):
    def away():
        raise redis.ConnectionError

    relay = an_account(workspace, name="Relay", rate_per_day=10, tested_at=timezone.now())
    monkeypatch.setattr("delivery.pipeline.pace.redis_client", away)
    assert "may send 10 messages in 24 hours, and" in days_warning(ready(account=relay), 11)[0]
