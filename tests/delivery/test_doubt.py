"""The workspace's rule for messages in doubt: left to a person, counted as delivered, or tried once more."""

from collections import Counter
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, InDoubt
from campaigns.actions import lifecycle
from campaigns.models import State
from delivery import doubt, timeline
from delivery.actions import cancel
from delivery.mailings import finish_if_done, stop_account
from delivery.management.commands.clock import tick
from delivery.models import Mailing
from delivery.pipeline.settle import Result, settle
from delivery.transports import esp
from delivery.transports.base import Fate, Outcome
from tests.builders import a_campaign
from tests.delivery.test_esp_batches import an_esp_account
from tests.delivery.test_origin import restore_elsewhere
from tests.delivery.test_pipeline import make_due, said, work_all
from tests.fake_esp.server import FakeEsp, Plan

pytestmark = pytest.mark.django_db
UNKNOWN = Outcome(Fate.IN_DOUBT, "in doubt", "Lost")


@pytest.fixture
def in_doubt(people, news, account, workspace):
    """in_doubt("count") has that rule, and sends to two: one accepted, one in doubt. Returns the campaign."""

    def send(rule: str, *, ends: bool = True):
        workspace.in_doubt_then, workspace.in_doubt_hours = rule, 6
        workspace.save()
        people(2)
        campaign = a_campaign(workspace, "Spring", lists=[news], account=account, state=State.SENDING)
        lifecycle.launch(campaign.pk)
        campaign.refresh_from_db()
        settle(campaign.mailing, [Result(1, Outcome(Fate.ACCEPTED)), Result(2, UNKNOWN)])
        if ends:
            campaign.mailing.batches.update(state="done")
            finish_if_done(campaign.mailing_id)
        campaign.mailing.refresh_from_db()
        return campaign

    return send


def hours_go_by(mailing, hours=6) -> None:
    """And the clock ticks."""
    ago = timedelta(hours=hours, seconds=1)
    for row in Mailing.objects.filter(pk=mailing.pk).exclude(doubt_due_at=None):
        Mailing.objects.filter(pk=mailing.pk).update(doubt_due_at=row.doubt_due_at - ago)
    tick()
    mailing.refresh_from_db()


def trail() -> list[str]:
    return list(
        AuditEntry.objects.filter(user=None, verb__startswith="mailing.").values_list("verb", flat=True)
    )


def test_they_stay_in_doubt_as_it_comes(in_doubt):
    mailing = in_doubt("leave").mailing
    assert mailing.doubt_due_at is None
    hours_go_by(mailing, hours=1000)
    assert (mailing.state, mailing.in_doubt_count, trail()) == ("finished", 1, [])


def test_they_count_as_delivered_when_the_hours_are_over_and_not_before(in_doubt):
    mailing = in_doubt("count").mailing
    hours_go_by(mailing, hours=5)
    assert mailing.in_doubt_count == 1
    hours_go_by(mailing, hours=1)
    assert (mailing.state, mailing.accepted_count, mailing.in_doubt_count) == ("finished", 2, 0)
    row = said(mailing, "p2@example.com")
    assert (row.state, row.server_said) == ("accepted", "Lost")
    assert timeline.of_contact(row.contact, None, 9)[0].detail == "It was in doubt: Lost"
    tick()
    assert trail() == ["mailing.doubt_settled"]


def test_those_of_a_canceled_campaign_count_as_delivered_too(in_doubt, bob):
    mailing = in_doubt("count", ends=False).mailing
    hours_go_by(mailing, hours=1000)
    assert mailing.in_doubt_count == 1, "while it is sent nobody decides for it"
    cancel(mailing, by=bob)
    mailing.refresh_from_db()
    hours_go_by(mailing)
    assert (mailing.state, mailing.accepted_count, mailing.in_doubt_count) == ("canceled", 2, 0)


@pytest.mark.parametrize("ends", [True, False])
def test_nobody_is_tried_again_of_whom_something_came_back_or_whose_campaign_was_canceled(
    in_doubt, bob, server, ends
):
    mailing = in_doubt("again", ends=ends).mailing
    if ends:
        mailing.deliveries.filter(number=2).update(state="accepted")
        Mailing.objects.update(accepted_count=2, in_doubt_count=0)
    else:
        cancel(mailing, by=bob)
    hours_go_by(mailing)
    work_all(mailing)
    assert mailing.state == ("finished" if ends else "canceled")
    assert (server.messages, mailing.doubt_due_at, trail()) == ([], None, [])


def test_where_the_account_is_set_aside_a_person_decides(in_doubt, account):
    mailing = in_doubt("again").mailing
    stop_account(account, "535 Wrong password")
    hours_go_by(mailing)
    assert (mailing.state, mailing.in_doubt_count, mailing.doubt_due_at, trail()) == ("finished", 1, None, [])


