"""The five steps of the editor, from the name to the review."""

import datetime
import re

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.actions import lifecycle
from campaigns.forms import moments
from campaigns.models import Campaign
from delivery.models import Tracking
from tests.builders import a_campaign, a_contact, a_field, a_list, an_account

STEPS = ("audience", "content", "sender", "schedule")
SENDER = {
    "subject": "Hello",
    "preheader": "",
    "from_name": "Acme",
    "from_email": "news@acme.example",
    "reply_to": "",
    "account": "",
}
SAVED = {"HX-Request": "true", "HX-Target": "div#saved"}


def url(campaign, step):
    return f"/campaigns/{campaign.pk}/{step}/"


def test_a_new_campaign_asks_for_a_name_and_leads_to_its_audience(workspace, bob, sign_in):
    client = sign_in(bob)
    assert client.get("/campaigns/new/").status_code == 200
    answer = client.post("/campaigns/new/", {"name": "Spring"})
    campaign = Campaign.objects.get(workspace=workspace)
    assert (campaign.name, answer.url) == ("Spring", url(campaign, "audience"))


@pytest.mark.parametrize("name", ["", "x" * 151, "a\0b"])
def test_a_bad_name_is_said_beside_it(workspace, bob, sign_in, name):
    answer = sign_in(bob).post("/campaigns/new/", {"name": name})
    assert answer.status_code == 422
    assert not Campaign.objects.exists()


def test_each_step_is_shown_and_leads_to_the_next(workspace, bob, sign_in):
    client, campaign = sign_in(bob), a_campaign(workspace)
    typed = {
        "audience": {},
        "content": {"kind": "html", "source": "<p>Hi {{ contact.first_name }}</p>"},
        "sender": SENDER,
        "schedule": {"when": "now", "at": ""},
    }
    for step, following in zip(STEPS, (*STEPS[1:], "review"), strict=True):
        assert client.get(url(campaign, step)).status_code == 200
        assert client.post(url(campaign, step), typed[step]).url == url(campaign, following)
    assert client.get(url(campaign, "review")).status_code == 200


def test_the_audience_is_counted_as_it_is_chosen(workspace, bob, sign_in):
    news, old = a_list(workspace), a_list(workspace, "Old")
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    a_contact(workspace, "ben@example.com", subscribed_to=[news, old])
    campaign = a_campaign(workspace)
    typed = {"lists": [news.pk], "excluded_lists": [old.pk]}
    answer = sign_in(bob).post(url(campaign, "audience"), typed, headers=SAVED)
    assert "person will get this; 1 left out." in answer.text
    assert list(campaign.lists.all()) == [news]


def test_another_workspaces_list_is_refused_and_nothing_is_saved(workspace, mallory, bob, sign_in):
    theirs = a_list(mallory.workspaces.get())
    campaign = a_campaign(workspace)
    answer = sign_in(bob).post(url(campaign, "audience"), {"lists": [theirs.pk, "x", "9" * 5000]})
    assert answer.status_code == 422
    assert not campaign.lists.exists()


@pytest.mark.parametrize("kind", ["html", "mjml"])
def test_a_template_error_is_said_with_its_line_and_the_draft_is_kept(workspace, bob, sign_in, kind):
    campaign = a_campaign(workspace)
    broken = "<p>one</p>\n<p>{% if %}</p>"
    for headers in ({}, SAVED):
        answer = sign_in(bob).post(
            url(campaign, "content"), {"kind": kind, "source": broken}, headers=headers
        )
        assert answer.status_code == 422
        assert "Line 2" in answer.text
        assert "data-go-to-line" in answer.text
    campaign.refresh_from_db()
    assert campaign.content == broken


