"""What several hits tell together is taken back from people, and every figure with it, whatever comes first."""

import datetime
import itertools
import json
import random

import pytest
from django.utils import timezone

from delivery.feedback import drain
from delivery.feedback.apply import apply
from delivery.feedback.stream import Entry
from delivery.models import Delivery, Event, HourTally, LinkTally, Mailing
from delivery.tracking import reading
from delivery.tracking.hits import Hit
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


def hit(mailing, kind="clicked", url="https://a.example/", *, number=1, seconds=600.0):
    if kind == "opened":
        url = ""
    at = SENT_AT.timestamp() + seconds
    return Hit(kind, mailing.pk, number, at, f"once {next(ONCE)}", url, agent=CHROME, ip="203.0.113.9")


def read(*hits):
    """Apply them as one set."""
    entries = [Entry(0, json.dumps(each).encode()) for each in hits]
    apply([fact for facts in reading.read(entries) for fact in facts])


def people(mailing):
    mailing.refresh_from_db()
    return mailing.opened_count, mailing.clicked_count


def state(mailing):
    """All that a report says."""
    mailing.refresh_from_db()
    names = [field.name for field in Mailing._meta.fields if field.name.endswith(("_count", "_total"))]
    links = LinkTally.objects.values_list("url", "people_count", "click_total", "machine_total")
    hours = HourTally.objects.exclude(open_total=0, click_total=0).values_list(
        "hour", "open_total", "click_total"
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
    found = []
    for _ in range(3):
        for model in (Event, LinkTally, HourTally):
            model.objects.all().delete()
        counters = [field.name for field in Mailing._meta.fields if field.name.endswith("_total")]
        Mailing.objects.update(opened_count=0, clicked_count=0, **dict.fromkeys(counters, 0))
        Delivery.objects.update(opened_at=None, clicked_at=None)
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
    spring.refresh_from_db()
    assert spring.click_total == theirs.count()
    assert spring.clicked_count == theirs.values("contact").distinct().count()
    kept = state(spring)
    recount(spring.pk)
    assert state(spring) == kept


def test_the_readers_are_hung_in():
    assert drain.readers["hit"] is reading.read
