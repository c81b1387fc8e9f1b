"""Addresses are rested, campaigns pause themselves, and no way leads to somebody who is suppressed."""

import datetime
import hashlib
import random
import uuid

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Workspace
from contacts.actions import suppression as suppressions
from contacts.actions.erasure import erase
from contacts.models import Contact, ListSuppression, SuppressedHash, Suppression
from contacts.segments import condition
from delivery import actions, timeline
from delivery.confirming import asking
from delivery.feedback.apply import STAGE, apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.hygiene import breaker, returned, soft, standing
from delivery.hygiene.returned import Wanted
from delivery.liquid import TemplateProblem
from delivery.models import Delivery, Event, Mailing, Stray
from delivery.pipeline.mold import Mold
from delivery.queries import error_groups
from tests.builders import a_campaign, a_contact, a_list, an_account
from tests.delivery.conftest import HELLO
from tests.delivery.test_pipeline import make_due, work_all

pytestmark = pytest.mark.django_db
NOW = timezone.now()
SUPPRESSIONS = """
INSERT INTO contacts_suppression (workspace_id, email, reason, note, created_at)
SELECT %s, 'gone' || n || '@example.com', 'hard_bounce', '', now() FROM generate_series(1, %s) AS n
    ON CONFLICT DO NOTHING
"""


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


def test_suppressions_that_nobody_counted_are_not_all_read_for_each_event(workspace):
    """As when a first campaign comes back: thousands of new ones, before the table was ever analysed."""
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE contacts_suppression")  # new again, whatever tests before did to it
        cursor.execute("SELECT count(*) FROM pg_stats WHERE tablename = 'contacts_suppression'")
        assert cursor.fetchone() == (0,)
        cursor.execute(STAGE)
        for count in (20, 200, 2000):
            cursor.execute(SUPPRESSIONS, [workspace.pk, count])
            cursor.execute(f"EXPLAIN {soft.TOUCHED}")
            plan = " ".join(row for (row,) in cursor.fetchall())
            assert "one_suppression_per_address on contacts_suppression" in plan, count


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


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Invalid name"),
        TemplateProblem("It names an unknown user, who does not exist.", field="subject"),
    ],
)
def test_a_message_that_cannot_be_made_says_nothing_of_the_person(people, send_to_news, monkeypatch, error):
    """Whatever words it is told in: five of them suppress nobody."""
    Workspace.objects.update(soft_bounce_limit=1, soft_bounce_days=0)
    people(2)
    mailing = send_to_news()

    def fails(self, recipient):
        raise error

    monkeypatch.setattr(Mold, "pieces", fails)
    work_all(mailing)
    assert set(Delivery.objects.values_list("state", "code")) == {("rejected", "template")}
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()
    (group,) = error_groups(mailing)
    assert group.is_retryable, "nobody is gone, so the page offers another try"


def test_an_address_that_our_server_cannot_carry_is_not_bad(people, send_to_news, server):
    (anna,) = people(1)
    Contact.objects.filter(pk=anna.pk).update(email="änna@example.com")
    mailing = send_to_news()
    work_all(mailing)
    assert Delivery.objects.get().code == "553 5.6.7"
    assert not Event.objects.exists()


def test_who_was_put_off_until_it_was_too_late_counts_as_a_soft_bounce(
    people, send_to_news, server, settings
):
    settings.RETRY_HOURS = 0
    people(2)
    said = {"p1@": "452 4.2.2 Mailbox full", "p2@": "451 4.7.1 Too many messages, slow down"}
    server.answers["RCPT"] = lambda line: next((said[each] for each in said if each in line), "250 2.1.5 Ok")
    mailing = send_to_news()
    for _ in range(2):
        work_all(mailing)
        make_due(mailing)
    assert {row.said[:8] for row in Event.objects.all()} == {"Given up"}
    kinds = dict(Event.objects.values_list("contact__email", "kind"))
    assert kinds == {"p1@example.com": "soft_bounced", "p2@example.com": "blocked"}, "our pace is our own"


