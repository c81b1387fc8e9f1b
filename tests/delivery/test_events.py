"""What recipients did: written once whatever is reported twice, shown on their timeline, kept without them."""

import datetime
import uuid

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts.actions import contacts as people
from delivery import events
from delivery.models import Event, Mailing
from tests.builders import a_contact, an_account
from tests.people import a_workspace

NOW = timezone.now()


@pytest.fixture
def spring(workspace):
    return Mailing.objects.create(
        workspace=workspace, name="Spring", account=an_account(workspace), content={}
    )


def opened(mailing, contact, *, times=1, **fields):
    return [
        events.Noticed(
            mailing.workspace_id,
            mailing.pk,
            contact.pk,
            "opened",
            NOW + datetime.timedelta(seconds=step),
            events.key_of(NOW + datetime.timedelta(seconds=step), mailing.pk, contact.pk, "opened"),
            **fields,
        )
        for step in range(times)
    ]


def test_what_is_reported_twice_is_written_once(workspace, spring):
    anna, ben = a_contact(workspace), a_contact(workspace, "ben@example.com")
    rows = opened(spring, anna, times=3)
    assert events.record(rows) == 3
    assert events.record([*rows, *opened(spring, ben)]) == 1
    assert events.record([]) == 0
    assert Event.objects.count() == 4


def test_a_batch_may_hold_the_same_event_twice(workspace, spring):
    row = opened(spring, a_contact(workspace))
    assert events.record(row + row) == 1


def test_a_contact_that_is_gone_or_elsewhere_is_not_named(workspace, spring):
    stranger = a_contact(a_workspace("Elsewhere"), "mallory@example.com")
    gone = a_contact(workspace, "gone@example.com")
    rows = opened(spring, stranger) + opened(spring, gone)
    gone.delete()
    events.record(rows)
    assert [each.contact_id for each in Event.objects.all()] == [None, None]


def test_what_is_too_long_is_cut_and_harms_no_other(workspace, spring):
    anna = a_contact(workspace)
    events.record(opened(spring, anna, url="https://x.example/\0" + "a" * 3000, why_machine="b" * 99))
    event = Event.objects.get()
    assert (len(event.url), len(event.why_machine)) == (2000, 40)


def test_keys_stand_in_the_order_of_time_and_tell_events_apart():
    later = NOW + datetime.timedelta(seconds=1)
    keys = [events.key_of(at, what) for at in (NOW, later) for what in ("opened", "clicked")]
    assert len(set(keys)) == 4
    assert max(keys[:2]) < min(keys[2:])
    assert events.key_of(NOW, "opened") == keys[0]
    assert isinstance(keys[0], uuid.UUID)


def test_the_timeline_tells_what_they_did_and_what_a_machine_did(sign_in, carol, workspace, spring):
    anna = a_contact(workspace)
    events.record(opened(spring, anna))
    key = events.key_of(NOW, "scan")
    events.record(
        [
            events.Noticed(
                workspace.pk,
                spring.pk,
                anna.pk,
                "clicked",
                NOW,
                key,
                True,
                "data center",
                "https://a.example/",
            )
        ]
    )
    page = sign_in(carol).get(reverse("contact", args=[anna.pk])).text
    assert "Opened “Spring”" in page
    assert "by a machine: data center" in page
    assert "https://a.example/" in page


def test_the_timeline_costs_the_same_for_many_events(sign_in, carol, workspace, spring):
    anna, client, asked = a_contact(workspace), sign_in(carol), []
    for times in (1, 80):
        events.record(opened(spring, anna, times=times))
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("contact", args=[anna.pk]))
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_whoever_is_deleted_leaves_what_was_done_without_a_name(workspace, spring, bob):
    anna = a_contact(workspace)
    events.record(opened(spring, anna))
    people.delete(anna, by=bob)
    assert Event.objects.get().contact_id is None
