"""The machinery's page says what is at work, and what is late or missing; the same goes to Prometheus."""

import re
import time
from datetime import timedelta
from types import SimpleNamespace

import django_rq
import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.queue import beat, enqueue, process_name, redis_client, signs_of_life
from config.worker import Worker
from delivery.models import Batch, Incoming, Mailing
from delivery.operations import overview
from delivery.pipeline import signs
from delivery.pipeline.work import work_slice

pytestmark = pytest.mark.django_db


@pytest.fixture
def all_at_work():
    for role in ("system", "send", "events", "bulk", "clock"):
        beat(role, f"host:{role}")


def test_nothing_is_late_while_everything_is_at_work(sign_in, ada, all_at_work):
    page = sign_in(ada).get(reverse("operations")).content.decode()
    assert "Everything is at work" in page
    assert "host:send" in page
    assert "PostgreSQL 1" in page
    assert "noeviction" not in page


def test_what_is_missing_is_named(sign_in, ada):
    beat("send", "host:1")
    page = sign_in(ada).get(reverse("operations")).content.decode()
    assert "No clock is running" in page
    assert "No worker is running for the queue “bulk”" in page
    assert "queue “send”" not in page


def test_a_batch_that_nobody_takes_is_late(people, send_to_news, all_at_work):
    people(3)
    send_to_news()
    assert overview().alerts == []
    long_ago = timezone.now() - timedelta(seconds=330)  # PostgreSQL counts up to when the test began
    Batch.objects.update(due_at=long_ago)
    Mailing.objects.update(created_at=long_ago)
    assert overview().batches.due == 1
    assert overview().alerts == [], "one of many, and its mailing moves"
    Mailing.objects.update(progress_at=long_ago)
    assert any(re.search("has stood still for 3[0-5]. seconds", alert) for alert in overview().alerts)


@pytest.mark.django_db(transaction=True)
def test_a_job_that_nobody_takes_is_late(all_at_work, sign_in, ada):
    enqueue("contacts.jobs.run_import", queue="bulk", import_id=1)
    job = django_rq.get_queue("bulk").jobs[0]
    client = sign_in(ada)
    assert "A job has waited" not in client.get(reverse("operations")).content.decode()
    job.enqueued_at -= timedelta(minutes=5)
    job.save()
    page = client.get(reverse("operations")).content.decode()
    assert re.search("A job has waited in the queue “bulk” for 3[0-5]. seconds", page)


def test_what_came_back_and_is_not_applied_is_shown_and_after_a_while_late(sign_in, ada, all_at_work):
    client = redis_client()
    client.delete("volley:in:hook", "volley:in:hit")
    client.xadd("volley:in:hook", {b"d": b"{}"})
    Incoming.objects.create(stream="hit", data=b"{}")
    page = sign_in(ada).get(reverse("operations")).content.decode()
    assert "Webhooks of providers" in page
    assert "have not been applied" not in page
    client.delete("volley:in:hook")
    client.xadd("volley:in:hook", {b"d": b"{}"}, id=f"{int((time.time() - 300) * 1000)}-0")
    Incoming.objects.update(at=timezone.now() - timedelta(seconds=230))  # until the test began
    found = {stream.name: stream for stream in overview().streams}
    assert (found["hook"].waiting, found["hook"].in_table, found["hit"].in_table) == (1, 0, 1)
    page = sign_in(ada).get(reverse("operations")).content.decode()
    assert re.search("Webhooks of providers have not been applied for 3[0-5]. seconds", page)
    assert re.search("Opens and clicks have not been applied for 2[0-5]. seconds", page)
    client.delete("volley:in:hook")


def test_a_worker_is_seen_by_its_host_and_process(monkeypatch):
    def once(_seconds):
        raise StopIteration

    queues = [django_rq.get_queue("send")]
    beating = Worker(queues, connection=queues[0].connection)
    monkeypatch.setattr("config.worker.threading.Event", lambda: SimpleNamespace(wait=once))
    with pytest.raises(StopIteration):
        beating._beat()
    assert list(signs_of_life("send")) == [process_name()]


def test_without_redis_the_page_says_so(sign_in, ada, monkeypatch):
    redis_client().connection_pool.disconnect()
    monkeypatch.setattr("delivery.operations.redis_client", lambda: _away())
    page = sign_in(ada).get(reverse("operations")).content.decode()
    assert "Redis does not answer" in page


def _away():
    import redis

    return redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2)


def test_who_works_on_what_is_seen_while_it_does(sign_in, bob, people, send_to_news, server, monkeypatch):
    monkeypatch.setattr(signs, "EVERY_SECONDS", 0.0)
    people(50)
    mailing = send_to_news()
    seen = []
    server.answers["END"] = lambda _recipient: (seen.append(signs.working()), "250 Ok")[1]
    work_slice(mailing.pk)
    sign = signs.working()[0]
    assert (sign.mailing_id, len(sign.lanes)) == (mailing.pk, 3)
    assert sum(lane.accepted for lane in sign.lanes) == 50


def test_metrics_are_there_for_whoever_has_the_token_alone(
    client, settings, all_at_work, people, send_to_news
):
    assert client.get("/metrics").status_code == 404
    settings.METRICS_TOKEN = "a long secret"
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 401
    people(3)
    mailing = send_to_news()
    text = client.get("/metrics", headers={"Authorization": "Bearer a long secret"}).content.decode()
    assert 'volley_batches{state="due"} 1.0' in text
    assert 'volley_workers{queue="send"} 1.0' in text
    assert 'volley_stream_entries{place="redis",stream="hit"}' in text
    assert 'volley_stream_oldest_seconds{stream="mail"}' in text
    assert "volley_alerts 0.0" in text
    work_slice(mailing.pk)


def test_the_report_shows_time_and_domains(sign_in, bob, workspace, people, account, news):
    from campaigns.actions import lifecycle
    from tests.builders import a_campaign

    people(5)
    campaign = a_campaign(workspace, lists=[news], account=account)
    lifecycle.send_now(campaign, by=bob)
    lifecycle.launch(campaign.pk)
    campaign.refresh_from_db()
    work_slice(campaign.mailing_id)
    page = sign_in(bob).get(reverse("campaign_report", args=[campaign.pk])).content.decode()
    assert "By receiving domain" in page
    assert "example.com" in page