def test_the_page_offers_no_second_try_for_who_is_gone_until_that_is_taken_back(
    people, send_to_news, server, workspace, ada
):
    people(2)
    server.answers["RCPT"] = lambda line: "550 5.1.1 No such user"
    mailing = send_to_news()
    work_all(mailing)
    (group,) = error_groups(mailing)
    assert (group.count, group.is_gone, group.is_retryable) == (2, True, False)
    returned.undo(workspace, Wanted(mailing=mailing), by=ada)
    (group,) = error_groups(mailing)
    assert (group.is_gone, group.is_retryable) == (False, True)


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


# --- The list of bounces --------------------------------------------------------------------------------------


@pytest.fixture
def spring(workspace):
    """Spring went to Anna, who is gone; to Ben, whose mailbox is full; to Cleo, blocked; and to Dora, who complained."""
    mailing = a_mailing(workspace)
    for n, (name, kind, said) in enumerate(
        (
            ("anna", "bounced", "550 5.1.1 No such user"),
            ("ben", "soft_bounced", "552 5.2.2 Mailbox full"),
            ("cleo", "blocked", "550 5.7.1 Listed at a blocklist"),
            ("dora", "complained", ""),
        )
    ):
        number = sent(mailing, a_contact(workspace, f"{name}@example.com"), at=NOW)
        apply([fact(mailing, number, kind, NOW + datetime.timedelta(seconds=n), code=said[4:9], said=said)])
    return mailing


def found(client, **query):
    return [row.email.partition("@")[0] for row in client.get(reverse("bounces"), query).context["page"].rows]


def test_the_list_shows_what_came_back_with_its_words(workspace, spring, sign_in, carol, mallory):
    client = sign_in(carol)
    page = client.get(reverse("bounces")).text.replace("<wbr>", "")
    for words in (
        "No such user",
        "Mailbox full",
        "Listed at a blocklist",
        "Complained",
        "Spring",
        "anna@example.com",
    ):
        assert words in page
    assert found(client) == ["dora", "cleo", "ben", "anna"]
    assert found(client, kind="blocked") == ["cleo"]
    assert found(client, q="ANN") == ["anna"]
    assert found(client, campaign=spring.pk, contact=Contact.objects.get(email="ben@example.com").pk) == [
        "ben"
    ]
    assert found(client, account=spring.account_id, since=NOW.date(), until=NOW.date()) == [
        "dora",
        "cleo",
        "ben",
        "anna",
    ]
    assert found(client, until=(NOW - datetime.timedelta(days=1)).date()) == []
    for query in (
        {"kind": "opened"},
        {"campaign": "x"},
        {"since": "2026-13-01"},
        {"since": "x"},
        {"key": "x"},
    ):
        assert client.get(reverse("bounces"), query).status_code == 404
    assert found(sign_in(mallory)) == []
    assert sign_in(mallory).get(reverse("bounces"), {"campaign": spring.pk}).status_code == 404


def test_it_goes_on_from_page_to_page(workspace, spring, sign_in, carol, monkeypatch):
    monkeypatch.setattr(returned, "PAGE_SIZE", 3)
    client = sign_in(carol)
    first = client.get(reverse("bounces"))
    assert found(client, after=str(first.context["page"].after)) == ["anna"]


def test_it_is_exported(workspace, spring, sign_in, bob):
    answer = sign_in(bob).post(reverse("bounces_export") + "?kind=bounced")
    (line,) = b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()[1:]
    assert line.startswith("anna@example.com,Hard bounce,Spring,5.1.1,550 5.1.1 No such user,")


