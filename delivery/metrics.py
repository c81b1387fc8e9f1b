"""The operations' figures as Prometheus reads them; worked out when asked, so that every process gives the same."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from delivery import queries
from delivery.operations import Overview


class _Collector:
    def __init__(self, overview: Overview) -> None:
        self._overview = overview

    def collect(self) -> Iterator[Metric]:
        found = self._overview
        waiting = GaugeMetricFamily("volley_queue_jobs", "Jobs that wait in a queue.", labels=["queue"])
        failed = GaugeMetricFamily(
            "volley_queue_failed_jobs", "Jobs that failed within a week.", labels=["queue"]
        )
        oldest = GaugeMetricFamily(
            "volley_queue_oldest_seconds", "How long the next job of a queue has waited.", labels=["queue"]
        )
        workers = GaugeMetricFamily("volley_workers", "Workers seen lately.", labels=["queue"])
        for queue in found.queues:
            waiting.add_metric([queue.name], queue.waiting)
            failed.add_metric([queue.name], queue.failed)
            oldest.add_metric([queue.name], queue.oldest_seconds)
            workers.add_metric([queue.name], len(queue.workers))
        yield from (waiting, failed, oldest, workers)
        entries = GaugeMetricFamily(
            "volley_stream_entries", "What came back and is not applied yet.", labels=["stream", "place"]
        )
        age = GaugeMetricFamily(
            "volley_stream_oldest_seconds",
            "How long the first entry of a stream has waited.",
            labels=["stream"],
        )
        for each in found.streams:
            if each.waiting is not None:
                entries.add_metric([each.name, "redis"], each.waiting)
            entries.add_metric([each.name, "table"], each.in_table)
            age.add_metric([each.name], each.oldest_seconds)
        yield from (entries, age)
        batches = GaugeMetricFamily("volley_batches", "Batches of what is being sent.", labels=["state"])
        for state in ("due", "later", "leased", "expired"):
            batches.add_metric([state], getattr(found.batches, state))
        yield batches
        yield _gauge(
            "volley_oldest_batch_seconds",
            "How long the oldest batch has been due.",
            found.batches.oldest_seconds,
        )
        yield _gauge(
            "volley_standing_still_seconds",
            "How long a campaign with batches due has stood still.",
            found.batches.still_seconds,
        )
        yield _gauge("volley_clock_seconds", "Since the clock was seen; -1: not lately.", found.clock_seconds)
        yield _gauge(
            "volley_database_milliseconds", "Of one question; -1: no answer.", found.database.milliseconds
        )
        yield _gauge("volley_redis_milliseconds", "Of one question; -1: no answer.", found.redis.milliseconds)
        yield _gauge("volley_alerts", "What the operations page warns of.", len(found.alerts))
        if found.database.milliseconds is not None:
            yield _messages()


def _gauge(name: str, about: str, value: float | None) -> Metric:
    return GaugeMetricFamily(name, about, value=-1 if value is None else value)


def _messages() -> Metric:
    messages = CounterMetricFamily(
        "volley_messages", "Recipients by outcome, of all mailings.", labels=["outcome"]
    )
    for outcome, count in queries.totals().items():
        messages.add_metric([outcome], count)
    return messages


def text(overview: Overview) -> bytes:
    """The exposition format, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(overview))
    return generate_latest(registry)
