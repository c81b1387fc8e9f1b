"""What the house sets up around everything: how the database plans, how workers share the processor."""

import os
import subprocess
import sys

import psycopg
import psycopg.conninfo
import pytest
from django.apps import apps
from django.db import connection

from accounts.models import Workspace
from config import worker
from tests.at_once import beside
from tests.volley import ROOT

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
    def work():
        worker._give_way(long=False)
        lane = beside(os.sched_getscheduler, 0)
        return lane.result(10)

    assert beside(work).result(10) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.fixture
def an_empty_database():
    """Its URL."""
    settings = connection.settings_dict
    name = f"{settings['NAME']}_empty"
    host = {"host": settings["HOST"], "port": settings["PORT"], "user": settings["USER"]}
    url = psycopg.conninfo.make_conninfo(
        **{key: value for key, value in (host | {"password": settings["PASSWORD"]}).items() if value},
        **settings["OPTIONS"],
    )
    with psycopg.connect(f"{url} dbname=postgres", autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}"')
        server.execute(f'CREATE DATABASE "{name}"')
        yield f"{url} dbname={name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def test_two_hosts_that_begin_at_once_prepare_the_database_one_after_the_other(an_empty_database):
    command = [sys.executable, "-c", "from config import run; run._migrate()"]
    environment = os.environ | {"DATABASE_URL": an_empty_database}
    both = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [each.communicate(timeout=300)[1] for each in both]
    assert [each.returncode for each in both] == [0, 0], said


# Of the installation, or of nobody: people, who may be members of several workspaces; the local inbox; and counts on
# their way to a list's.
OF_NO_WORKSPACE = {
    "accounts.User",
    "accounts.Installation",
    "contacts.ListChange",
    "delivery.InboxMessage",
    "delivery.Incoming",  # what came, as it came: whose it is is read later
}


def leads_to_workspace(model, seen=()):
    """By columns that are never empty."""
    if model is Workspace:
        return True
    owners = (
        field.related_model for field in model._meta.concrete_fields if field.is_relation and not field.null
    )
    return any(leads_to_workspace(owner, (*seen, model)) for owner in owners if owner not in (*seen, model))


def test_every_row_belongs_to_a_workspace():
    rooms = ("accounts", "contacts", "delivery", "campaigns")
    homeless = {
        model._meta.label
        for room in rooms
        for model in apps.get_app_config(room).get_models()
        if not leads_to_workspace(model)
    }
    assert homeless == OF_NO_WORKSPACE