def test_all_of_a_campaign_is_taken_back_and_its_suppressions_with_it(workspace, spring, sign_in, ada, bob):
    other = a_mailing(workspace, name="Other")
    eva = a_contact(workspace, "eva@example.com")
    apply([fact(other, sent(other, eva, at=NOW), "bounced", NOW, said="550 5.1.1 No")])
    page = reverse("bounces_undo") + f"?campaign={spring.pk}"
    assert sign_in(bob).post(page).status_code == 403
    assert "1 × hard bounce" in sign_in(ada).get(page).text
    assert "1 complaint among these stays" in sign_in(ada).get(page).text
    assert "3 taken back; 1 address can get mail again." in sign_in(ada).post(page, follow=True).text
    assert dict(Suppression.objects.values_list("email", "reason")) == {
        "dora@example.com": "complaint", "eva@example.com": "hard_bounce",
    }  # fmt: skip
    assert Event.objects.filter(undone_at=None).count() == 2
    anna = Contact.objects.get(email="anna@example.com")
    assert {each.label for each in timeline.events_of_contact(anna, None, 9)} == {"taken back"}
    entry = AuditEntry.objects.get(verb="bounces.undone")
    assert (entry.user, entry.subject) == (ada, "3: everything that bounced or was blocked of “Spring”")
    assert "nothing to take back" in sign_in(ada).get(page).text
    apply([fact(spring, 1, "bounced", NOW)])  # reported once more
    assert not Suppression.objects.filter(email="anna@example.com").exists()


def test_an_address_that_bounced_elsewhere_too_stays_suppressed(workspace, spring, ada):
    anna = Contact.objects.get(email="anna@example.com")
    other = a_mailing(workspace, name="Other")
    apply([fact(other, sent(other, anna, at=NOW), "bounced", NOW)])
    assert returned.undo(workspace, Wanted(mailing=spring), by=ada) == (3, 0)
    assert Suppression.objects.filter(email=anna.email).exists()
    assert returned.undo(workspace, Wanted(mailing=other), by=ada) == (1, 1)
    assert not Suppression.objects.filter(email=anna.email).exists()


def test_what_somebody_put_in_by_hand_stands_again(workspace, ada):
    anna = a_contact(workspace)
    suppressions.suppress_many(workspace, emails=[anna.email], note="A competitor", by=ada)
    mailing = a_mailing(workspace)
    apply([fact(mailing, sent(mailing, anna, at=NOW), "bounced", NOW, said="550 5.1.1 No")])
    assert Suppression.objects.get().reason == "hard_bounce"
    returned.undo(workspace, Wanted(), by=ada)
    held = Suppression.objects.get()
    assert (held.reason, held.note, held.mailing_id) == ("manual", "A competitor", None)


def test_soft_bounces_that_are_taken_back_are_in_no_row(workspace, ada):
    contact = a_contact(workspace)
    apply(series(workspace, contact, [(day, "soft_bounced") for day in (40, 30, 20, 10, 1)]))
    assert returned.undo(workspace, Wanted(since=days_ago(2)), by=ada) == (1, 1)
    assert not Suppression.objects.exists()


def test_a_campaign_does_not_pause_for_what_was_taken_back(in_the_air, workspace, ada):
    mailing = in_the_air(300, bounced=30)
    returned.undo(workspace, Wanted(mailing=mailing), by=ada)
    assert breaker.check(mailing) == ""


def test_a_block_is_an_alarm_that_says_what_to_do(workspace, in_the_air):
    mailing = in_the_air(300, blocked=12)
    (alarm,) = standing.alarms(mailing)
    assert (alarm.domain, alarm.messages, alarm.said) == ("example.com", 12, "421 Too much")
    assert not Suppression.objects.exists()
    assert "SPF" in standing.Alarm("gmail.com", 9, "5.7.26", "Unauthenticated mail").remedy
    assert "slower" in standing.Alarm("gmail.com", 9, "4.7.28", "unusual rate").remedy
    assert (
        "listed" in standing.Alarm("orange.fr", 9, "", "Body generated 550 Blacklisted URL in message").remedy
    )


def test_an_empty_list_teaches(sign_in, carol):
    assert "Nothing came back" in sign_in(carol).get(reverse("bounces")).text


