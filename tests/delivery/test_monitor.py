"""What the monitor shows beside the counters: over time, by receiving domain, kept for some seconds."""

from datetime import timedelta

import pytest
from django.utils import timezone

from delivery import monitor
from delivery.actions import retry
from delivery.jobs import read_breakdown
from delivery.models import Delivery, Mailing
from delivery.monitor import breakdown
from delivery.pipeline.settle import Result, settle
from delivery.transports.base import Fate, Outcome

pytestmark = pytest.mark.django_db

FULL = Outcome(Fate.REJECTED, "552 5.2.2", "552 Full")


def accepted_at(mailing, *seconds_ago) -> None:
    now = timezone.now()
    for number, seconds in enumerate(seconds_ago, start=1):
        Delivery.objects.filter(mailing=mailing, number=number).update(
            state="accepted", settled_at=now - timedelta(seconds=seconds)
        )


def test_the_last_bar_is_left_out_only_while_its_step_runs(people, send_to_news):
    people(10)
    mailing = send_to_news()
    accepted_at(mailing, 3.5, 1.2, 0.2)  # steps of a second: the last one has just begun
    assert [bar.count for bar in breakdown(mailing).bars] == [1, 0, 1]


def test_the_last_bar_is_shown_once_its_step_is_over(people, send_to_news):
    people(10)
    mailing = send_to_news()
    accepted_at(mailing, 63.5, 61.2, 60.2)
    assert mailing.state == "sending"
    assert [bar.count for bar in breakdown(mailing).bars] == [1, 0, 1, 1]


def test_a_domains_row_adds_up_and_its_shares_are_of_those_that_are_done(people, send_to_news):
    people(20)
    mailing = send_to_news()
    outcomes = [Outcome(Fate.ACCEPTED)] * 6 + [FULL] * 2 + [Outcome(Fate.IN_DOUBT, "in doubt", "Lost")]
    later = Outcome(Fate.DEFERRED, "451 4.7.1", "451 Later")
    results = [Result(number, outcome) for number, outcome in enumerate([*outcomes, later], start=1)]
    settle(mailing, results, skipped={11: "suppressed"})
    (domain,) = breakdown(mailing).domains
    assert (domain.total, domain.done, domain.other) == (20, 10, 2)
    assert domain.accepted + domain.rejected + domain.deferred + domain.pending + domain.other == domain.total


def test_whoever_tries_a_group_again_sees_it_at_once(
    people, send_to_news, bob, django_capture_on_commit_callbacks
):
    people(4)
    mailing = send_to_news()
    settle(mailing, [Result(1, FULL)])
    assert breakdown(mailing).domains[0].rejected == 1
    with django_capture_on_commit_callbacks(execute=True):
        retry(mailing, state="rejected", by=bob)
    assert breakdown(mailing).domains[0].rejected == 0


def test_one_that_ended_again_is_read_again(people, send_to_news):
    people(2)
    mailing = send_to_news()
    Mailing.objects.update(state="finished", rejected_count=2)
    mailing.refresh_from_db()
    Delivery.objects.update(state="rejected")
    assert breakdown(mailing).domains[0].rejected == 2
    Mailing.objects.update(rejected_count=1, in_doubt_count=1)
    Delivery.objects.filter(number=1).update(state="in_doubt")
    mailing.refresh_from_db()
    assert breakdown(mailing).domains[0].other == 1


def test_of_many_being_sent_a_job_reads_it_and_until_then_the_last_reading_stands(
    people, send_to_news, monkeypatch
):
    monkeypatch.setattr(monitor, "MANY", 1)
    monkeypatch.setattr(monitor, "REST", 10_000)
    queued = []
    monkeypatch.setattr(monitor, "enqueue", lambda job, **asked: queued.append((job, asked)))
    people(2)
    mailing = send_to_news()
    assert not breakdown(mailing).domains
    breakdown(mailing)
    assert queued == [("delivery.jobs.read_breakdown", {"queue": "system", "mailing_id": mailing.pk})]
    read_breakdown(mailing_id=mailing.pk)
    assert breakdown(mailing).domains[0].pending == 2
    settle(mailing, [Result(1, FULL)])
    assert breakdown(mailing).domains[0].pending == 2
    assert len(queued) == 1
    Mailing.objects.update(state="finished")
    mailing.refresh_from_db()
    monkeypatch.setattr(monitor, "workers_alive", lambda _queue: 1)
    assert breakdown(mailing).is_behind
    assert len(queued) == 2, "its end is read at once"
    read_breakdown(mailing_id=mailing.pk)
    assert breakdown(mailing).domains[0].rejected == 1


@pytest.mark.parametrize("has_worker", [True, False])
def test_of_many_that_were_sent_a_job_reads_what_came_back_since(
    people, send_to_news, monkeypatch, has_worker
):
    """The page would take a second for every reader of a report into which bounces come; without workers it does."""
    monkeypatch.setattr(monitor, "MANY", 1)
    monkeypatch.setattr(monitor, "workers_alive", lambda _queue: has_worker)
    people(3)
    mailing = send_to_news()
    settle(mailing, [Result(number, Outcome(Fate.ACCEPTED)) for number in (1, 2, 3)])
    Mailing.objects.filter(pk=mailing.pk).update(state="finished", finished_at=timezone.now())
    mailing.refresh_from_db()
    read_breakdown(mailing_id=mailing.pk)
    assert not breakdown(mailing).is_behind
    Delivery.objects.filter(mailing=mailing, number=1).update(feedback="bounced")
    Mailing.objects.filter(pk=mailing.pk).update(bounced_count=1)
    mailing.refresh_from_db()
    before = breakdown(mailing)
    assert (before.is_behind, before.domains[0].bounced) == ((True, 0) if has_worker else (False, 1))
    read_breakdown(mailing_id=mailing.pk)
    read = breakdown(mailing)
    assert (read.is_behind, read.domains[0].bounced) == (False, 1)
