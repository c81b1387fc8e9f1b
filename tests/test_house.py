"""What the house sets up around everything: how the database plans, how workers share the processor."""

import os
import threading

import pytest
from django.db import connection

from config import worker

pytestmark = pytest.mark.django_db


def random_page_cost(another) -> float:
    with another.cursor() as cursor:
        cursor.execute("SHOW random_page_cost")
        return float(cursor.fetchone()[0])


def test_queries_are_planned_for_flash_unless_somebody_knows_better():
    another = connection.copy()
    try:
        assert random_page_cost(another) == 1.1
    finally:
        another.close()
    chosen = connection.copy()
    chosen.settings_dict["OPTIONS"]["options"] = "-c random_page_cost=2.5"
    try:
        assert random_page_cost(chosen) == 2.5
    finally:
        chosen.close()


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux alone has it")
def test_a_worker_gives_way_with_all_its_lanes():
    policies = []

    def lane():
        policies.append(os.sched_getscheduler(0))

    def work():
        worker._give_way()
        started = threading.Thread(target=lane)
        started.start()
        started.join()

    main = threading.Thread(target=work)
    main.start()
    main.join()
    assert policies == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