def test_an_erased_person_is_named_nowhere_in_it(workspace, spring, ada):
    anna = Contact.objects.get(email="anna@example.com")
    Event.objects.update(said="550 5.1.1 <anna@example.com> is unknown")
    Stray.objects.create(workspace=workspace, kind="bounced", at=NOW, key=uuid.uuid4(), email=anna.email)
    ListSuppression.objects.create(
        workspace=workspace, list=a_list(workspace), email=anna.email, reason="manual"
    )
    SuppressedHash.objects.create(workspace=workspace, digest=hashlib.sha256(anna.email.encode()).digest())
    erase(anna, by=ada)
    assert not Event.objects.filter(said__contains="anna", kind="bounced").exists()
    assert not Stray.objects.exists()
    assert not ListSuppression.objects.exists()
    assert not SuppressedHash.objects.exists()


# --- The report -----------------------------------------------------------------------------------------------


@pytest.fixture
def reported(workspace, spring):
    """The campaign of Spring."""
    campaign = a_campaign(workspace, "Spring", state="sent", mailing=spring)
    Mailing.objects.filter(pk=spring.pk).update(
        state="finished", total_count=4, accepted_count=4, finished_at=NOW
    )
    return campaign


def test_the_report_says_what_came_back_and_leads_to_whom(reported, sign_in, bob):
    client = sign_in(bob)
    figures = {
        each.label: each.count
        for each in client.get(reverse("campaign_report", args=[reported.pk])).context["came_back"].figures
    }
    assert figures == {"Delivered": 1, "Hard bounces": 1, "Soft bounces": 1, "Blocked": 1, "Complained": 1}
    recipients = reverse("campaign_recipients", args=[reported.pk])
    for feedback, name in (
        ("bounced", "anna"),
        ("blocked", "cleo"),
        ("complained", "dora"),
        ("arrived", "dora"),
    ):
        page = client.get(recipients, {"feedback": feedback})
        assert [row.email for row in page.context["page"].rows] == [f"{name}@example.com"], feedback
        segment = client.get(page.context["segment_url"])
        assert segment.status_code == 200
        assert "1" in segment.text


def test_a_segment_asks_what_came_back(reported, spring, workspace):
    def people(*feedbacks):
        rule = {
            "subject": "outcome",
            "operator": "came_back",
            "value": {"mailing": spring.pk, "feedbacks": list(feedbacks)},
        }
        rows = Contact.objects.of(workspace).filter(condition({"join": "and", "rules": [rule]}, workspace))
        return sorted(each.email.partition("@")[0] for each in rows)

    assert people("bounced", "blocked") == ["anna", "cleo"]
    assert people("arrived") == ["dora"]
    assert people("arrived", "soft_bounced") == ["ben", "dora"]


def test_lists_of_campaigns_mark_what_went_wrong(reported, spring, sign_in, carol):
    Mailing.objects.filter(pk=spring.pk).update(total_count=400, accepted_count=400, bounced_count=60)
    for name in ("campaigns", "home"):
        assert "15.0 % bounced for good" in sign_in(carol).get(reverse(name)).text
    Mailing.objects.filter(pk=spring.pk).update(bounced_count=3)
    assert "bounced for good" not in sign_in(carol).get(reverse("home")).text


def test_an_admin_sets_the_limits(sign_in, ada, workspace):
    page = reverse("workspace_settings")
    client = sign_in(ada)
    given = {
        name: value if value is not None else ""
        for name, value in client.get(page).context["form"].initial.items()
    }
    assert (
        client.post(page, given | {"pause_at_complained_percent": "0.2", "soft_bounce_limit": 7}).status_code
        == 302
    )
    workspace.refresh_from_db()
    assert (workspace.pause_at_complained_percent, workspace.soft_bounce_limit) == (0.2, 7)
    for bad in ("-1", "101", "nan", "inf"):
        assert client.post(page, given | {"pause_at_bounced_percent": bad}).status_code in (200, 422)
    workspace.refresh_from_db()
    assert workspace.pause_at_bounced_percent == 5
