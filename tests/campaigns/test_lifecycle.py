"""A campaign's life: sent now or later, paused, resumed, canceled, copied, put away."""

import itertools
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.errors import Refusal, WrongState
from accounts.models import AuditEntry
from campaigns.actions import lifecycle
from campaigns.models import ALLOWED, Campaign, State
from contacts.models import List
from delivery import accounts
from delivery.mailings import finish_if_done, recount
from delivery.models import Mailing
from delivery.pipeline import connections
from delivery.pipeline.settle import Result, settle
from delivery.pipeline.work import work_slice
from delivery.transports.base import Fate, Outcome
from tests.at_once import beside
from tests.builders import a_campaign, a_contact, a_list, an_account
from tests.smtp_server import ScriptedServer

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign(workspace):
    news = a_list(workspace)
    for number in range(3):
        a_contact(workspace, f"p{number}@example.com", subscribed_to=[news])
    return a_campaign(workspace, name="Spring", lists=[news], account=an_account(workspace, name="Way out"))


@pytest.fixture
def news_server(campaign):
    """The campaign's account leads to a server that takes everything."""
    server = ScriptedServer()
    campaign.account.settings["port"] = server.port
    campaign.account.save()
    yield server
    connections.close_all()
    server.close()


def state_of(campaign) -> str:
    return Campaign.objects.get(pk=campaign.pk).state


def post(client, verb, campaign, **data):
    return client.post(reverse(f"campaign_{verb}", args=[campaign.pk]), data, follow=True)


def begin(campaign, by):
    lifecycle.send_now(campaign, by=by)
    lifecycle.launch(campaign.pk)
    campaign.refresh_from_db()


@pytest.mark.parametrize(("before", "after"), list(itertools.product(State, State)))
def test_a_state_changes_only_as_the_table_says(campaign, before, after):
    Campaign.objects.filter(pk=campaign.pk).update(state=before)
    if after in ALLOWED[before]:
        assert lifecycle.transition(campaign.pk, to=after).state == after
    else:
        with pytest.raises(WrongState):
            lifecycle.transition(campaign.pk, to=after)
        assert state_of(campaign) == before


def test_sending_freezes_the_audience_into_a_mailing(sign_in, bob, campaign):
    post(sign_in(bob), "send", campaign)
    assert state_of(campaign) == State.SENDING
    assert lifecycle.launch(campaign.pk) == 3
    assert lifecycle.launch(campaign.pk) == 0, "the job may run twice"
    assert Mailing.objects.get().total_count == 3


def test_a_campaign_that_is_not_ready_says_what_is_missing_and_stays_a_draft(sign_in, bob, campaign):
    Campaign.objects.filter(pk=campaign.pk).update(subject="")
    page = post(sign_in(bob), "send", campaign)
    assert "It has no subject" in page.content.decode()
    assert state_of(campaign) == State.DRAFT


def test_an_audience_of_nobody_is_refused(sign_in, bob, campaign):
    campaign.lists.clear()
    page = post(sign_in(bob), "send", campaign)
    assert "Nobody would get it" in page.content.decode()
    assert state_of(campaign) == State.DRAFT


def test_it_is_sent_when_the_last_message_left_and_the_report_says_so(sign_in, bob, campaign):
    begin(campaign, bob)
    Mailing.objects.update(state="sending")
    lifecycle.cancel(campaign, by=bob)
    assert state_of(campaign) == State.CANCELED
    page = sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "Canceled" in page
    assert work_slice(campaign.mailing_id) is None


def test_the_report_names_every_account_it_was_sent_by(sign_in, bob, ada, campaign, workspace):
    begin(campaign, bob)
    first = campaign.account
    an_account(workspace, name="Second", settings=first.settings, stands_in=True, position=1)
    Mailing.objects.update(accepted_count=2)
    accounts.set_aside(first, by=ada)
    Mailing.objects.update(accepted_count=5)
    page = " ".join(sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).text.split())
    assert f"{first}: 2 accepted" in page
    assert "then Second: 3 accepted" in page
    assert "was set aside by Ada" in page


def test_pausing_and_resuming(sign_in, bob, campaign):
    begin(campaign, bob)
    client = sign_in(bob)
    post(client, "pause", campaign)
    assert state_of(campaign) == State.PAUSED
    assert work_slice(campaign.mailing_id) is None
    post(client, "resume", campaign)
    assert state_of(campaign) == State.SENDING


def test_canceling_while_the_recipients_are_prepared(bob, campaign):
    lifecycle.send_now(campaign, by=bob)
    lifecycle.cancel(campaign, by=bob)
    assert lifecycle.launch(campaign.pk) == 0
    assert state_of(campaign) == State.CANCELED
    assert not Mailing.objects.exists()


