"""What several hits tell together is taken back from people, and every figure with it, whatever comes first."""

import datetime
import itertools
import json
import random

import pytest
import redis
from django.utils import timezone

from delivery.feedback import drain
from delivery.feedback.apply import apply
from delivery.feedback.facts import Fact, Kind, key_of
from delivery.feedback.stream import Entry
from delivery.models import Delivery, Event, HourTally, LinkTally, Mailing
from delivery.tracking import crowds, reading
from delivery.tracking.crowds import WHY_CROWD
from delivery.tracking.hits import Hit
from delivery.tracking.machines import WHY_PROMPT
from delivery.tracking.suspicion import WHY_BURST
from tests.builders import a_contact, an_account
from tests.delivery.recounting import recount

SENT_AT = timezone.now().replace(minute=10) - datetime.timedelta(hours=5)
CHROME = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0.0.0"
ONCE = itertools.count()


@pytest.fixture
def spring(workspace):
    """A mailing to Anna, number 1, and Ben, number 2."""
    mailing = Mailing.objects.create(
        workspace=workspace, name="Spring", account=an_account(workspace), content={}
    )
    for number, name in ((1, "anna"), (2, "ben")):
        contact = a_contact(workspace, f"{name}@example.com")
        Delivery.objects.create(
            mailing=mailing,
            number=number,
            contact=contact,
            email=contact.email,
            state="accepted",
            settled_at=SENT_AT,
        )
    return mailing


def hit(mailing, kind="clicked", url="https://a.example/", *, number=1, seconds=600.0, ip="203.0.113.9"):
    if kind == "opened":
        url = ""
    at = SENT_AT.timestamp() + seconds
    return Hit(kind, mailing.pk, number, at, f"once {next(ONCE)}", url, agent=CHROME, ip=ip)


def told(mailing, kind="delivered", *, number=1, seconds):
    """What an ESP says of a message, so long after it had accepted it."""
    at = SENT_AT + datetime.timedelta(seconds=seconds)
    return Fact(mailing.workspace_id, Kind(kind), at, key_of(at, kind, number), mailing.pk, number)


def read(*hits_and_facts):
    """Apply them as one set."""
    entries = [Entry(0, json.dumps(each).encode()) for each in hits_and_facts if isinstance(each, Hit)]
    facts = [each for each in hits_and_facts if isinstance(each, Fact)]
    apply([fact for each in reading.read(entries) for fact in each] + facts)


def people(mailing):
    mailing.refresh_from_db()
    return mailing.opened_count, mailing.clicked_count


def state(mailing):
    """All that a report says."""
    mailing.refresh_from_db()
    names = [field.name for field in Mailing._meta.fields if field.name.endswith(("_count", "_total"))]
    links = LinkTally.objects.values_list("url", "people_count", "any_count", "click_total", "machine_total")
    hours = HourTally.objects.values_list(
        "hour", "open_total", "click_total", "machine_open_total", "machine_click_total"
    )
    ledger = Delivery.objects.values_list("number", "opened_at", "clicked_at")
    return {name: getattr(mailing, name) for name in names}, sorted(links), sorted(hours), sorted(ledger)


def test_a_click_counts_as_an_open_too(spring):
    read(hit(spring))
    assert people(spring) == (1, 1)


def test_links_are_counted_by_people_and_by_clicks(spring):
    read(hit(spring), hit(spring, seconds=700), hit(spring, number=2))
    read(hit(spring, seconds=800), hit(spring, url="https://b.example/", seconds=900))
    tallies = {each.url: (each.people_count, each.click_total) for each in LinkTally.objects.all()}
    assert tallies == {"https://a.example/": (2, 4), "https://b.example/": (1, 1)}
    assert list(HourTally.objects.values_list("open_total", "click_total")) == [(0, 5)]


def test_every_link_at_once_is_a_machine_and_no_person(spring):
    urls = [f"https://{letter}.example/" for letter in "abc"]
    read(hit(spring, url=urls[0], seconds=600.0))
    read(hit(spring, url=urls[1], seconds=600.8))
    assert people(spring) == (1, 1)
    read(hit(spring, url=urls[2], seconds=601.5), hit(spring, number=2))
    assert people(spring) == (1, 1)  # Ben
    assert set(Event.objects.filter(number=1).values_list("why_machine", flat=True)) == {WHY_BURST}
    assert spring.machine_click_total == 3
    tallies = {
        each.url: (each.people_count, each.click_total, each.machine_total)
        for each in LinkTally.objects.all()
    }
    assert tallies[urls[0]] == (1, 1, 1)
    assert tallies[urls[2]] == (0, 0, 1)