def test_an_empty_draft_offers_starters_and_a_written_one_is_safe_from_them(workspace, bob, sign_in):
    campaign = a_campaign(workspace, content="")
    client = sign_in(bob)
    assert 'value="newsletter"' in client.get(url(campaign, "content")).text
    client.post(url(campaign, "content"), {"starter": "nonsense"})
    client.post(url(campaign, "content"), {"starter": "newsletter"})
    campaign.refresh_from_db()
    written = campaign.content
    assert written.startswith("<mjml")
    client.post(url(campaign, "content"), {"starter": "letter"})
    campaign.refresh_from_db()
    assert campaign.content == written
    page = client.get(url(campaign, "content")).text
    assert 'value="newsletter"' not in page
    assert "data-insert" in page


def test_a_bad_address_is_marked_and_the_rest_is_saved(workspace, bob, sign_in):
    campaign = a_campaign(workspace)
    typed = {**SENDER, "subject": "Kept", "reply_to": "no address"}
    answer = sign_in(bob).post(url(campaign, "sender"), typed)
    assert answer.status_code == 422
    assert 'value="no address"' in answer.text
    campaign.refresh_from_db()
    assert (campaign.subject, campaign.reply_to) == ("Kept", "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("subject", "a\r\nBcc: b@example.com"),
        ("from_name", "a\nb"),
        ("subject", "{% if %}"),
        ("account", "99"),
    ],
)
def test_what_a_header_cannot_hold_is_marked(workspace, bob, sign_in, field, value):
    answer = sign_in(bob).post(url(a_campaign(workspace), "sender"), {**SENDER, field: value}, headers=SAVED)
    assert answer.status_code == 422
    assert f'id="problem-{field}"' in answer.text


def test_the_default_account_is_chosen_already(workspace, bob, sign_in):
    account = an_account(workspace, is_default=True)
    page = sign_in(bob).get(url(a_campaign(workspace), "sender")).text
    assert f'<option value="{account.pk}" selected>' in page


def test_a_time_is_read_in_the_workspaces_zone(workspace, bob, sign_in):
    workspace.time_zone = "America/New_York"
    workspace.save()
    campaign = a_campaign(workspace)
    day = timezone.now().date() + datetime.timedelta(days=30)
    typed = {"when": "later", "at": f"{day}T09:30"}
    assert sign_in(bob).post(url(campaign, "schedule"), typed).status_code == 302
    campaign.refresh_from_db()
    assert campaign.scheduled_at.astimezone(workspace.zone).strftime("%H:%M") == "09:30"
    assert f'value="{day}T09:30"' in sign_in(bob).get(url(campaign, "schedule")).text


@pytest.mark.parametrize(
    "at", ["", "2020-01-01T09:00", "nonsense", "9999-12-31T23:59", "0001-01-01T00:00", "a\0"]
)
def test_a_time_that_cannot_be_is_refused_beside_it(workspace, bob, sign_in, at):
    campaign = a_campaign(workspace)
    answer = sign_in(bob).post(url(campaign, "schedule"), {"when": "later", "at": at})
    assert answer.status_code == 422
    campaign.refresh_from_db()
    assert campaign.scheduled_at is None


def test_a_date_that_is_still_to_be_typed_is_no_mistake(workspace, bob, sign_in):
    at = timezone.now() + datetime.timedelta(days=3)
    for stored in (None, at):
        campaign = a_campaign(workspace, scheduled_at=stored)
        typed = {"when": "later", "at": ""}
        answer = sign_in(bob).post(url(campaign, "schedule"), typed, headers=SAVED)
        assert answer.status_code == 200
        assert "Not saved yet: choose a date and a time." in answer.text
        assert "invalid-feedback" not in answer.text
        campaign.refresh_from_db()
        assert campaign.scheduled_at == stored
        pressed = sign_in(bob).post(url(campaign, "schedule"), typed)
        assert "Give a date and a time" in pressed.text


def test_the_review_says_what_is_missing_and_how_many_will_get_it(workspace, bob, carol, sign_in):
    news = a_list(workspace)
    a_contact(workspace, subscribed_to=[news])
    campaign = a_campaign(workspace, lists=[news], account=None)
    assert "No sending account is chosen." in sign_in(bob).get(url(campaign, "review")).text
    campaign.account = an_account(workspace)
    campaign.save()
    page = sign_in(bob).get(url(campaign, "review")).text
    assert "Send to 1 person now" in page
    looked_at = sign_in(carol).get(url(campaign, "review"))
    assert looked_at.status_code == 200
    assert "Send to 1 person now" not in looked_at.text