def test_a_time_in_the_past_is_refused_in_words(sign_in, bob, campaign):
    page = post(sign_in(bob), "schedule_set", campaign, at="2020-01-01T10:00")
    assert "has passed" in page.content.decode()
    assert state_of(campaign) == State.DRAFT


@pytest.mark.parametrize("at", ["", "nonsense", "2026-13-45T99:99"])
def test_no_time_at_all_is_refused(sign_in, bob, campaign, at):
    assert post(sign_in(bob), "schedule_set", campaign, at=at).status_code == 200
    assert state_of(campaign) == State.DRAFT


def test_a_scheduled_campaign_starts_at_its_time_and_only_once(bob, campaign):
    lifecycle.schedule(campaign, at=timezone.now() + timedelta(hours=1), by=bob)
    assert lifecycle.launch_due() == 0
    Campaign.objects.update(scheduled_at=timezone.now() - timedelta(seconds=1))
    assert lifecycle.launch_due() == 1
    assert lifecycle.launch_due() == 0
    assert state_of(campaign) == State.SENDING


def test_a_start_missed_by_hours_is_not_made_up_for_silently(bob, campaign):
    lifecycle.schedule(campaign, at=timezone.now() + timedelta(hours=1), by=bob)
    Campaign.objects.update(scheduled_at=timezone.now() - timedelta(hours=7))
    assert lifecycle.launch_due() == 0
    campaign.refresh_from_db()
    assert campaign.state == State.FAILED
    assert "while Volley was not running" in campaign.state_reason
    lifecycle.reopen(campaign, by=bob)
    assert state_of(campaign) == State.DRAFT


def test_unscheduling_makes_it_a_draft_again(sign_in, bob, campaign):
    lifecycle.schedule(campaign, at=timezone.now() + timedelta(hours=1), by=bob)
    post(sign_in(bob), "unschedule", campaign)
    assert state_of(campaign) == State.DRAFT


def test_a_launch_whose_job_was_lost_is_queued_again(bob, campaign):
    lifecycle.send_now(campaign, by=bob)
    assert lifecycle.requeue_unlaunched() == 0
    Campaign.objects.update(updated_at=timezone.now() - timedelta(minutes=1))
    assert lifecycle.requeue_unlaunched() == 1


def test_a_copy_is_a_draft_with_the_same_audience(sign_in, bob, campaign):
    begin(campaign, bob)
    post(sign_in(bob), "duplicate", campaign)
    copy = Campaign.objects.exclude(pk=campaign.pk).get()
    assert (copy.name, copy.state, copy.mailing) == ("Copy of Spring", State.DRAFT, None)
    assert list(copy.lists.all()) == list(List.objects.all())


def test_only_drafts_can_be_deleted_and_what_is_under_way_not_archived(sign_in, bob, campaign):
    begin(campaign, bob)
    client = sign_in(bob)
    assert "Only a draft can be deleted" in post(client, "delete", campaign).content.decode()
    assert "It is on its way" in post(client, "archive", campaign).content.decode()


@pytest.mark.parametrize(
    "verb", ["send", "pause", "resume", "cancel", "duplicate", "archive", "delete", "unschedule"]
)
def test_verbs_need_a_marketer_of_this_workspace_and_a_post(sign_in, bob, carol, mallory, campaign, verb):
    url = reverse(f"campaign_{verb}", args=[campaign.pk])
    assert sign_in(carol).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert sign_in(bob).get(url).status_code == 405
    assert state_of(campaign) == State.DRAFT


@pytest.mark.django_db(transaction=True)
def test_two_people_pressing_send_at_once_launch_one_mailing(alice, bob, campaign):
    def press(person):
        try:
            lifecycle.send_now(
                Campaign.objects.select_related("workspace", "account").get(pk=campaign.pk), by=person
            )
            lifecycle.launch(campaign.pk)
        except Refusal:
            return "refused"
        return "launched"

    both = [beside(press, person) for person in (alice, bob)]
    assert sorted(each.result(30) for each in both) == ["launched", "refused"]
    assert Mailing.objects.count() == 1


def test_the_list_of_campaigns_takes_as_many_queries_for_three_as_for_thirty(
    sign_in, carol, workspace, django_assert_max_num_queries
):
    client = sign_in(carol)
    for number in range(30):
        a_campaign(workspace, name=f"Campaign {number}", lists=[a_list(workspace, f"List {number}")])
    with django_assert_max_num_queries(8):  # session, person, memberships; campaigns, lists, segments
        page = client.get(reverse("campaigns")).content.decode()
    assert "Campaign 29" in page


def test_home_and_report_stay_under_fifteen_queries(sign_in, bob, campaign, django_assert_max_num_queries):
    begin(campaign, bob)
    client = sign_in(bob)
    for name, arguments in (
        ("home", []),
        ("campaign_report", [campaign.pk]),
        ("campaign_recipients", [campaign.pk]),
    ):
        with django_assert_max_num_queries(15):
            assert client.get(reverse(name, args=arguments)).status_code == 200