def test_three_links_in_a_minute_are_a_reader(spring):
    read(*(hit(spring, url=f"https://{n}.example/", seconds=600 + 20 * n) for n in range(3)))
    assert people(spring) == (1, 1)


@pytest.mark.parametrize(
    ("link_count", "seconds", "why"),
    [(2, 30, WHY_BURST), (2, 90, ""), (3, 30, "")],
    ids=["both links, soon", "both links, later", "two of three"],
)
def test_two_links_at_once_are_a_machine_where_they_are_all_and_it_is_soon(spring, link_count, seconds, why):
    urls = [f"https://{letter}.example/" for letter in "abc"]
    Mailing.objects.update(content={"links": urls[:link_count]})
    read(hit(spring, url=urls[0], seconds=seconds))
    read(hit(spring, url=urls[1], seconds=seconds + 1))
    assert set(Event.objects.values_list("why_machine", flat=True)) == {why}


def test_soon_is_counted_from_when_the_recipients_server_had_it(spring):
    Mailing.objects.update(content={"links": ["https://a.example/", "https://b.example/"]})
    read(
        hit(spring, url="https://a.example/", seconds=630), hit(spring, url="https://b.example/", seconds=631)
    )
    assert people(spring) == (1, 1)
    read(told(spring, seconds=600))
    assert people(spring) == (0, 0)
    assert set(Event.objects.values_list("why_machine", flat=True)) == {WHY_BURST}


@pytest.mark.parametrize("is_told_first", [True, False])
def test_clicks_beside_the_delivery_that_an_esp_tells_of_are_a_machines(spring, is_told_first):
    """The ESP had accepted it ten minutes before the recipient's own server did."""
    if is_told_first:
        read(told(spring, seconds=600))
    read(
        hit(spring, seconds=500),  # long before: then the ESP has dated its word late
        hit(spring, seconds=590),  # while the gateway looks at it
        hit(spring, seconds=604),
        hit(spring, "opened", seconds=601),
        hit(spring, "opened", seconds=604),
        hit(spring, number=2, seconds=604),
    )
    if not is_told_first:
        assert people(spring) == (2, 2)
        read(told(spring, seconds=600))
    found = Event.objects.filter(number=1).order_by("at", "kind")
    assert [each.why_machine for each in found] == ["", WHY_PROMPT, WHY_PROMPT, WHY_PROMPT, ""]
    assert people(spring) == (2, 2)
    assert (spring.click_total, spring.machine_click_total, spring.machine_open_total) == (2, 2, 1)


def test_a_complaint_does_not_hide_when_it_was_delivered(spring):
    read(told(spring, seconds=600), told(spring, "complained", seconds=900))
    read(hit(spring, seconds=602))
    assert people(spring) == (0, 0)


def a_crowd(mailing, count, *, ip="198.51.100.7", seconds=30.0):
    """Clicks of so many more recipients from one address."""
    numbers = range(10, 10 + count)
    rows = [
        Delivery(mailing=mailing, number=n, email=f"{n}@corp.example", state="accepted", settled_at=SENT_AT)
        for n in numbers
    ]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True)
    return [hit(mailing, number=n, ip=ip, seconds=seconds) for n in numbers]


def test_one_address_that_clicks_for_very_many_at_once_is_a_gateway(spring):
    read(*a_crowd(spring, crowds.MANY), hit(spring, seconds=30))
    assert set(Event.objects.exclude(number=1).values_list("why_machine", flat=True)) == {WHY_CROWD}
    assert people(spring) == (1, 1)
    read(hit(spring, number=2, seconds=31, ip="198.51.100.7"))  # one more, read later
    assert people(spring) == (1, 1)
    read(hit(spring, number=2, seconds=95, ip="198.51.100.7"))  # another minute
    assert people(spring) == (2, 2)


def test_a_network_of_ipv6_is_one_address(spring):
    hits = a_crowd(spring, crowds.MANY)
    read(*(each._replace(ip=f"2001:db8:0:1::{n}") for n, each in enumerate(hits)))
    assert people(spring) == (0, 0)


