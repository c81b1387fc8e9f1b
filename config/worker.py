"""The RQ worker of every queue: in-process, so that SMTP and database connections outlive a job."""

import contextlib
import gc
import logging
import os
import threading
from typing import Any

import redis
from django.db import DatabaseError, close_old_connections
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from accounts.queue import BEAT_SECONDS, beat, leaving, process_name
from delivery.origin import hold_copy
from delivery.pipeline import journal

log = logging.getLogger(__name__)
LONG_JOBS_NICE = 10  # of 19: a ninth of what an equal would get


class Worker(SimpleWorker):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"serializer": JSONSerializer})  # the commands' default is pickle

    def work(self, *args: Any, **options: Any) -> bool:
        options["with_scheduler"] = False  # the clock does that
        _give_way(long=self.queue_names() == ["bulk"])
        journal.hand_over()  # of those who were here before, where no clock runs beside
        gc.freeze()  # what was imported is no garbage; looking it through again and again takes a while
        options["logging_level"] = None  # ours: a pool tells whom it begins again to say everything
        threading.Thread(target=self._beat, daemon=True).start()
        _hold_copy()
        return super().work(*args, **options)

    def perform_job(self, *arguments: Any, **options: Any) -> bool:
        close_old_connections()  # PostgreSQL may have been restarted since the last job
        try:
            return super().perform_job(*arguments, **options)
        except (
            redis.ConnectionError
        ) as error:  # what the job did stands in the database; RQ would end the worker
            log.warning("job.not_reported error=%s", error)
            return False
        finally:
            close_old_connections()

    def handle_warm_shutdown_request(self) -> None:
        leaving.set()
        super().handle_warm_shutdown_request()

    def _beat(self) -> None:
        """Be seen alive, whatever the job in work takes; RQ's own registration is lost with a flushed Redis."""
        pause = threading.Event()
        seen_as = process_name()  # RQ's own names are random
        while True:
            for queue in self.queues:
                try:
                    beat(queue.name, seen_as)
                except redis.RedisError as error:
                    log.warning("beat.failed queue=%s error=%s", queue.name, error)
            pause.wait(BEAT_SECONDS)


def _give_way(*, long: bool) -> None:
    """Let pages, database and mail server go first: a worker that wakes up interrupts none of them (sched(7)).

    It has as much of the processor as before. With a server of mail on the same machine, which it would interrupt at
    each answer, more is sent for it (by a tenth to a quarter on two cores).

    long: its jobs take minutes; it then leaves the processor to whoever else wants it.
    """
    if long:
        with contextlib.suppress(OSError):  # it was started with less still
            os.setpriority(os.PRIO_PROCESS, 0, LONG_JOBS_NICE)
    with contextlib.suppress(AttributeError, OSError):  # Linux alone knows it, and a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _hold_copy() -> None:
    """Before the first job, which may be one of before a restore."""
    try:
        hold_copy()
    except DatabaseError as error:  # PostgreSQL is away, or is migrated in a moment
        log.warning("worker.no_database error=%s", error)
