"""Segments are counted in the background: after a change and by the clock, each now and then and for a bounded time."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from contacts import registry
from contacts.actions import segments as actions
from contacts.jobs import count_segment
from contacts.models import Segment
from contacts.queries import segments as queries
from contacts.queries.limits import TakesTooLong
from tests.builders import a_contact

pytestmark = pytest.mark.django_db(transaction=True)
GMAIL = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": ["gmail.com"]}]}
GMX = {"join": "and", "rules": [{"subject": "email", "operator": "domain", "value": ["gmx.de"]}]}


@pytest.fixture
def asked(monkeypatch):
    """The ids of the segments that jobs were queued to count."""
    ids = []

    def put(_job, *, queue, segment_id):
        assert queue == "bulk"
        ids.append(segment_id)

    monkeypatch.setattr(actions, "enqueue", put)
    return ids


@pytest.fixture
def gmail(workspace, bob, asked):
    a_contact(workspace, "anna@gmail.com")
    segment = actions.create(workspace, name="Gmail", rules=GMAIL, by=bob)
    asked.clear()
    return segment


def let_pass(segment, time):
    Segment.objects.filter(pk=segment.pk).update(count_asked_at=timezone.now() - time)


def test_a_new_segment_a_changed_one_and_a_copy_are_counted_without_being_opened(
    workspace, bob, asked, sign_in
):
    a_contact(workspace, "anna@gmail.com")
    segment = actions.create(workspace, name="Gmail", rules=GMAIL, by=bob)
    assert "not counted yet" in sign_in(bob).get(reverse("segments")).text
    actions.change(segment, name="Gmail", rules=GMX, by=bob)
    copy = actions.duplicate(Segment.objects.get(), by=bob)
    assert asked == [segment.pk, segment.pk, copy.pk]
    assert count_segment(segment_id=segment.pk) == {"segment": segment.pk, "people": 0}
    assert count_segment(segment_id=copy.pk) == {"segment": copy.pk, "people": 0}
    page = sign_in(bob).get(reverse("segments")).text
    assert "not counted yet" not in page
    assert page.count("counted <time") == 2


def test_the_clock_has_each_counted_again_after_a_while_the_longest_waiting_first(workspace, gmail, asked):
    other = Segment.objects.create(workspace=workspace, name="GMX", rules=GMX)
    assert [actions.count_next(), actions.count_next()] == [
        1,
        0,
    ]  # however it was made, nobody asked for it yet
    assert asked.pop() == other.pk
    let_pass(gmail, actions.COUNT_EVERY + timedelta(minutes=1))
    let_pass(other, actions.COUNT_EVERY + timedelta(minutes=2))
    assert [actions.count_next() for _ in range(3)] == [1, 1, 0]  # one a tick, and each once
    assert asked == [other.pk, gmail.pk]


def test_while_mail_is_sent_they_are_counted_far_less_often(gmail, asked, monkeypatch):
    monkeypatch.setattr(registry, "is_busy", [lambda: True])
    let_pass(gmail, actions.COUNT_EVERY + timedelta(minutes=1))
    assert actions.count_next() == 0
    let_pass(gmail, actions.COUNT_EVERY_WHILE_BUSY + timedelta(minutes=1))
    assert actions.count_next() == 1


def test_a_count_that_takes_too_long_is_given_up_and_leaves_the_earlier_figure(gmail, monkeypatch):
    count_segment(segment_id=gmail.pk)

    def too_long(seconds, *_):
        assert seconds == actions.COUNT_SECONDS
        raise TakesTooLong("")

    monkeypatch.setattr(queries, "at_most", too_long)
    assert count_segment(segment_id=gmail.pk)["people"] is None
    gmail.refresh_from_db()
    assert (gmail.people_count, bool(gmail.counted_at)) == (1, True)


def test_what_was_changed_while_it_was_counted_keeps_no_figure(gmail, bob, asked, monkeypatch):
    real = queries.people_count

    def changed_meanwhile(segment, **limits):
        actions.change(segment, name="Gmail", rules=GMX, by=bob)
        return real(segment, **limits)

    monkeypatch.setattr(queries, "people_count", changed_meanwhile)
    count_segment(segment_id=gmail.pk)
    gmail.refresh_from_db()
    assert gmail.people_count is None


def test_a_snapshot_that_is_being_taken_and_a_segment_that_is_gone_are_left_alone(
    workspace, gmail, bob, sign_in
):
    snapshot = Segment.objects.create(workspace=workspace, name="Then", kind="snapshot", rules=GMAIL)
    assert count_segment(segment_id=snapshot.pk)["people"] is None
    snapshot.refresh_from_db()
    assert snapshot.counted_at is None
    assert "being taken" in sign_in(bob).get(reverse("segments")).text
    gone = gmail.pk
    gmail.delete()
    assert count_segment(segment_id=gone) == {"segment": gone, "people": None}
