"""Where two deeds meet over the same person: imports, merging, bulk actions, erasure, fields and segments."""

import datetime
import errno

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone
from rq.timeouts import JobTimeoutException

from accounts.queue import leaving
from contacts import runs
from contacts.actions import bulk, erasure, fields, growth, lists, merging, segments, tags
from contacts.actions import imports as actions
from contacts.actions.bulk import Plan, Whom
from contacts.chosen import of_ids
from contacts.importing import stage
from contacts.jobs import run_bulk, run_import, take_snapshot
from contacts.models import (
    BulkChunk,
    BulkRun,
    Contact,
    Export,
    Import,
    ImportBefore,
    ImportState,
    ListDay,
    Subscription,
)
from contacts.queries import growth as growing
from contacts.segments import matching
from tests.at_once import beside, until_waited_for
from tests.builders import a_contact, a_field, a_list, a_segment, a_tag
from tests.contacts.importing import upload
from tests.contacts.imports import carried_out

pytestmark = pytest.mark.django_db


def done_to(people, action, parameters, by):
    """A bulk action that a worker has carried out."""
    whom = Whom(of_ids(each.pk for each in people), "Some")
    run = bulk.ask(people[0].workspace, Plan(action, action, parameters, agreed=True), whom, by=by)
    run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    return run


def undone(run, by):
    undoing = bulk.undo(run, by=by)
    run_bulk(bulk_id=undoing.pk)
    undoing.refresh_from_db()
    return undoing


def attributes_of(email):
    return Contact.objects.get(email=email).attributes


# --- Snapshots and merging ----------------------------------------------------------------------------------


def test_who_was_in_a_snapshot_stays_in_it_as_the_contact_they_became(workspace, bob):
    both, gone = a_contact(workspace, "anna@gmail.com"), a_contact(workspace, "ann@gmail.com")
    kept = a_contact(workspace, "anna@example.com")
    snapshot = segments.freeze(a_segment(workspace), by=bob)
    take_snapshot(segment_id=snapshot.pk)
    snapshot.refresh_from_db()
    merging.merge(kept, gone, taken=set(), by=bob)
    assert set(matching(snapshot, workspace)) == {kept, both}
    merging.merge(kept, both, taken=set(), by=bob)
    assert set(matching(snapshot, workspace)) == {kept}
    assert list(snapshot.members.values_list("contact_id", flat=True)) == [kept.pk]


def test_a_segment_asks_for_the_tag_that_another_one_became(workspace, bob):
    anna, ben = a_contact(workspace, "anna@example.com"), a_contact(workspace, "ben@example.com")
    old, new = a_tag(workspace, "vips", anna), a_tag(workspace, "VIP", ben)
    some = {"subject": "tags", "operator": "any_of", "value": [old.pk]}
    all_of = {"subject": "tags", "operator": "all_of", "value": [old.pk, new.pk]}
    segment = a_segment(workspace, "Fans", some)
    nested = a_segment(workspace, "Nested", {"join": "or", "rules": [all_of]})
    tags.merge(old, into=new, by=bob)
    for each in (segment, nested):
        each.refresh_from_db()
        assert set(matching(each, workspace)) == {anna, ben}
    assert nested.rules["rules"][0]["rules"][0]["value"] == [new.pk]


# --- Growth -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("action", "parameters"), [("remove_from_list", {}), ("unsubscribe", {})])
def test_undoing_does_not_write_the_past_of_a_list_anew(workspace, bob, action, parameters):
    news = a_list(workspace)
    people = [a_contact(workspace, f"p{number}@example.com", subscribed_to=[news]) for number in range(3)]
    then = timezone.now() - datetime.timedelta(days=10)
    Subscription.objects.all().delete()
    for each in people:
        Subscription.objects.create(
            workspace=workspace,
            contact=each,
            list=news,
            status="subscribed",
            consent_at=then,
            created_at=then,
        )
    run = done_to(people, action, {"list": news.pk}, bob)
    undone(run, bob)
    growth.fold()
    totals = [step.total for step in growing.growth(news, subscribed=3, days=30).steps]
    assert totals[-11:] == [3] * 11
    assert set(totals[:-11]) == {0}
    assert ListDay.objects.get(list=news, day=then.date()).joined_count == 3


