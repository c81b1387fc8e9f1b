"""Redis that is away delays nobody."""

import pytest
import redis

from accounts import queue


@pytest.fixture
def away(settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    queue.redis_client.cache_clear()
    yield
    queue.redis_client.cache_clear()


def test_redis_that_is_away_is_noticed_at_once(away, monkeypatch):
    waits = []
    monkeypatch.setattr("redis.retry.sleep", waits.append)
    with pytest.raises(redis.RedisError):
        queue.redis_client().ping()
    assert waits == []


@pytest.mark.django_db(transaction=True)
def test_a_deed_whose_job_finds_no_queue_is_done_all_the_same(away, monkeypatch, caplog):
    waits = []
    monkeypatch.setattr("redis.retry.sleep", waits.append)
    queue.enqueue("delivery.jobs.drain", queue="events", name="hit")
    assert "enqueue.failed" in caplog.text
    assert waits == []
