"""Addresses are rested, campaigns pause themselves, and no way leads to somebody who is suppressed."""

import datetime
import hashlib
import random

import pytest
from django.utils import timezone

from accounts.models import Workspace
from contacts.actions import suppression as suppressions
from contacts.models import Contact, ListSuppression, SuppressedHash, Suppression
from delivery import actions
from delivery.confirming import asking
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.hygiene import breaker
from delivery.models import Delivery, Event, Mailing
from tests.builders import a_contact, a_list, an_account
from tests.delivery.conftest import HELLO
from tests.delivery.test_pipeline import work_all

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def days_ago(days):
    return NOW - datetime.timedelta(days=days)


def a_mailing(workspace, *, name="Spring", **fields):
    return Mailing.objects.create(
        workspace=workspace,
        name=name,
        account=an_account(workspace, name=name),
        content={},
        **fields,
    )


def sent(mailing, contact, *, at=None, state="accepted"):
    number = Delivery.objects.filter(mailing=mailing).count() + 1
    Delivery.objects.create(
        mailing=mailing, number=number, contact=contact, email=contact.email, state=state, settled_at=at
    )
    return number


def fact(mailing, number, kind, at, **fields):
    key = key_of(at, mailing.pk, number, kind)
    return Fact(mailing.workspace_id, Kind(kind), at, key, mailing_id=mailing.pk, number=number, **fields)


def series(workspace, contact, story):
    """[facts] of a campaign for each (days ago, what came back or None)."""
    facts = []
    for day, kind in story:
        mailing = a_mailing(workspace, name=f"{day} days ago")
        number = sent(mailing, contact, at=days_ago(day))
        if kind:
            said = days_ago(day) + datetime.timedelta(hours=1)
            facts.append(fact(mailing, number, kind, said, code="4.2.2", said="452 4.2.2 Mailbox full"))
    return facts


# --- Soft bounces ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("story", "is_suppressed"),
    [
        ([(40, "soft"), (30, "soft"), (20, "soft"), (10, "soft"), (1, "soft")], True),
        ([(40, "soft"), (30, "soft"), (20, "soft"), (10, "soft")], False),  # four
        ([(5, "soft"), (4, "soft"), (3, "soft"), (2, "soft"), (1, "soft")], False),  # within four days
        ([(40, "soft"), (30, "soft"), (20, "delivered"), (15, "soft"), (10, "soft"), (1, "soft")], False),
        ([(40, "soft"), (30, "soft"), (20, None), (15, "soft"), (10, "soft"), (1, "soft")], False),
        ([(40, "soft"), (30, "soft"), (20, "blocked"), (15, "soft"), (10, "soft"), (1, "soft")], True),
        ([(40, "soft"), (30, "soft"), (20, "soft"), (10, "soft"), (2, "soft"), (1, None)], True),
        ([(40, "soft"), (30, "soft"), (20, "soft"), (10, "soft"), (2, "soft"), (1, "delivered")], False),
    ],
)
def test_soft_bounces_in_a_row_suppress_in_whatever_order_they_are_reported(workspace, story, is_suppressed):
    contact = a_contact(workspace)
    story = [(day, "soft_bounced" if kind == "soft" else kind) for day, kind in story]
    facts = series(workspace, contact, story)
    seen = set()
    for seed in range(5):
        Suppression.objects.all().delete()
        Event.objects.all().delete()
        Delivery.objects.update(feedback="", feedback_at=None)
        random.Random(seed).shuffle(facts)
        for each in facts:
            apply([each])
        apply(facts)
        seen.add(Suppression.objects.filter(email=contact.email, reason="soft_bounce").exists())
    assert seen == {is_suppressed}


def test_a_rested_address_says_why_and_comes_back_when_its_time_is_over(workspace):
    contact = a_contact(workspace)
    apply(series(workspace, contact, [(day, "soft_bounced") for day in (40, 30, 20, 10, 1)]))
    held = Suppression.objects.get()
    assert "5 in a row" in held.note
    assert "Mailbox full" in held.note
    assert held.mailing_id == Mailing.objects.get(name="1 days ago").pk
    assert 170 < (held.expires_at - NOW).days < 181
    assert suppressions.forget_expired() == 0
    Suppression.objects.update(expires_at=NOW)
    assert suppressions.forget_expired() == 1