def test_a_paused_campaign_is_resumed_and_never_sent_again(sign_in, bob, campaign):
    begin(campaign, bob)
    lifecycle.pause(campaign, by=bob)
    page = post(sign_in(bob), "send", campaign)
    assert "paused; this cannot be done now" in page.content.decode()
    campaign.refresh_from_db()
    assert (campaign.state, campaign.mailing.state) == (State.PAUSED, "paused")


VERBS = (
    "pace",
    "retry",
    "count_as_delivered",
    "send",
    "unschedule",
    "reopen",
    "pause",
    "resume",
    "cancel",
    "duplicate",
    "archive",
    "unarchive",
    "delete",
)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", VERBS)
def test_no_button_of_a_stale_page_leaves_campaign_and_mailing_apart(sign_in, bob, campaign, state, verb):
    if state in (State.SENDING, State.PAUSED, State.CANCELED):
        begin(campaign, bob)
    if state in (State.PAUSED, State.CANCELED):
        getattr(lifecycle, {"paused": "pause", "canceled": "cancel"}[state])(campaign, by=bob)
    elif state != State.SENDING:
        Campaign.objects.filter(pk=campaign.pk).update(state=state)
    assert post(sign_in(bob), verb, campaign).status_code == 200
    found = Campaign.objects.select_related("mailing").filter(pk=campaign.pk).first()
    if found and found.mailing:
        assert found.state == found.mailing.state


def test_an_archived_draft_does_not_leave(sign_in, bob, campaign):
    lifecycle.archive(campaign, by=bob)
    assert "take it back from the archive" in post(sign_in(bob), "send", campaign).content.decode()
    assert state_of(campaign) == State.DRAFT


def test_an_hour_that_the_clocks_skip_is_refused_at_the_last_press_too(sign_in, bob, campaign, workspace):
    workspace.time_zone = "Europe/Berlin"
    workspace.save()
    page = post(sign_in(bob), "schedule_set", campaign, at="2027-03-28T02:30")
    assert "does not happen" in page.content.decode()
    assert state_of(campaign) == State.DRAFT


def test_the_pace_is_changed_while_it_is_sent(sign_in, bob, campaign):
    begin(campaign, bob)
    page = post(sign_in(bob), "pace", campaign, per_second="12.5")
    assert "at most 12.5 messages a second" in page.content.decode()
    assert Mailing.objects.get().rate_per_second == 12.5
    assert (
        "is a number of messages" in post(sign_in(bob), "pace", campaign, per_second="fast").content.decode()
    )
    assert "to stop it, pause it" in post(sign_in(bob), "pace", campaign, per_second="0").content.decode()
    post(sign_in(bob), "pace", campaign, per_second="")
    assert Mailing.objects.get().rate_per_second is None


@pytest.fixture
def partly_sent(campaign, bob, workspace):
    """Sent to three: one was reached, one had a full mailbox, of one nobody knows."""
    begin(campaign, bob)
    mailing = Mailing.objects.select_related("workspace").get()
    full, unknown = (
        Outcome(Fate.REJECTED, "552 5.2.2", "552 Full"),
        Outcome(Fate.IN_DOUBT, "in doubt", "Lost"),
    )
    settle(mailing, [Result(1, Outcome(Fate.ACCEPTED)), Result(2, full), Result(3, unknown)])
    mailing.batches.update(state="done")
    finish_if_done(mailing.pk)
    campaign.refresh_from_db()
    assert campaign.state == "sent"
    return campaign


def test_a_group_that_was_not_reached_is_tried_again_and_it_ends_again(
    sign_in, bob, partly_sent, news_server
):
    client = sign_in(bob)
    assert "Try again" in client.get(reverse("campaign_report", args=[partly_sent.pk])).content.decode()
    page = post(client, "retry", partly_sent, state="rejected", code="552 5.2.2")
    assert "1 message is tried again" in page.content.decode()
    mailing = Mailing.objects.get()
    assert (mailing.state, mailing.rejected_count, mailing.in_doubt_count) == ("sending", 0, 1)
    while work_slice(mailing.pk):
        pass
    mailing.refresh_from_db()
    assert (mailing.state, mailing.accepted_count, mailing.in_doubt_count) == ("finished", 2, 1)
    assert state_of(partly_sent) == State.SENT
    assert news_server.recipients() == ["p1@example.com"]


def test_there_is_nothing_to_try_again_twice(sign_in, bob, partly_sent):
    client = sign_in(bob)
    post(client, "retry", partly_sent, state="in_doubt", code="")
    assert "nobody to try again" in post(client, "retry", partly_sent, state="in_doubt").content.decode()
    assert "Only rejected messages" in post(client, "retry", partly_sent, state="accepted").content.decode()
    assert Mailing.objects.get().accepted_count == 1