# --- Fields and what is kept to undo ------------------------------------------------------------------------


def test_a_deleted_field_does_not_come_back_by_undoing_an_import(an_import, workspace, bob):
    city = a_field(workspace)
    a_contact(workspace, "anna@example.com", city="Köln")
    run = carried_out(an_import("email,city\nanna@example.com,\n", mode="overwrite"))
    assert attributes_of("anna@example.com") == {}
    fields.delete(city, by=bob)
    assert not ImportBefore.objects.filter(attributes__has_key="city").exists()
    actions.undo(run, by=bob)
    carried_out(run)
    assert attributes_of("anna@example.com") == {}


def test_undoing_an_import_gives_back_an_option_as_it_is_called_now(an_import, workspace, bob):
    size = a_field(workspace, "Size", type="choice", options=["small", "large", "huge"])
    a_contact(workspace, "anna@example.com", size="small")
    a_contact(workspace, "ben@example.com", size="huge")
    run = carried_out(an_import("email,size\nanna@example.com,large\nben@example.com,large\n"))
    settings = fields.Settings("Size", options=["S", "large"])
    fields.change(size, settings=settings, renamed={"small": "S", "huge": None}, by=bob)
    actions.undo(run, by=bob)
    carried_out(run)
    assert attributes_of("anna@example.com") == {"size": "S"}
    assert attributes_of("ben@example.com") == {}


def test_undoing_a_bulk_action_gives_back_an_option_as_it_is_called_now(workspace, bob):
    size = a_field(workspace, "Size", type="choice", options=["small", "large", "huge"])
    people = [
        a_contact(workspace, "anna@example.com", size="small"),
        a_contact(workspace, "ben@example.com", size="huge"),
    ]
    run = done_to(people, "set_field", {"field": size.pk, "value": "large"}, bob)
    settings = fields.Settings("Size", options=["S", "L"])
    fields.change(size, settings=settings, renamed={"small": "S", "huge": None, "large": "L"}, by=bob)
    undone(run, bob)
    assert attributes_of("anna@example.com") == {"size": "S"}
    assert attributes_of("ben@example.com") == {}


def test_an_option_that_was_removed_meanwhile_is_set_for_nobody(workspace, bob):
    size = a_field(workspace, "Size", type="choice", options=["small", "large"])
    anna = a_contact(workspace, "anna@example.com", size="small")
    whom = Whom(of_ids([anna.pk]), "Anna")
    run = bulk.ask(workspace, Plan("set_field", "Set", {"field": size.pk, "value": "large"}), whom, by=bob)
    fields.change(size, settings=fields.Settings("Size", options=["small"]), renamed={"large": None}, by=bob)
    run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    assert run.state == "failed"
    assert "meanwhile" in run.error
    assert attributes_of("anna@example.com") == {"size": "small"}


@pytest.mark.parametrize("change", ["removed", "renamed", "made anew"])
def test_an_import_whose_field_changed_after_the_check_says_so(an_import, workspace, bob, change):
    size = a_field(workspace, "Size", type="choice", options=["small", "large"])
    run = an_import("email,size\nanna@example.com,large\n", started=change != "removed")
    if change == "made anew":
        fields.delete(size, by=bob)
        a_field(workspace, "Size", type="number")
    else:
        options = ["small"] if change == "removed" else ["small", "L"]
        renamed = {"large": None if change == "removed" else "L"}
        fields.change(size, settings=fields.Settings("Size", options=options), renamed=renamed, by=bob)
    if change == "removed":
        with pytest.raises(actions.Refusal, match="“Size” was changed"):
            actions.start(run, by=bob)
        return
    run = carried_out(run)
    assert run.state == ImportState.FAILED
    assert "Size" in run.error or "size" in run.error
    assert not Contact.objects.exists()