def test_by_a_mail_server_they_are_tried_again_once_and_no_more(people, send_to_news, workspace, server):
    """With the repetition at once that is three copies at most, all with one Message-ID."""
    taken: Counter[str] = Counter()
    server.answers["END"] = lambda recipient: taken.update([recipient])  # and the connection is gone
    workspace.in_doubt_then = InDoubt.AGAIN
    workspace.save()
    people(1)
    mailing = send_to_news()
    for _ in range(3):
        for _ in range(3):
            work_all(mailing)
            make_due(mailing)
        hours_go_by(mailing, hours=24)
    assert taken == {"p1@example.com": 3}
    assert (mailing.state, mailing.in_doubt_count, mailing.doubt_retried) == ("finished", 1, True)
    assert trail() == ["mailing.doubt_retried"]


def test_by_an_esp_they_are_tried_again_once(people, news, send_to_news, workspace, account, monkeypatch):
    monkeypatch.setattr(esp, "ANSWER_SECONDS", 0.5)
    workspace.in_doubt_then = InDoubt.AGAIN
    workspace.save()
    people(3)
    with FakeEsp() as fake:
        mailgun = an_esp_account(workspace, fake, "mailgun")
        fake.plan(Plan(answer="none"))
        mailing = send_to_news()
        Mailing.objects.update(account=mailgun)
        work_all(mailing)
        assert (mailing.state, mailing.in_doubt_count) == ("finished", 3)
        hours_go_by(mailing, hours=24)
        assert (mailing.state, mailing.in_doubt_count) == ("sending", 0)
        make_due(mailing)
        work_all(mailing)
        assert (mailing.state, mailing.accepted_count, len(fake.calls)) == ("finished", 3, 2)
    hours_go_by(mailing, hours=24)
    assert (mailing.state, trail()) == ("finished", ["mailing.doubt_retried"])


def test_a_rule_that_is_made_later_touches_nothing_that_ended_before(in_doubt, workspace):
    mailing = in_doubt("leave").mailing
    workspace.in_doubt_then = InDoubt.AGAIN
    workspace.save()
    hours_go_by(mailing, hours=1000)
    assert mailing.in_doubt_count == 1


def test_a_rule_that_is_taken_back_in_time_does_nothing(in_doubt, workspace):
    mailing = in_doubt("count").mailing
    workspace.in_doubt_then = InDoubt.LEAVE
    workspace.save()
    hours_go_by(mailing)
    assert (mailing.in_doubt_count, trail()) == (1, [])


def test_a_restored_copy_decides_nothing(in_doubt):
    mailing = in_doubt("again").mailing
    tick()
    restore_elsewhere()
    hours_go_by(mailing)
    assert (mailing.state, mailing.in_doubt_count) == ("finished", 1)


def test_a_test_send_is_nobodys_to_decide(in_doubt):
    mailing = in_doubt("count").mailing
    Mailing.objects.update(is_test=True)
    mailing.refresh_from_db()
    doubt.set_due(mailing, None)
    assert Mailing.objects.get().doubt_due_at is None


@pytest.mark.parametrize(
    ("rule", "words"), [("count", "count as delivered from"), ("again", "may get the message twice")]
)
def test_the_report_says_what_will_be_done_and_when(in_doubt, sign_in, carol, workspace, rule, words):
    campaign = in_doubt(rule)
    Mailing.objects.update(doubt_due_at=timezone.now().replace(2031, 3, 4, 5, 6))
    page = sign_in(carol).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert words in page
    assert "2031" in page
    workspace.in_doubt_then = InDoubt.LEAVE
    workspace.save()
    page = sign_in(carol).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "as the workspace has it" not in page


def of_the_page(page) -> dict[str, object]:
    form = page.context["form"]
    return {field.name: value for field in form if (value := field.value()) is not None}


def test_an_admin_chooses_the_rule(sign_in, alice, workspace):
    client = sign_in(alice)
    address = reverse("workspace_settings")
    page = client.get(address)
    typed = of_the_page(page)
    assert (typed["in_doubt_then"], typed["in_doubt_hours"]) == ("leave", 24)
    assert "some people may get them twice" in page.content.decode()
    typed |= {"in_doubt_then": "again", "in_doubt_hours": "48"}
    assert client.post(address, typed).status_code == 302
    workspace.refresh_from_db()
    assert (workspace.in_doubt_then, workspace.in_doubt_hours) == ("again", 48)
    for wrong in ({"in_doubt_hours": "0"}, {"in_doubt_hours": "721"}, {"in_doubt_then": "maybe"}):
        assert client.post(address, typed | wrong).status_code == 422