def test_a_person_who_opens_was_reached(workspace):
    contact = a_contact(workspace)
    facts = series(workspace, contact, [(day, "soft_bounced") for day in (40, 30, 20, 10, 1)])
    apply(facts)
    assert Suppression.objects.count() == 1
    last = facts[-1]
    apply([fact(Mailing.objects.get(pk=last.mailing_id), last.number, "opened", NOW)])
    assert Suppression.objects.count() == 0


def test_the_workspace_sets_how_many_and_none_is_never(workspace):
    story = [(day, "soft_bounced") for day in (40, 30, 20, 10, 1)]
    Workspace.objects.update(soft_bounce_limit=2, soft_bounce_days=0)
    apply(series(workspace, a_contact(workspace), story[:2]))
    assert Suppression.objects.count() == 1
    Workspace.objects.update(soft_bounce_limit=0)
    apply(series(workspace, a_contact(workspace, "ben@example.com"), story))
    assert Suppression.objects.count() == 1


def test_a_soft_suppression_gives_way_to_every_other_reason(workspace, bob):
    contact = a_contact(workspace)
    apply(series(workspace, contact, [(day, "soft_bounced") for day in (40, 30, 20, 10, 1)]))
    suppressions.suppress_many(workspace, emails=[contact.email], note="They called", by=bob)
    held = Suppression.objects.get()
    assert (held.reason, held.expires_at) == ("manual", None)


# --- Refusals at the hand-over --------------------------------------------------------------------------------


def test_an_address_that_is_refused_as_unknown_is_suppressed_and_a_block_is_not(
    people, send_to_news, server, workspace
):
    people(3)
    said = {
        "p1@example.com": "550 5.1.1 No such user",
        "p2@example.com": "550 5.7.1 Your message was blocked as spam, see our policy",
    }
    server.answers["RCPT"] = lambda line: next((said[each] for each in said if each in line), "250 2.1.5 Ok")
    mailing = send_to_news()
    work_all(mailing)
    assert dict(Suppression.objects.values_list("email", "reason")) == {"p1@example.com": "hard_bounce"}
    assert Suppression.objects.get().mailing_id == mailing.pk
    assert sorted(Event.objects.values_list("kind", flat=True)) == ["blocked", "bounced"]
    assert mailing.bounced_count == 0  # of the accepted ones
    assert mailing.rejected_count == 2


# --- No way to somebody who is suppressed ---------------------------------------------------------------------


def test_no_way_leads_to_somebody_who_is_suppressed(
    workspace, account, news, people, send_to_news, server, bob
):
    """Everywhere, for the list, or by a hash; put in before planning or after; campaign, test and confirmation."""
    people(8)
    digest = hashlib.sha256(b"p7@example.com").digest()
    mailing = send_to_news()  # planned for all
    suppressions.suppress_many(workspace, emails=["P1@example.com"], by=bob)
    suppressions.suppress_many(workspace, emails=["P2@example.com"], in_list=news, by=bob)
    SuppressedHash.objects.create(workspace=workspace, digest=digest)
    work_all(mailing)
    actions.send_test(
        workspace=workspace,
        name="Test",
        account=account,
        content=HELLO,
        to=["p1@example.com", "p7@example.com"],
        sample=None,
    )
    work_all(Mailing.objects.latest("pk"))
    a_contact(workspace, "pending@example.com")
    Contact.objects.get(email="pending@example.com").subscriptions.create(
        workspace=workspace, list=news, status="pending"
    )
    suppressions.suppress_many(workspace, emails=["pending@example.com"], in_list=news, by=bob)
    asking.ask(news.pk)
    reached = {str(each) for each in server.recipients()}
    assert reached == {f"p{n}@example.com" for n in (3, 4, 5, 6, 8)}
    skipped = Delivery.objects.filter(mailing=mailing, state="skipped").values_list("email", "code")
    assert dict(skipped) == {f"p{n}@example.com": "suppressed" for n in (1, 2, 7)}


def test_another_list_still_reaches_whom_one_list_may_not(workspace, news, account, people, server, bob):
    (anna,) = people(1)
    offers = a_list(workspace, "Offers")
    anna.subscriptions.create(workspace=workspace, list=offers, status="subscribed")
    suppressions.suppress_many(workspace, emails=[anna.email], in_list=news, by=bob)
    assert ListSuppression.objects.get().list == news
    for lists, state in (
        ([news.pk], "skipped"),
        ([news.pk, offers.pk], "accepted"),
        ([offers.pk], "accepted"),
        ([], "accepted"),
    ):
        mailing = actions.launch(
            workspace=workspace, name="Spring", account=account, content=HELLO,
            recipients=Contact.objects.filter(pk=anna.pk), list_ids=lists,
        )  # fmt: skip
        work_all(mailing)
        assert Delivery.objects.get(mailing=mailing).state == state, lists