def test_the_review_says_what_the_workspace_lets_be_counted(workspace, bob, sign_in):
    agrees = a_field(workspace, "Agrees", type="boolean")
    review = url(a_campaign(workspace), "review")
    for rules, said in (
        ({}, "Opens and clicks"),
        ({"clicks": False}, "Opens"),
        ({"opens": False, "clicks": False}, "Neither opens nor clicks"),
        ({"needs_consent": True, "consent_field": agrees}, "Opens and clicks of people who have agreed"),
        ({"is_nameless": True}, "Opens and clicks, as totals alone"),
    ):
        Tracking.objects.all().delete()
        Tracking.objects.create(workspace=workspace, **rules)
        assert f"<dd>{said}</dd>" in sign_in(bob).get(review).text


def test_a_scheduled_campaign_is_shown_but_not_edited(workspace, bob, sign_in):
    at = timezone.now() + datetime.timedelta(days=1)
    campaign = a_campaign(workspace, state="scheduled", scheduled_at=at)
    client = sign_in(bob)
    assert client.get(url(campaign, "content")).status_code == 302
    assert client.post(url(campaign, "content"), {"kind": "html", "source": "x"}).status_code == 409
    assert "Unschedule" in client.get(url(campaign, "review")).text


@pytest.mark.parametrize("step", STEPS)
def test_a_step_is_not_for_viewers_and_not_there_for_strangers(workspace, carol, mallory, sign_in, step):
    campaign = a_campaign(workspace)
    assert sign_in(carol).get(url(campaign, step)).status_code == 403
    assert sign_in(mallory).get(url(campaign, step)).status_code == 404
    assert sign_in(mallory).post(url(campaign, step)).status_code == 404


def version(page):
    return re.search(r'name="version"[^>]* value="(\w+)"', page.text)[1]


TYPED = {
    "content": {"kind": "html", "source": "<p>Mine</p>"},
    "sender": {**SENDER, "subject": "Mine"},
    "schedule": {"when": "later", "at": f"{timezone.now().date() + datetime.timedelta(days=9)}T10:00"},
}


@pytest.mark.parametrize("step", TYPED)
def test_a_stale_tab_does_not_write_over_newer_work(workspace, alice, bob, sign_in, step):
    campaign, client = a_campaign(workspace), sign_in(bob)
    stale = version(client.get(url(campaign, step)))
    theirs = {
        "content": {"kind": "html", "source": "<p>Theirs</p>"},
        "sender": {**SENDER, "subject": "Theirs"},
        "schedule": {"when": "later", "at": f"{timezone.now().date() + datetime.timedelta(days=8)}T10:00"},
    }
    assert sign_in(alice).post(url(campaign, step), theirs[step]).status_code == 302
    before = Campaign.objects.values().get()
    for headers in (SAVED, {}):
        answer = client.post(url(campaign, step), {**TYPED[step], "version": stale}, headers=headers)
        assert answer.status_code == 409
        assert "Changed in another tab or by somebody else at" in answer.text
        assert "campaign-saved" not in answer.headers.get("HX-Trigger", "")
    assert Campaign.objects.values().get() == before
    assert next(
        word for word in ("Mine", TYPED["schedule"]["at"]) if word in answer.text
    )  # it is still in the form
    mine = re.search(r'name="over" value="(\w+)"', answer.text)[1]
    kept = client.post(url(campaign, step), {**TYPED[step], "version": stale, "over": mine}, headers=SAVED)
    assert kept.status_code == 200
    assert Campaign.objects.values().get() != before


