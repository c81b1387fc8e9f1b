"""Saving the steps of a draft."""

import datetime

import pytest

from accounts.errors import Refusal, WrongState
from accounts.models import AuditEntry
from campaigns.actions import editing
from campaigns.models import Campaign
from tests.builders import a_campaign, a_list, a_segment, an_account
from tests.people import a_workspace

NOBODY = {"lists": [], "segments": [], "excluded_lists": [], "excluded_segments": []}
SENDER = {
    "subject": "Hello", "preheader": "There", "from_name": "Acme", "from_email": "a@acme.example",
    "reply_to": "", "account": None,
}  # fmt: skip


def test_a_new_campaign_is_sent_as_the_latest_one_was(workspace, bob):
    account = an_account(workspace, is_default=True)
    a_campaign(workspace, from_name="Juniper", from_email="hi@juniper.example")
    campaign = editing.create(workspace, name="Summer", by=bob)
    assert (campaign.from_name, campaign.from_email) == ("Juniper", "hi@juniper.example")
    assert (campaign.account, campaign.state, campaign.created_by) == (account, "draft", bob)
    assert AuditEntry.objects.get().verb == "campaign.created"


def test_the_first_campaign_is_from_the_workspace(workspace, bob):
    assert editing.create(workspace, name="First", by=bob).from_name == "Acme"


def test_the_audience_is_kept_and_recorded_once(workspace, bob):
    campaign, news, gmail = a_campaign(workspace), a_list(workspace), a_segment(workspace)
    chosen = {**NOBODY, "lists": [news], "excluded_segments": [gmail]}
    editing.save_audience(campaign, **chosen, by=bob)
    editing.save_audience(campaign, **chosen, by=bob)
    stored = Campaign.objects.get()
    assert (list(stored.lists.all()), list(stored.excluded_segments.all())) == ([news], [gmail])
    assert AuditEntry.objects.count() == 1


def test_one_save_that_comes_twice_at_once_is_no_conflict(workspace, bob):
    """As one types and by the button: both have read the draft before either writes."""
    campaign = a_campaign(workspace)
    one, other = (Campaign.objects.get(pk=campaign.pk) for _ in range(2))
    seen = editing.version(campaign, "sender")
    editing.save_sender(one, **SENDER, by=bob, over=seen)
    editing.save_sender(other, **SENDER, by=bob, over=seen)
    assert AuditEntry.objects.count() == 1
    with pytest.raises(editing.ChangedElsewhere):
        editing.save_sender(other, **{**SENDER, "subject": "Bye"}, by=bob, over=seen)


def test_another_workspaces_list_and_account_do_not_exist(workspace, bob):
    campaign, elsewhere = a_campaign(workspace), a_workspace("Elsewhere")
    with pytest.raises(Refusal, match="not in this workspace"):
        editing.save_audience(campaign, **{**NOBODY, "lists": [a_list(elsewhere)]}, by=bob)
    with pytest.raises(Refusal, match="not in this workspace"):
        editing.save_sender(campaign, **{**SENDER, "account": an_account(elsewhere)}, by=bob)


def test_content_is_kept_with_its_mistakes(workspace, bob):
    campaign = a_campaign(workspace)
    editing.save_content(campaign, kind="html", source="<p>{% if %}", by=bob)
    assert campaign.content == Campaign.objects.get().content == "<p>{% if %}"


def test_the_sender_and_the_time_are_kept(workspace, bob):
    campaign, at = a_campaign(workspace), datetime.datetime(2030, 1, 2, tzinfo=datetime.UTC)
    editing.save_sender(campaign, **{**SENDER, "account": an_account(workspace)}, by=bob)
    editing.save_intended_time(campaign, at=at, by=bob)
    stored = Campaign.objects.get()
    assert (stored.subject, stored.account.name, stored.scheduled_at) == ("Hello", "Post office", at)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("scheduled", "unschedule it to change it"),
        ("sending", "is sending and cannot"),
        ("sent", "duplicate it"),
    ],
)
def test_only_a_draft_is_changed(workspace, bob, state, words):
    campaign = a_campaign(workspace)
    Campaign.objects.update(state=state)  # behind the back of the page at hand
    for save in (
        lambda: editing.save_audience(campaign, **{**NOBODY, "lists": [a_list(workspace)]}, by=bob),
        lambda: editing.save_content(campaign, kind="html", source="x", by=bob),
        lambda: editing.save_sender(campaign, **SENDER, by=bob),
        lambda: editing.save_intended_time(campaign, at=None, by=bob),
    ):
        with pytest.raises(WrongState, match=words):
            save()
    stored = Campaign.objects.get()
    assert (stored.content_kind, stored.lists.count()) == ("mjml", 0)


def test_what_is_watched_changes_only_where_its_card_was_shown(sign_in, bob, workspace):
    campaign = a_campaign(workspace)
    address = f"/campaigns/{campaign.pk}/sender/"
    sign_in(bob).post(address, {"subject": "New"})
    campaign.refresh_from_db()
    assert (campaign.track_opens, campaign.track_clicks, campaign.utm) == (True, True, True)
    sign_in(bob).post(address, {"subject": "New", "tracking": "shown", "utm": "on", "utm_source": "paper"})
    campaign.refresh_from_db()
    assert (campaign.track_opens, campaign.track_clicks, campaign.utm) == (False, False, True)
    assert campaign.utm_source == "paper"
