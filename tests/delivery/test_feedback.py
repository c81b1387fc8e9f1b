"""What comes back of messages: written once whatever is reported twice, in any order, counted and acted upon."""

import datetime
import itertools
import random
import uuid

import pytest
import redis
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts.actions import contacts as contact_actions
from contacts.models import Suppression
from delivery.feedback import drain, stream
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.models import Delivery, Event, Incoming, Mailing, Stray
from delivery.pipeline.settle import Result, settle
from delivery.transports.base import IN_ITS_WORDS, Fate, Outcome
from tests.builders import a_contact, an_account
from tests.delivery.recounting import recount
from tests.people import a_workspace

NOW = timezone.now()
COUNTERS = [field.name for field in Mailing._meta.fields if field.name.endswith(("_count", "_total"))]


@pytest.fixture
def spring(workspace):
    return Mailing.objects.create(
        workspace=workspace, name="Spring", account=an_account(workspace), content={}
    )


@pytest.fixture
def sent(spring):
    """sent(contact) puts it into the ledger of Spring, accepted; gives its number."""

    def put(contact, mailing=None, *, state="accepted"):
        mailing = mailing or spring
        number = Delivery.objects.filter(mailing=mailing).count() + 1
        Delivery.objects.create(
            mailing=mailing, number=number, contact=contact, email=contact.email, state=state
        )
        Mailing.objects.filter(pk=mailing.pk).update(total_count=number, accepted_count=number)
        return number

    return put


def fact(mailing, number, kind="opened", seconds=0, **fields):
    at = NOW + datetime.timedelta(seconds=seconds)
    key = fields.pop("key", None) or key_of(at, mailing.pk, number, kind)
    url = "https://acme.example/spring" if kind == "clicked" else ""
    given = {"mailing_id": mailing.pk, "number": number, "url": url} | fields
    return Fact(mailing.workspace_id, Kind(kind), at, key, **given)


def counters(mailing):
    return {
        name: value for name, value in Mailing.objects.values(*COUNTERS).get(pk=mailing.pk).items() if value
    }


def test_what_is_reported_twice_is_written_and_counted_once(workspace, spring, sent):
    anna, ben = sent(a_contact(workspace)), sent(a_contact(workspace, "ben@example.com"))
    facts = [fact(spring, anna, seconds=second) for second in range(3)]
    assert apply([*facts, facts[0]]).new_events == 3
    assert apply([*facts, fact(spring, ben)]).new_events == 1
    assert apply([]).new_events == 0
    assert Event.objects.count() == 4
    found = counters(spring)
    assert (found["opened_count"], found["open_total"]) == (2, 4)


def test_the_weightiest_stands_in_whatever_order_they_come(workspace, spring, sent):
    number = sent(a_contact(workspace))
    at = {"delivered": 0, "opened": 20, "complained": 40}
    facts = [fact(spring, number, kind, seconds) for kind, seconds in at.items()]
    facts += [
        fact(spring, number, "delivered", 9),
        fact(spring, number, "clicked", 24),
        fact(spring, number, "clicked", 22),
    ]
    states = set()
    for seed in range(6):
        Event.objects.all().delete()
        Delivery.objects.update(
            feedback="", feedback_at=None, delivered_at=None, opened_at=None, clicked_at=None
        )
        Mailing.objects.update(**{name: 0 for name in COUNTERS if name != "accepted_count"})
        random.Random(seed).shuffle(facts)
        for each in facts:
            apply([each])
        apply(facts)
        row = Delivery.objects.values_list(
            "feedback", "feedback_at", "opened_at", "clicked_at", "delivered_at"
        ).get()
        states.add((row, tuple(counters(spring).items())))
    assert len(states) == 1
    (row, counted), *_ = states
    assert row[0] == "complained"
    assert row[3] == NOW + datetime.timedelta(seconds=22)
    assert row[4] == NOW
    assert dict(counted) == {
        "accepted_count": 1, "complained_count": 1, "opened_count": 1, "clicked_count": 1, "open_total": 1, "click_total": 2,
        "any_opened_count": 1, "any_clicked_count": 1,
    }  # fmt: skip