def test_an_office_behind_one_address_stays_people(spring):
    read(*a_crowd(spring, crowds.MANY - 1), *a_crowd(spring, 1))  # the last of them clicks twice
    read(*a_crowd(spring, 2 * crowds.MANY, seconds=120, ip="203.0.113.80"))  # not right after it came
    assert set(Event.objects.values_list("is_machine", flat=True)) == {False}


def test_without_redis_nobody_is_taken_for_a_gateway(spring, monkeypatch):
    def away():
        raise redis.ConnectionError

    monkeypatch.setattr(crowds, "redis_client", away)
    read(*a_crowd(spring, crowds.MANY))
    assert set(Event.objects.values_list("is_machine", flat=True)) == {False}


def test_a_hidden_link_takes_back_the_minute_around_it_and_no_more(spring):
    read(hit(spring, "opened", seconds=30), hit(spring, seconds=40), hit(spring, seconds=3600))
    assert people(spring) == (1, 1)
    read(hit(spring, url="", seconds=50))
    spring.refresh_from_db()
    assert (spring.click_total, spring.machine_click_total, spring.machine_open_total) == (1, 2, 1)
    delivery = Delivery.objects.get(number=1)
    assert delivery.clicked_at == delivery.opened_at == SENT_AT + datetime.timedelta(hours=1)
    read(hit(spring, seconds=70))  # late, and beside the hidden link all the same
    spring.refresh_from_db()
    assert (spring.click_total, spring.machine_click_total) == (1, 3)


def test_in_whatever_order_and_however_often_they_come_the_report_is_the_same(spring):
    rng = random.Random(5)
    hits = [
        hit(
            spring,
            rng.choice(["opened", "clicked"]),
            f"https://{rng.choice('abcd')}.example/",
            number=rng.choice([1, 2]),
            seconds=600 + rng.random() * 400,
        )
        for _ in range(60)
    ]
    hits += [hit(spring, url="", seconds=900), hit(spring, number=2, url="", seconds=650)]
    hits += [
        hit(spring, url=f"https://{letter}.example/", seconds=700 + at / 3)
        for at, letter in enumerate("abcd")
    ]
    hits += [told(spring, number=number, seconds=seconds) for number, seconds in ((1, 720), (2, 800))]
    hits += [
        told(spring, "complained", number=1, seconds=990),
        told(spring, "soft_bounced", number=2, seconds=610),
    ]
    found = []
    for _ in range(3):
        for model in (Event, LinkTally, HourTally):
            model.objects.all().delete()
        counters = [name for name in state(spring)[0] if name not in ("total_count", "accepted_count")]
        Mailing.objects.update(**dict.fromkeys(counters, 0))
        Delivery.objects.update(
            feedback="", feedback_at=None, delivered_at=None, opened_at=None, clicked_at=None
        )
        rng.shuffle(hits)
        for start in range(0, len(hits), 7):
            read(*hits[start : start + 7])
        read(*hits)
        found.append(state(spring))
    for each in found[1:]:
        for one, other in zip(each, found[0], strict=True):
            assert one == other
    assert found[0][0]["machine_click_total"] > 4


def test_the_counters_equal_the_events(spring):
    rng = random.Random(7)
    for _ in range(10):
        read(
            *(
                hit(
                    spring,
                    "clicked",
                    f"https://{rng.choice('ab')}.example/",
                    number=rng.choice([1, 2]),
                    seconds=600 + rng.random() * 3000,
                )
                for _ in range(9)
            )
        )
    read(hit(spring, url="", seconds=2000))
    theirs = Event.objects.filter(is_machine=False)
    for each in LinkTally.objects.all():
        rows = theirs.filter(url=each.url)
        assert each.click_total == rows.count()
        assert each.people_count == rows.values("contact").distinct().count()
        assert each.any_count == Event.objects.filter(url=each.url).values("contact").distinct().count()
    spring.refresh_from_db()
    assert spring.click_total == theirs.count()
    assert spring.clicked_count == theirs.values("contact").distinct().count()
    kept = state(spring)
    recount(spring.pk)
    assert state(spring) == kept


def test_the_readers_are_hung_in():
    assert drain.readers["hit"] is reading.read
