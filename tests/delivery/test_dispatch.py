"""Who is next: the small does not wait for the big, and the big still have their turns."""

import django_rq
import pytest

from delivery.actions import send_test
from delivery.pipeline import dispatch
from delivery.pipeline.sweep import sweep
from tests.delivery.conftest import HELLO

pytestmark = pytest.mark.django_db
WORKERS = 3


@pytest.fixture(autouse=True)
def some_workers(monkeypatch):
    monkeypatch.setattr(dispatch, "workers_alive", lambda _queue: WORKERS)
    monkeypatch.setattr(dispatch.os, "cpu_count", lambda: 1)


@pytest.fixture
def committed(django_capture_on_commit_callbacks):
    """committed(deed) gives what the deed gives, and does what it put off until the commit."""

    def do(deed):
        with django_capture_on_commit_callbacks(execute=True):
            return deed()

    return do


def waiting() -> list[int]:
    """The mailings whose turns wait, the next one first."""
    return [int(job_id.split("-")[1]) for job_id in django_rq.get_queue("send").get_job_ids()]


def test_whoever_had_no_turn_yet_is_next_and_then_takes_turns(people, send_to_news, committed):
    people(400)
    first, second, third = (committed(send_to_news).pk for _ in range(3))
    assert waiting() == [third, second, first, *[first] * 2, *[second] * 2, *[third] * 2]


def test_a_mailing_of_one_batch_has_one_turn_and_it_is_next(people, send_to_news, committed, news):
    subscribed = people(400)
    big = committed(send_to_news).pk
    news.subscriptions.exclude(contact__in=subscribed[:50]).delete()
    small = committed(send_to_news).pk
    assert waiting() == [small, *[big] * WORKERS]


def test_a_test_send_overtakes_all(workspace, account, people, send_to_news, committed):
    people(400)
    big = committed(send_to_news).pk
    test = committed(
        lambda: send_test(
            workspace=workspace,
            name="Test",
            account=account,
            content=HELLO,
            to=["x@acme.example"],
            sample=None,
        )
    ).pk
    assert waiting() == [test, *[big] * WORKERS]


def test_the_sweeper_keeps_one_turn_waiting_for_each_worker(people, send_to_news, committed):
    people(400)
    big = committed(send_to_news).pk
    django_rq.get_queue("send").empty()
    assert committed(sweep) == WORKERS
    assert committed(sweep) == 0
    assert waiting() == [big] * WORKERS