def test_those_in_doubt_are_asked_about_before_anybody_gets_it_twice(sign_in, bob, carol, partly_sent):
    url = reverse("campaign_report", args=[partly_sent.pk])
    page = sign_in(bob).get(url).content.decode()
    assert "1 message is in doubt" in page
    assert "some people may get the message twice" in page
    assert 'name="state" value="rejected"' in page, "whoever was rejected got nothing, so nothing is asked"
    assert page.count('name="state" value="in_doubt"') == 1, "only in the dialog"
    assert "in doubt" in (seen := sign_in(carol).get(url).content.decode())
    assert "Count as delivered" not in seen


def test_those_in_doubt_may_count_as_delivered(sign_in, bob, partly_sent):
    client = sign_in(bob)
    page = post(client, "count_as_delivered", partly_sent).content.decode()
    assert "1 message counts as delivered" in page
    mailing = Mailing.objects.get()
    assert (mailing.state, mailing.accepted_count, mailing.in_doubt_count) == ("finished", 2, 0)
    assert recount(mailing.pk) == {"accepted": 2, "rejected": 1}
    assert mailing.deliveries.get(number=3).server_said == "Lost"
    assert AuditEntry.objects.filter(verb="campaign.doubt_settled").count() == 1
    assert "somebody was faster" in post(client, "count_as_delivered", partly_sent).content.decode()
    assert AuditEntry.objects.filter(verb="campaign.doubt_settled").count() == 1


def test_a_finished_campaign_cannot_be_resumed(sign_in, bob, partly_sent):
    assert "this cannot be done now" in post(sign_in(bob), "resume", partly_sent).content.decode()
    assert state_of(partly_sent) == State.SENT


def test_the_bar_of_a_send_is_true_above_a_thousand(sign_in, bob, campaign):
    begin(campaign, bob)
    Mailing.objects.update(total_count=4101, accepted_count=2901)
    client = sign_in(bob)
    report = client.get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert 'max="4101" value="2901"' in report
    assert "2,901 of 4,101" in report
    assert 'max="4101" value="2901"' in client.get(reverse("campaigns")).content.decode()


def figures_of(page: str) -> dict[str, str]:
    """{label: count} of the report's tiles."""
    tile = (
        r'<div class="text-secondary">([A-Z][a-z ]+)</div>\s*<div class="h2 mb-0">\s*(?:<a[^>]*>)?([0-9,]+)'
    )
    return dict(re.findall(tile, page))


def poll(client, campaign) -> str:
    """What the report asks for each second."""
    url = reverse("campaign_report", args=[campaign.pk])
    return client.get(url, headers={"HX-Request": "true", "HX-Target": "div#progress"}).content.decode()


def test_the_figures_add_up_and_their_shares_are_of_those_that_are_done(sign_in, bob, campaign):
    begin(campaign, bob)
    mailing = Mailing.objects.select_related("workspace").get()
    settle(mailing, [Result(1, Outcome(Fate.ACCEPTED)), Result(2, Outcome(Fate.DEFERRED, "451", "Later"))])
    page = sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    found = figures_of(page)
    for rate in ("Unsubscribed", "Opened", "Clicked", "Clicked of those who opened"):
        assert found.pop(rate) == "0"
    assert found == {"Accepted": "1", "Rejected": "0", "Skipped": "0", "Will be retried": "1", "Waiting": "1"}
    assert sum(map(int, found.values())) == 3
    assert '100.0 % <span class="text-nowrap">of 1</span>' in page
    assert "Deferred" not in page, "what will be retried has one name"


def test_the_figures_of_an_open_dialog_follow_the_progress(sign_in, bob, campaign):
    begin(campaign, bob)
    client = sign_in(bob)
    Mailing.objects.update(total_count=4343, accepted_count=92)
    assert "92 sent; the other 4,251 will not be sent." in poll(client, campaign)
    Mailing.objects.update(rejected_count=30)
    part = poll(client, campaign)
    assert "92 sent, 30 rejected, skipped or in doubt; the other 4,221 will not be sent." in part
    assert 'id="cancel-figures" hx-swap-oob="innerHTML"' in part
    assert 'class="modal"' not in part, "a poll closes no dialog"


def test_a_canceled_campaign_says_how_many_it_left_out(sign_in, bob, campaign):
    begin(campaign, bob)
    lifecycle.cancel(campaign, by=bob)
    Mailing.objects.update(total_count=4343, accepted_count=315, canceled_count=4028)
    page = sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "315 of 4,343, 4,028 not sent" in page
    assert 'max="4343" value="315"' in page
    assert "every 1s" not in page
    Mailing.objects.update(canceled_count=4000)
    assert "every 1s" in poll(sign_in(bob), campaign), "until the last batch is closed"
