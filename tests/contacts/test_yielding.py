"""A long job gives way to campaigns while they are being sent, and to nobody else."""

import pytest

from contacts import chosen, registry, yielding
from contacts.actions import bulk
from contacts.actions.bulk import Plan, Whom
from contacts.importing import read
from contacts.jobs import run_bulk, run_import
from contacts.models import BulkAction, Contact
from contacts.queries.contacts import Finder
from delivery.models import Batch, BatchState, Mailing
from tests.builders import an_account

pytestmark = pytest.mark.django_db


@pytest.fixture
def slept(monkeypatch):
    seconds = []
    monkeypatch.setattr(yielding.time, "sleep", seconds.append)
    return seconds


@pytest.fixture
def batch(workspace):
    """A batch of a mailing, in nobody's hands."""
    mailing = Mailing.objects.create(
        workspace=workspace, account=an_account(workspace), name="Spring roast", content={}
    )
    return Batch.objects.create(mailing=mailing, first_number=1, last_number=10)


def worked(monkeypatch, seconds):
    now = iter([100.0, 100.0 + seconds, 100.0 + seconds])
    monkeypatch.setattr(yielding.time, "monotonic", lambda: next(now))
    return yielding.Shift()


def test_it_works_on_while_nothing_is_sent(batch, slept, monkeypatch):
    assert worked(monkeypatch, 2.0).rest() == 0
    assert not sum(slept)


def test_it_rests_three_times_as_long_as_it_worked_while_a_batch_is_in_work(batch, slept, monkeypatch):
    Batch.objects.update(state=BatchState.LEASED)
    worked(monkeypatch, 2.0).rest()
    assert slept == [6.0]


def test_it_never_rests_so_long_that_it_would_be_taken_for_dead(batch, slept, monkeypatch):
    Batch.objects.update(state=BatchState.LEASED)
    worked(monkeypatch, 500.0).rest()
    assert slept == [yielding.LONGEST_REST_SECONDS]


def test_an_import_rests_after_each_block_that_it_reads_and_each_slice_that_it_merges(
    an_import, slept, monkeypatch
):
    monkeypatch.setattr(registry, "is_busy", [lambda: True])
    monkeypatch.setattr(read, "CHUNK_ROWS", 2)
    run = an_import("email\n" + "".join(f"p{n}@example.com\n" for n in range(5)))
    assert len(slept) == 3 + 1  # the check counts by slices, too
    run_import(import_id=run.pk)
    assert len(slept) == 5
    assert min(slept) > 0


def test_a_bulk_action_rests_after_each_chunk_but_the_last(workspace, slept, monkeypatch):
    monkeypatch.setattr(registry, "is_busy", [lambda: True])
    monkeypatch.setattr("contacts.bulk.run.CHUNK_PEOPLE", 2)
    for n in range(5):
        Contact.objects.create(workspace=workspace, email=f"p{n}@example.com")
    plan = Plan(BulkAction.ADD_TAGS, "Tag", {}, new_tags=("Coffee",))
    run = bulk.ask(workspace, plan, Whom(chosen.of_finder(Finder()), "Everybody"), by=None)
    run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.changed_count) == ("done", 5)
    assert len(slept) == 2
    assert min(slept) > 0
