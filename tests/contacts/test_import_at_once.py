"""Imports on several connections at once: lanes of one, two of the same people, and a worker that is killed."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest
from django.db import OperationalError, connection
from psycopg.conninfo import make_conninfo

from accounts.errors import WrongState
from contacts.actions import imports as actions
from contacts.importing import lanes, stage
from contacts.jobs import run_import
from contacts.models import Contact, Import, ImportState, Subscription
from tests.at_once import beside, until
from tests.contacts.imports import carried_out, counts, everything
from tests.volley import ROOT

pytestmark = pytest.mark.django_db(transaction=True)
PEOPLE = 900


def a_file(first_name="Ann", people=PEOPLE):
    rows = (f"u{number}@example.com,{first_name},{number}\n" for number in range(people))
    return "email,first_name,points\n" + "".join(rows) + "bad,x,1\nu1@example.com,,77\n"


@pytest.fixture(autouse=True)
def small_slices(monkeypatch):
    monkeypatch.setattr(stage, "SLICE_ROWS", 60)
    yield
    actions.Import.objects.all().delete()
    actions.drop_leftovers()


def outcome_of(run):
    return run_import(import_id=run.pk)["outcome"]


def test_two_lanes_count_everybody_once_and_are_undone(an_import, workspace, bob, news):
    before = everything(workspace)
    run = carried_out(an_import(a_file(), lists=[news], tags=["fair"]))
    assert counts(run) == {
        "row": PEOPLE + 2, "people": PEOPLE, "created": PEOPLE, "refused": 1, "repeated": 1,
    }  # fmt: skip
    assert (run.done_count, run.subscribed_count, run.slices.count()) == (PEOPLE, PEOPLE, PEOPLE // 60 + 1)
    assert Contact.objects.get(email="u1@example.com").attributes == {"points": 77}
    actions.undo(run, by=bob)
    assert carried_out(run).state == ImportState.UNDONE
    assert everything(workspace) == before


def test_a_slice_that_fails_ends_both_lanes(an_import, workspace, monkeypatch):
    run = an_import(a_file())
    from contacts.importing import merge

    whole = merge.merge

    def the_fifth_fails(wishes, number, written):
        if number == 4:
            raise RuntimeError("broken")
        return whole(wishes, number, written)

    monkeypatch.setattr(merge, "merge", the_fifth_fails)
    with pytest.raises(RuntimeError):
        run_import(import_id=run.pk)
    run.refresh_from_db()
    assert run.state == ImportState.FAILED
    assert "the people before were taken" in run.error
    assert Contact.objects.count() == run.created_count < PEOPLE
    assert run.can_be_undone


def test_two_imports_of_the_same_file_at_once_both_end_and_double_nobody(an_import, news):
    both = [an_import(a_file(name), lists=[news], started=False) for name in ("Ann", "Ben")]
    for run in both:
        actions.start(run, by=run.created_by)
    assert [each.result(60) for each in [beside(outcome_of, run) for run in both]] == ["done", "done"]
    for run in both:
        run.refresh_from_db()
        assert run.state == ImportState.DONE
        assert run.created_count + run.updated_count + run.unchanged_count == PEOPLE
    assert Contact.objects.count() == PEOPLE == sum(run.created_count for run in both)
    assert Subscription.objects.count() == PEOPLE == sum(run.subscribed_count for run in both)


def test_a_connection_that_is_lost_leaves_the_check_to_the_next_worker(an_import, monkeypatch):
    run = an_import(a_file(), started=False)
    Import.objects.filter(pk=run.pk).update(state=ImportState.QUEUED)
    whole = stage.add

    def cut_off(*args):
        another = connection.copy()
        with another.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])
        another.close()
        whole(*args)

    monkeypatch.setattr(stage, "add", cut_off)
    with pytest.raises(OperationalError):
        run_import(import_id=run.pk)
    monkeypatch.setattr(stage, "add", whole)
    connection.close()
    run.refresh_from_db()
    assert (run.state, run.error) == (ImportState.RUNNING, ""), "silent, until the clock queues it again"
    Import.objects.update(state=ImportState.QUEUED)
    assert carried_out(run).state == ImportState.CHECKED


@pytest.mark.parametrize("deed", ["start", "cancel", "undo"])
def test_of_two_who_press_the_same_button_at_once_one_is_refused(an_import, bob, at_once, deed):
    run = an_import(a_file(people=130), started=deed == "undo")
    if deed == "undo":
        carried_out(run)
    press = partial(getattr(actions, deed), run, by=bob)
    answers = at_once(press, press)
    assert sorted(type(each) for each in answers if each) == [WrongState]
    run = carried_out(run)
    assert run.state == {"start": "done", "cancel": "canceled", "undo": "undone"}[deed]
    assert Contact.objects.count() == (130 if deed == "start" else 0)


def test_an_import_that_is_canceled_at_any_moment_leaves_everything_as_it_was(
    an_import, workspace, bob, news, at_once
):
    before = everything(workspace)
    for _ in range(6):
        run = an_import(a_file(people=250), lists=[news])
        carried, canceled = at_once(partial(outcome_of, run), partial(actions.cancel, run, by=bob))
        run = carried_out(run)
        if canceled:  # it had ended before
            assert (carried, run.state) == ("done", ImportState.DONE)
            actions.undo(run, by=bob)
            run = carried_out(run)
        assert run.state in (ImportState.CANCELED, ImportState.UNDONE)
        assert everything(workspace) == before


def test_lanes_give_every_number_to_one():
    seen = []
    lanes.each(range(200), seen.append)
    assert sorted(seen) == list(range(200))


WORKER = """
import django; django.setup()
from django.conf import settings; settings.MEDIA_ROOT = {!r}
from contacts.importing import stage
stage.SLICE_ROWS = 60
from contacts.jobs import run_import
run_import(import_id={})
"""


@pytest.mark.parametrize("task", ["check", "import", "undo"])
@pytest.mark.parametrize("after", [0.0, 0.25])
def test_a_worker_that_is_killed_loses_and_doubles_nobody(
    an_import, workspace, bob, news, settings, task, after
):
    before = everything(workspace)
    run = an_import(a_file(), lists=[news], started=task != "check")
    if task == "check":
        Import.objects.filter(pk=run.pk).update(state=ImportState.QUEUED)
    if task == "undo":
        carried_out(run)
        actions.undo(run, by=bob)
    killed_while_it_works(run, settings, after)
    Import.objects.filter(pk=run.pk, state=ImportState.RUNNING).update(state=ImportState.QUEUED)
    run_import(import_id=run.pk)
    run.refresh_from_db()
    if task == "undo":
        assert (run.state, run.taken_back["deleted"]) == (ImportState.UNDONE, PEOPLE)
        assert everything(workspace) == before
        return
    assert run.state == (ImportState.CHECKED if task == "check" else ImportState.DONE)
    assert counts(run) == {
        "row": PEOPLE + 2, "people": PEOPLE, "created": PEOPLE, "refused": 1, "repeated": 1,
    }  # fmt: skip
    assert Contact.objects.count() == (0 if task == "check" else PEOPLE)
    assert run.refusals.count() == 1


def killed_while_it_works(run, settings, after):
    """SIGKILL some time after a worker of its own took the import."""
    known = connection.get_connection_params()
    url = make_conninfo(
        **{key: known[key] for key in ("dbname", "user", "password", "host", "port") if known.get(key)}
    )
    environment = os.environ | {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings"}
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(str(settings.MEDIA_ROOT), run.pk)], cwd=ROOT, env=environment
    )
    until(lambda: worker.poll() is not None or Import.objects.get(pk=run.pk).state != ImportState.QUEUED)
    time.sleep(after)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    assert Import.objects.get(pk=run.pk).state != ImportState.QUEUED, "it never began"