def test_a_complaint_stops_what_is_in_the_air(workspace, people, send_to_news, server):
    first, _second = people(2)
    earlier = a_mailing(workspace)
    number = sent(earlier, first, at=NOW)
    mailing = send_to_news()
    apply([fact(earlier, number, "complained", NOW)])
    work_all(mailing)
    assert set(server.recipients()) == {"p2@example.com"}


# --- The breaker ----------------------------------------------------------------------------------------------


@pytest.fixture
def in_the_air(workspace):
    """in_the_air(300, bounced=20) is a mailing being sent, with so much of it come back."""

    def make(count, *, domain="example.com", **came_back):
        mailing = a_mailing(workspace)
        contacts = Contact.objects.bulk_create(
            Contact(workspace=workspace, email=f"m{mailing.pk}n{n}@{domain}") for n in range(count)
        )
        Delivery.objects.bulk_create(
            Delivery(
                mailing=mailing, number=n, contact=each, email=each.email, state="accepted", settled_at=NOW
            )
            for n, each in enumerate(contacts, 1)
        )
        Mailing.objects.filter(pk=mailing.pk).update(total_count=2 * count, accepted_count=count)
        number = 0
        for kind, many in came_back.items():
            apply([fact(mailing, number + n, kind, NOW, said="421 Too much") for n in range(1, many + 1)])
            number += many
        mailing.refresh_from_db()
        return mailing

    return make


@pytest.mark.parametrize(
    ("count", "came_back", "words"),
    [
        (300, {"bounced": 16}, "bounced for good"),
        (300, {"bounced": 15}, ""),
        (100, {"bounced": 50}, ""),  # too few to say
        (300, {"complained": 2}, "reported as spam"),
        (300, {"complained": 1}, ""),
        (300, {"blocked": 31}, "example.com refuses 31 of 300 messages"),
        (300, {"blocked": 30}, ""),
        (300, {"soft_bounced": 200}, ""),
    ],
)
def test_a_campaign_that_goes_wrong_pauses_itself(in_the_air, count, came_back, words):
    mailing = in_the_air(count, **came_back)
    breaker.watch()
    mailing.refresh_from_db()
    assert mailing.state == ("paused" if words else "sending")
    assert words in mailing.state_reason


def test_many_who_leave_pause_it_too(in_the_air):
    mailing = in_the_air(300)
    Mailing.objects.update(unsubscribed_count=7)
    breaker.watch()
    mailing.refresh_from_db()
    assert "made somebody unsubscribe" in mailing.state_reason


def test_whoever_resumes_it_has_seen_that_and_it_counts_from_there(in_the_air):
    mailing = in_the_air(300, bounced=30)
    assert "30 of the 300 messages sent so far (10 %) bounced for good" in breaker.check(mailing)
    mailing.refresh_from_db()
    actions.resume(mailing)
    mailing.refresh_from_db()
    assert breaker.check(mailing) == ""
    Delivery.objects.filter(mailing=mailing).update(settled_at=timezone.now())
    Mailing.objects.update(accepted_count=600)
    mailing.refresh_from_db()
    assert "30 of the 300 messages since it last went on" in breaker.check(mailing)


def test_the_last_minutes_are_looked_at_alone(in_the_air):
    """A good beginning does not hide a bad end."""
    mailing = in_the_air(300)
    Delivery.objects.filter(number__lte=200).update(settled_at=days_ago(1))
    Mailing.objects.update(accepted_count=10_300)
    mailing.refresh_from_db()
    assert breaker.check(mailing) == ""
    Mailing.objects.update(window_at=days_ago(0.001), window_done=10_000)
    apply([fact(mailing, n, "bounced", NOW) for n in range(201, 250)])
    mailing.refresh_from_db()
    assert "49 of the 300 messages of the last minutes" in breaker.check(mailing)


def test_a_limit_of_none_never_pauses(in_the_air):
    Workspace.objects.update(pause_at_bounced_percent=0, pause_at_complained_percent=0)
    mailing = in_the_air(300, bounced=100, complained=100)
    mailing.refresh_from_db()
    assert breaker.check(mailing) == ""