def test_a_stale_tab_does_not_choose_another_audience(workspace, alice, bob, sign_in):
    news, old = a_list(workspace), a_list(workspace, "Old")
    campaign, client = a_campaign(workspace), sign_in(bob)
    stale = version(client.get(url(campaign, "audience")))
    sign_in(alice).post(url(campaign, "audience"), {"lists": [news.pk]})
    answer = client.post(url(campaign, "audience"), {"lists": [old.pk], "version": stale})
    assert answer.status_code == 409
    assert list(campaign.lists.all()) == [news]
    assert f'aria-label="Send to {old}" checked' in answer.text
    client.post(
        url(campaign, "audience"),
        {"lists": [old.pk], "version": version(client.get(url(campaign, "audience")))},
    )
    assert list(campaign.lists.all()) == [old]


def test_saves_of_one_tab_follow_each_other(workspace, bob, sign_in):
    campaign, client = a_campaign(workspace), sign_in(bob)
    page = client.get(url(campaign, "sender"))
    for subject in ("One", "Two", "Three"):
        typed = {**SENDER, "subject": subject, "version": version(page)}
        page = client.post(url(campaign, "sender"), typed, headers=SAVED)
        assert page.status_code == 200
    campaign.refresh_from_db()
    assert campaign.subject == "Three"


def test_another_steps_change_is_no_conflict_nor_is_the_same_typed_twice(workspace, bob, sign_in):
    campaign, client = a_campaign(workspace), sign_in(bob)
    seen = version(client.get(url(campaign, "sender")))
    client.post(url(campaign, "content"), TYPED["content"])
    client.post(url(campaign, "schedule"), TYPED["schedule"])
    for _ in range(2):  # the answer to the first try got lost
        answer = client.post(url(campaign, "sender"), {**TYPED["sender"], "version": seen}, headers=SAVED)
        assert answer.status_code == 200


def test_what_was_not_saved_is_named(workspace, bob, sign_in):
    client, campaign = sign_in(bob), a_campaign(workspace)
    bad = {**SENDER, "reply_to": "no address", "from_email": "neither"}
    for headers in (SAVED, {}):
        said = client.post(url(campaign, "sender"), bad, headers=headers).text
        assert "Not saved: From (e-mail address), Answers go to. The rest is saved." in said
    past = {"when": "later", "at": "2020-01-01T09:00"}
    said = client.post(url(campaign, "schedule"), past, headers=SAVED).text
    assert "Not saved: Date and time." in said
    assert "The rest" not in said
    said = client.post(
        url(campaign, "content"), {"kind": "html", "source": "x" * 1_000_001}, headers=SAVED
    ).text
    assert "Not saved: Content. The rest is saved." in said


def test_what_is_saved_with_a_mistake_is_said_to_be_saved(workspace, bob, sign_in):
    client, campaign = sign_in(bob), a_campaign(workspace)
    for step, typed in (
        ("content", {"kind": "html", "source": "{% if %}"}),
        ("sender", {**SENDER, "subject": "{{"}),
    ):
        said = client.post(url(campaign, step), typed, headers=SAVED).text
        assert re.search(r"Saved at \d\d:\d\d:\d\d\. What is marked needs mending\.", said)
        assert "invalid-feedback" in client.get(url(campaign, step)).text  # and beside it when opened again


def test_the_time_of_a_save_is_in_the_workspaces_zone(workspace, bob, sign_in):
    workspace.time_zone = "Asia/Kathmandu"
    workspace.save()
    said = sign_in(bob).post(url(a_campaign(workspace), "sender"), SENDER, headers=SAVED).text
    minutes = int(re.search(r"Saved at \d\d:(\d\d):\d\d", said)[1])
    assert (minutes - timezone.now().minute) % 60 in (44, 45)  # 5:45 ahead of UTC
    assert "UTC" not in said