def test_nobody_is_left_unconfirmed_on_a_list_that_asks_nobody_any_more(an_import, workspace, bob):
    club = a_list(workspace, "Club", opt_in="double")
    run = an_import("email\nanna@example.com\n", lists=[club], status="pending")
    lists.change(club, name="Club", description="", opt_in="single", by=bob)
    run = carried_out(run)
    assert run.state == ImportState.FAILED
    assert "“Club” is single opt-in" in run.error
    assert not Contact.objects.exists()


# --- Erasure ------------------------------------------------------------------------------------------------


def test_an_erased_address_does_not_come_back_in_a_friends_field_by_undoing(an_import, workspace, ada, bob):
    email = "annabel@example.com"
    by = a_field(workspace, "By")
    friend = a_contact(workspace, "friend@example.com", by=email)
    other = a_contact(workspace, "other@example.com", by=email)
    run = carried_out(an_import("email,by\nfriend@example.com,Tom\n"))
    deed = done_to([other], "set_field", {"field": by.pk, "value": "Tom"}, bob)
    erasure.erase(a_contact(workspace, email), by=ada)
    actions.undo(run, by=bob)
    carried_out(run)
    undone(deed, bob)
    assert attributes_of(friend.email) == attributes_of(other.email) == {}
    assert not BulkChunk.objects.filter(earlier__icontains=email).exists()


def test_a_name_that_reads_like_a_part_of_json_breaks_nothing(workspace, ada, bob):
    two = a_contact(workspace, "two@example.com", first_name="2", last_name="1")
    one = a_contact(workspace, "one@example.com", first_name='"join":', last_name='"and"')
    export = Export.objects.create(workspace=workspace, name="For 2 1", chosen={"ids": [1, 2], "q": "2 1!"})
    segment = a_segment(workspace)
    for each in (two, one):
        erasure.erase(each, by=ada)
    export.refresh_from_db()
    segment.refresh_from_db()
    assert export.chosen == {"ids": [1, 2], "q": "erased person!"}
    assert export.name == "For erased person"
    assert segment.rules["join"] == "and"


def test_what_an_import_found_says_nothing_of_who_was_erased(an_import, workspace, ada):
    email = "annabel@example.com"
    run = an_import(f"email,tags\nben@example.com,{email}\n", started=False, tags=[f"Asked {email}"])
    assert email in str(run.findings)
    erasure.erase(a_contact(workspace, email), by=ada)
    run.refresh_from_db()
    assert email not in str(run.findings) + str(run.tags)


def test_of_an_erased_person_in_a_file_the_number_alone_is_kept(an_import, workspace, ada):
    erasure.erase(a_contact(workspace, "annabel@example.com"), by=ada)
    run = an_import("email,name\nANNABEL@example.com,Annabel\nben@example.com,Ben\n", started=False)
    assert list(run.refusals.values_list("row_number", "text")) == [(2, "")]
    assert "asked to be erased" in run.refusals.get().reason


# --- Files --------------------------------------------------------------------------------------------------


def test_a_failed_import_can_be_undone_after_its_file_was_deleted(an_import, workspace, bob, monkeypatch):
    run = carried_out(an_import("email\nanna@example.com\n"))
    Import.objects.filter(pk=run.pk).update(
        state=ImportState.FAILED, created_at=timezone.now() - datetime.timedelta(days=8)
    )
    assert actions.forget_abandoned() == 1
    run.refresh_from_db()
    actions.undo(run, by=bob)
    assert carried_out(run).state == ImportState.UNDONE
    assert not Contact.objects.exists()


def test_a_file_that_finds_no_room_is_refused_in_words_and_leaves_nothing(
    sign_in, bob, workspace, monkeypatch, settings
):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("django.core.files.storage.filesystem.locks.lock", full)
    answer = upload(sign_in(bob), b"email\nanna@example.com\n")
    assert answer.status_code == 422
    assert "no room left" in answer.text
    assert [path for path in settings.MEDIA_ROOT.rglob("*") if path.is_file()] == []
    assert not Import.objects.exists()