def test_hard_bounces_and_complaints_are_suppressed_and_nothing_else(workspace, spring, sent):
    for kind in ("bounced", "soft_bounced", "blocked", "complained", "delivered"):
        number = sent(a_contact(workspace, f"{kind}@Example.com"))
        apply([fact(spring, number, kind, code="5.1.1", said="550 5.1.1 no such user")])
    found = dict(Suppression.objects.values_list("email", "reason"))
    assert found == {"bounced@example.com": "hard_bounce", "complained@example.com": "complaint"}
    assert "“Spring”" in Suppression.objects.get(email="bounced@example.com").note
    assert "no such user" in Suppression.objects.get(email="bounced@example.com").note


def test_a_complaint_outweighs_every_other_reason(workspace, spring, sent):
    anna = a_contact(workspace)
    number = sent(anna)
    Suppression.objects.create(workspace=workspace, email=anna.email, reason="unsubscribed")
    apply([fact(spring, number, "bounced")])
    assert Suppression.objects.get().reason == "unsubscribed"
    apply([fact(spring, number, "complained")])
    apply([fact(spring, number, "bounced", 5)])
    assert Suppression.objects.get().reason == "complaint"


def test_whoever_was_in_doubt_was_reached_where_something_comes_back(workspace, spring, sent):
    number = sent(a_contact(workspace), state="in_doubt")
    Mailing.objects.filter(pk=spring.pk).update(accepted_count=0, in_doubt_count=1)
    apply([fact(spring, number, "delivered")])
    assert Delivery.objects.get().state == "accepted"
    assert counters(spring) == {"total_count": 1, "accepted_count": 1, "delivered_count": 1} | counters(
        spring
    )
    assert "in_doubt_count" not in counters(spring)


@pytest.mark.parametrize("kind", ["delivered", "bounced", "opened", "clicked"])
def test_nobody_is_in_doubt_of_whom_something_came_back_before_the_answer(workspace, spring, sent, kind):
    number = sent(a_contact(workspace), state="pending")
    Mailing.objects.filter(pk=spring.pk).update(accepted_count=0)
    apply([fact(spring, number, kind)])
    settle(spring, [Result(number, Outcome(Fate.IN_DOUBT, "in doubt", "No answer"))])
    spring.refresh_from_db()
    assert (spring.accepted_count, spring.in_doubt_count) == (1, 0)
    assert Delivery.objects.get().state == "accepted"


GONE = Outcome(Fate.REJECTED, "550 5.1.1", "Nobody of that name here")


def test_whoever_was_rejected_is_not_counted_as_bounced_as_well(workspace, spring, sent):
    rows = set()
    for turn, order in enumerate(itertools.permutations(["reject", "delivered", "bounced", "blocked"])):
        number = sent(a_contact(workspace, f"p{turn}@example.com"), state="pending")
        for seconds, deed in enumerate(order):
            if deed == "reject":
                settle(spring, [Result(number, GONE)])
            else:
                apply([fact(spring, number, deed, seconds)])
        row = Delivery.objects.get(number=number)
        rows.add((row.state, row.feedback, row.feedback_at == row.delivered_at))
    assert rows == {("rejected", "delivered", True)}
    assert Suppression.objects.count() == turn + 1
    before = counters(spring)
    assert (before["rejected_count"], before["delivered_count"]) == (turn + 1, turn + 1)
    assert "bounced_count" not in before
    recount(spring.pk)
    assert counters(spring) == before