def test_who_was_signed_out_is_told_in_place(workspace, bob, sign_in):
    campaign = a_campaign(workspace)
    for client in (Client(), Client(enforce_csrf_checks=True)):
        answer = client.post(url(campaign, "sender"), SENDER, headers=SAVED)
        assert answer.status_code == 403
        assert "Not saved: you are signed out. Sign in in another tab, then type on." in answer.text
        assert "<html" not in answer.text
    assert Client().get(url(campaign, "sender")).status_code == 302
    assert "The page was open too long" in Client(enforce_csrf_checks=True).post("/campaigns/new/").text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"source": "x" * (5 * 2**20)}, "It is larger than 5 MB, and was not taken."),
        ({f"field{number}": "" for number in range(5001)}, "It has more than 5,000 fields"),
    ],
)
def test_a_form_that_is_too_large_is_refused_in_words(workspace, bob, sign_in, typed, said):
    client, address = sign_in(bob), url(a_campaign(workspace), "content")
    page, part = client.post(address, typed), client.post(address, typed, headers=SAVED)
    assert page.status_code == part.status_code == 413
    assert said in page.text
    assert f"Not saved: {said}" in part.text
    assert "<html" not in part.text


def test_a_campaign_that_is_gone_is_said_to_be(workspace, bob, sign_in):
    campaign = a_campaign(workspace)
    address = url(campaign, "sender")
    campaign.delete()
    answer = sign_in(bob).post(address, SENDER, headers=SAVED)
    assert answer.status_code == 404
    assert "Not saved: It may have been deleted" in answer.text
    assert "There is no such page" in sign_in(bob).get(address).text


def test_no_browser_keeps_a_page_of_somebody_signed_in(workspace, bob, sign_in):
    campaign, client = a_campaign(workspace), sign_in(bob)
    for step in (*STEPS, "review"):
        assert "no-store" in client.get(url(campaign, step))["Cache-Control"]


def test_a_refusal_leads_back_to_where_one_came_from(workspace, carol, sign_in):
    client, address = sign_in(carol), url(a_campaign(workspace), "sender")
    here = "http://testserver/campaigns/?search=a"
    assert f'href="{here}">Back</a>' in client.get(address, headers={"Referer": here}).text
    for elsewhere in ("https://evil.example/", "javascript:alert(1)", f"http://testserver{address}"):
        assert ">Back</a>" not in client.get(address, headers={"Referer": elsewhere}).text


def test_an_offset_from_utc_is_honoured(workspace, bob, sign_in):
    campaign = a_campaign(workspace)
    day = timezone.now().date() + datetime.timedelta(days=30)
    typed = {"when": "later", "at": f"{day}T10:00:00+14:00"}
    assert sign_in(bob).post(url(campaign, "schedule"), typed).status_code == 302
    campaign.refresh_from_db()
    yesterday = day - datetime.timedelta(days=1)
    assert campaign.scheduled_at == datetime.datetime.combine(yesterday, datetime.time(20), datetime.UTC)


@pytest.mark.parametrize(
    ("days", "time", "said"),
    [(30, "", "Give a time of day too"), (365, "T00:00", ""), (368, "T00:00", "more than a year away")],
)
def test_a_date_wants_its_time_and_lies_within_a_year(workspace, bob, sign_in, days, time, said):
    day = timezone.now().date() + datetime.timedelta(days=days)
    answer = sign_in(bob).post(
        url(a_campaign(workspace), "schedule"), {"when": "later", "at": f"{day}{time}"}
    )
    assert answer.status_code == (422 if said else 302)
    assert said in answer.content.decode()


def test_no_time_is_taken_here_that_scheduling_refuses():
    assert moments.FURTHEST == lifecycle.FAR_LIMIT


@pytest.mark.parametrize("state", ["sending", "failed", "canceled"])
def test_what_has_left_the_draft_is_not_sent_from_its_review_again(workspace, bob, sign_in, state):
    campaign = a_campaign(workspace, state=state)  # without a mailing: its recipients are not prepared yet
    assert sign_in(bob).get(url(campaign, "review")).url == f"/campaigns/{campaign.pk}/report/"


def test_an_empty_drafts_preview_says_what_to_do(workspace, bob, sign_in):
    client, campaign = sign_in(bob), a_campaign(workspace, content=" ")
    page = client.get(url(campaign, "content")).text
    assert "Nothing written yet. Choose a beginning above, or write." in page
    assert "<iframe" in page
    assert " src=" not in page[page.index("<iframe") : page.index("</iframe>")]
    assert "Nothing written yet." in client.get(url(campaign, "review")).text