# --- At once ------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("deed", ["tag", "field"])
def test_a_deed_that_meets_another_one_over_the_same_people_waits_for_it(workspace, bob, deed):
    """The other one holds the first by address and asks for the last; whichever order the deed takes, it is done."""
    last, first = a_contact(workspace, "z@example.com"), a_contact(workspace, "a@example.com")
    city, tag = a_field(workspace), a_tag(workspace, "VIP", last, first)
    Contact.objects.update(attributes={"city": "Bonn"})
    deeds = {
        "tag": lambda: tags.delete(tag, by=bob),
        "field": lambda: fields.delete(city, by=bob),
    }
    with transaction.atomic():
        Contact.objects.select_for_update(no_key=True).get(pk=first.pk)
        doing = beside(deeds[deed])
        until_waited_for()
        try:
            with transaction.atomic():
                Contact.objects.select_for_update(no_key=True).get(pk=last.pk)
        except OperationalError:
            pytest.fail("the one that came first was ended")
    doing.result(20)
    assert not Contact.objects.filter(
        **{"tag_ids__contains": [tag.pk]} if deed == "tag" else {"pk": 0}
    ).exists()


@pytest.mark.django_db(transaction=True)
def test_the_clock_does_not_wait_for_a_run_that_is_at_work(workspace, bob):
    """A long step holds the run's row; its worker lives, however old its last sign is."""
    old = timezone.now() - datetime.timedelta(minutes=5)
    run = BulkRun.objects.create(
        workspace=workspace, action="add_tags", name="Tag", state="running", progress_at=old
    )
    with transaction.atomic():
        BulkRun.objects.select_for_update(no_key=True).get(pk=run.pk)
        assert beside(bulk.requeue_silent).result(10) == 0
    assert bulk.requeue_silent() == 1


# --- Workers that are told to stop --------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["check", "import", "undo"])
def test_a_worker_told_to_stop_leaves_the_import_to_the_next_one(
    an_import, workspace, bob, monkeypatch, phase
):
    monkeypatch.setattr(stage, "SLICE_ROWS", 2)
    monkeypatch.setattr("contacts.importing.read.CHUNK_ROWS", 2)
    run = an_import("email\n" + "\n".join(f"p{number}@example.com" for number in range(7)))
    if phase == "check":
        Import.objects.filter(pk=run.pk).update(task="check")
    if phase == "undo":
        carried_out(run)
        actions.undo(run, by=bob)
    steps, real = [], runs.alive

    def alive(*args, **values):
        real(*args, **values)
        steps.append(values)
        if len(steps) == 4:
            leaving.set()

    monkeypatch.setattr(runs, "alive", alive)
    try:
        assert run_import(import_id=run.pk)["outcome"] == "left"
    finally:
        leaving.clear()
    run.refresh_from_db()
    assert run.state == ImportState.QUEUED
    run = carried_out(run)
    assert run.state == {"check": "checked", "import": "done", "undo": "undone"}[phase], run.error
    assert Contact.objects.count() == {"check": 0, "import": 7, "undo": 0}[phase]


@pytest.mark.parametrize("of", ["import", "bulk"])
def test_the_hour_that_rq_gives_a_job_fails_nothing(an_import, workspace, bob, monkeypatch, of):
    """It is taken up again by the clock, as of a killed worker."""

    def over(*_, **__):
        raise JobTimeoutException

    monkeypatch.setattr("contacts.importing.merge.merge", over)
    monkeypatch.setattr("contacts.bulk.run._do_chunk", over)
    if of == "import":
        run = an_import("email\nanna@example.com\n")
        with pytest.raises(JobTimeoutException):
            run_import(import_id=run.pk)
    else:
        anna = a_contact(workspace)
        run = bulk.ask(workspace, Plan("suppress", "Suppress", {}), Whom(of_ids([anna.pk]), "Anna"), by=bob)
        with pytest.raises(JobTimeoutException):
            run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.error) == ("running", "")