@pytest.mark.parametrize(
    ("said", "suppressed"),
    [(("550 5.1.1", "No such user"), 1), (("550 5.7.1", "Blocked"), 0), (("452 4.2.2", "Mailbox full"), 0)],
)
def test_a_test_message_tells_of_an_address_that_is_gone_and_of_nothing_else(
    workspace, spring, sent, said, suppressed
):
    Mailing.objects.update(is_test=True)
    spring.is_test = True
    number = sent(a_contact(workspace), state="pending")
    settle(spring, [Result(number, Outcome(Fate.REJECTED, *said, verdict=IN_ITS_WORDS))])
    assert Suppression.objects.count() == Event.objects.count() == suppressed


def test_a_complaint_is_counted_of_whoever_was_rejected(workspace, spring, sent):
    number = sent(a_contact(workspace), state="pending")
    settle(spring, [Result(number, GONE)])
    apply([fact(spring, number, kind) for kind in ("bounced", "complained")])
    assert counters(spring)["complained_count"] == counters(spring)["rejected_count"] == 1


@pytest.mark.django_db(transaction=True)
def test_a_bounce_that_comes_with_the_rejection_is_counted_once(workspace, spring, sent, at_once):
    for turn in range(20):
        number = sent(a_contact(workspace, f"p{turn}@example.com"), state="pending")
        at_once(
            lambda number=number: settle(spring, [Result(number, GONE)]),
            lambda number=number: apply([fact(spring, number, "bounced")]),
        )
    found = counters(spring)
    assert (found["rejected_count"], found.get("bounced_count", 0)) == (20, 0)
    assert not Delivery.objects.exclude(feedback="").exists()


def test_what_a_machine_did_is_kept_and_counts_for_nobody(workspace, spring, sent):
    number = sent(a_contact(workspace))
    apply([fact(spring, number, "opened", is_machine=True, why_machine="Apple")])
    assert Event.objects.get().why_machine == "Apple"
    assert Delivery.objects.get().opened_at is None
    assert counters(spring)["machine_open_total"] == 1
    assert "opened_count" not in counters(spring)


def test_a_person_is_found_by_their_address_where_the_number_is_not_known(workspace, spring, sent):
    sent(a_contact(workspace, "Anna@Example.com"))
    apply([fact(spring, None, "bounced", email="anna@example.COM")])
    assert Delivery.objects.get().feedback == "bounced"
    assert not Stray.objects.exists()


def test_nobody_touches_another_workspaces_mailing(workspace, spring, sent):
    number = sent(a_contact(workspace))
    other = a_workspace("Elsewhere")
    forged = fact(spring, number, "complained")._replace(workspace_id=other.pk)
    apply([forged, forged._replace(number=None, email="anna@example.com", key=uuid.uuid4())])
    assert Delivery.objects.get().feedback == ""
    assert not Suppression.objects.exists()
    assert not Event.objects.exists()
    assert set(Stray.objects.values_list("workspace_id", flat=True)) == {other.pk}


def test_a_nameless_event_is_kept_of_nobody(workspace, spring, sent):
    sent(a_contact(workspace))
    apply([fact(spring, None, "opened", is_nameless=True)])
    event = Event.objects.get()
    assert (event.contact_id, event.number) == (None, None)
    assert counters(spring)["open_total"] == 1


def test_what_is_too_long_or_odd_is_cut_and_harms_no_other(workspace, spring, sent):
    number = sent(a_contact(workspace))
    odd = {
        "url": "https://x.example/\0" + "a" * 3000,
        "why_machine": "b" * 99,
        "code": "9" * 40,
        "said": "\ud800" * 999,
    }
    apply([fact(spring, number, "clicked", is_machine=True, **odd)])
    event = Event.objects.get()
    assert (len(event.url), len(event.why_machine), len(event.code), len(event.said)) == (2000, 40, 12, 500)


def test_a_contact_that_is_gone_is_not_named(workspace, spring, sent, bob):
    anna = a_contact(workspace)
    number = sent(anna)
    apply([fact(spring, number)])
    contact_actions.delete(anna, by=bob)
    apply([fact(spring, number, "opened", 5)])
    assert [each.contact_id for each in Event.objects.all()] == [None, None]


def test_keys_stand_in_the_order_of_time_and_tell_events_apart():
    later = NOW + datetime.timedelta(seconds=1)
    keys = [key_of(at, what) for at in (NOW, later) for what in ("opened", "clicked")]
    assert len(set(keys)) == 4
    assert max(keys[:2]) < min(keys[2:])
    assert key_of(NOW, "opened") == keys[0]
    assert isinstance(keys[0], uuid.UUID)


def test_the_timeline_tells_what_they_did_and_what_a_machine_did(sign_in, carol, workspace, spring, sent):
    anna = a_contact(workspace)
    number = sent(anna)
    apply([fact(spring, number)])
    apply(
        [
            fact(
                spring,
                number,
                "clicked",
                is_machine=True,
                why_machine="data center",
                url="https://a.example/",
            )
        ]
    )
    apply([fact(spring, number, "bounced", 2, code="5.1.1", said="550 5.1.1 no such user")])
    page = sign_in(carol).get(reverse("contact", args=[anna.pk])).text
    assert "Opened “Spring”" in page
    assert "by a machine: data center" in page
    assert "https://a.example/" in page
    assert "550 5.1.1 no such user" in page


def test_the_timeline_costs_the_same_for_many_events(sign_in, carol, workspace, spring, sent):
    anna, client, asked = a_contact(workspace), sign_in(carol), []
    number = sent(anna)
    for times in (1, 80):
        apply([fact(spring, number, seconds=step) for step in range(times)])
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("contact", args=[anna.pk]))
        asked.append(len(queries))
    assert asked[0] == asked[1]


# --- The streams ------------------------------------------------------------------------------------------


@pytest.fixture
def reader(monkeypatch):
    """A stream of its own whose entries name facts by their place in a list."""
    facts = []
    monkeypatch.setitem(drain.readers, "test", lambda entries: [[facts[int(each.data)]] for each in entries])
    return facts


def test_what_is_put_is_applied_and_gone(workspace, spring, sent, reader):
    number = sent(a_contact(workspace))
    reader += [fact(spring, number, seconds=step) for step in range(5)]
    stream.put("test", b"0", b"1", b"2")
    stream.put("test", b"3")
    assert stream.waiting("test") == 4
    assert drain.drain("test") == 4
    assert stream.waiting("test") == 0
    assert Event.objects.count() == 4


def test_redis_away_means_the_table_and_nothing_is_lost(workspace, spring, sent, reader, monkeypatch):
    number = sent(a_contact(workspace))
    reader += [fact(spring, number)]
    with monkeypatch.context() as away:
        away.setattr(stream, "redis_client", lambda: redis.Redis(port=9, socket_connect_timeout=0.1))
        stream.put("test", b"0")
    assert Incoming.objects.count() == 1
    assert drain.drain("test") == 1
    assert not Incoming.objects.exists()
    assert Event.objects.count() == 1


def test_a_worker_that_died_leaves_its_entries_to_another(workspace, spring, sent, reader, monkeypatch):
    number = sent(a_contact(workspace))
    reader += [fact(spring, number)]
    stream.put("test", b"0")
    assert stream.take("test", 10)
    assert drain.drain("test") == 0
    monkeypatch.setattr(stream, "ABANDONED_MS", 0)
    assert drain.drain("test") == 1
    assert Event.objects.count() == 1


def test_one_unfit_fact_holds_up_no_other(workspace, spring, sent, reader):
    number = sent(a_contact(workspace))
    reader += [fact(spring, number, seconds=step) for step in range(4)]
    reader[2] = reader[2]._replace(number=2**40)
    stream.put("test", b"0", b"1", b"2", b"3")
    drain.drain("test")
    assert stream.waiting("test") == 0
    assert Event.objects.count() == 3
