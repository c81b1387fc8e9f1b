"""Bulk actions: each changes whom it says, counts everybody once, and undoing it gives back what was before."""

import datetime

import pytest
from django.db import OperationalError
from django.utils import timezone

from accounts.models import AuditEntry
from accounts.queue import leaving
from contacts import chosen
from contacts.actions import bulk as actions
from contacts.actions import contacts, erasure, subscriptions, suppression
from contacts.actions.bulk import Plan, Whom
from contacts.actions.tags import named
from contacts.bulk import run as running
from contacts.jobs import run_bulk
from contacts.models import BulkChunk, BulkRun, Contact, Subscription, Suppression
from contacts.queries import growth
from contacts.queries.bulk import left_to_undo
from contacts.queries.contacts import Finder
from tests.at_once import beside
from tests.builders import a_contact, a_field, a_list, a_segment
from tests.people import a_workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def do(workspace, bob):
    """do("add_tags", {...}) asks for a deed for everybody, or for `people`, and lets the worker do it."""

    def ask(action, parameters=None, *, people=None, finder=None, segment=None, run=True, **plan) -> BulkRun:
        whom = chosen.of_finder(finder or Finder())
        if people is not None:
            whom = chosen.of_ids(each.pk for each in people)
        elif segment:
            whom = chosen.of_segment(segment)
        plan = {"agreed": True, **plan}
        asked = actions.ask(
            workspace, Plan(action, action, parameters or {}, **plan), Whom(whom, "Some"), by=bob
        )
        if run:
            run_bulk(bulk_id=asked.pk)
            asked.refresh_from_db()
        return asked

    return ask


@pytest.fixture
def undo(bob):
    def ask(run) -> BulkRun:
        undoing = actions.undo(run, by=bob)
        run_bulk(bulk_id=undoing.pk)
        undoing.refresh_from_db()
        run.refresh_from_db()
        return undoing

    return ask


def some(workspace, count, **fields):
    return [a_contact(workspace, f"p{number}@example.com", **fields) for number in range(count)]


def counts(run):
    assert run.done_count == run.changed_count + run.unchanged_count + run.held_count
    return run.changed_count, run.unchanged_count, run.held_count


def snapshot(workspace):
    """Everything that deeds change, but for when it was written."""
    people = Contact.objects.of(workspace).order_by("pk")
    return (
        [
            (pk, attributes, sorted(tags))
            for pk, attributes, tags in people.values_list("pk", "attributes", "tag_ids")
        ],
        list(Subscription.objects.filter(workspace=workspace).order_by("contact", "list").values()),
        list(Suppression.objects.of(workspace).order_by("email").values()),
    )


def a_mixed_workspace(workspace):
    """Seven people in every standing towards News, with tags, fields and a suppression among them."""
    news, club = a_list(workspace, "News"), a_list(workspace, "Club")
    field = a_field(workspace, "City")
    people = some(workspace, 7, subscribed_to=[club])
    now = timezone.now()
    standings = [
        {},
        {"status": "subscribed", "consent_source": "Form", "consent_at": now, "consent_ip": "192.0.2.1"},
        {"status": "pending", "consent_source": "Form"},
        {
            "status": "unsubscribed",
            "consent_source": "Form",
            "unsubscribed_at": now,
            "unsubscribe_source": "Link",
        },
        {
            "status": "unsubscribed",
            "consent_source": "Form",
            "unsubscribed_at": now,
            "unsubscribe_source": "Taken off by hand by Alice",
        },
        {},
        {},
    ]
    for person, standing in zip(people, standings, strict=True):
        if standing:
            Subscription.objects.create(workspace=workspace, contact=person, list=news, **standing)
    Suppression.objects.create(workspace=workspace, email=people[5].email, reason="complaint")
    red, blue = named(workspace, ["blue", "red"], by=None)
    Contact.objects.filter(pk=people[0].pk).update(tag_ids=[red.pk], attributes={"city": "Oslo", "age": 3})
    Contact.objects.filter(pk=people[1].pk).update(tag_ids=[blue.pk, red.pk], attributes={"city": "Berlin"})
    return people, {"list": news.pk, "tags": [red.pk, blue.pk], "field": field.pk, "value": "Berlin"}


DEEDS = {
    # action: changed, unchanged, held of the seven
    "add_to_list": (3, 1, 3),  # new: two; again: one; held: unconfirmed, left by themselves, suppressed
    "remove_from_list": (2, 5, 0),
    "add_tags": (6, 1, 0),
    "remove_tags": (2, 5, 0),
    "set_field": (6, 1, 0),
    "unsubscribe": (7, 0, 0),
    "suppress": (6, 1, 0),
}


@pytest.mark.parametrize("action", DEEDS)
@pytest.mark.parametrize("chunk", [2, 5000])
def test_a_deed_counts_everybody_once_and_its_undoing_gives_back_exactly_what_was(
    workspace, do, undo, action, chunk, monkeypatch
):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", chunk)
    _, parameters = a_mixed_workspace(workspace)
    before = snapshot(workspace)
    run = do(action, parameters)
    assert (run.state, run.total_count, counts(run)) == ("done", 7, DEEDS[action])
    assert snapshot(workspace) != before
    again = do(action, parameters)
    assert again.changed_count == 0, "done once, there is nothing to do"
    undoing = undo(run)
    assert (undoing.state, counts(undoing), undoing.total_count) == (
        "done",
        (DEEDS[action][0], 0, 0),
        DEEDS[action][0],
    )
    assert run.state == "undone"
    after = snapshot(workspace)
    for left, right in zip(before, after, strict=True):
        assert left == right


def test_only_who_agreed_and_may_be_put_on_a_list_is_and_the_record_says_how(workspace, do, bob):
    people, parameters = a_mixed_workspace(workspace)
    run = do("add_to_list", parameters | {"note": "at the fair"})
    on_it = Subscription.objects.filter(list=parameters["list"])
    status = {pk: on_it.get(contact=pk).status for pk in on_it.values_list("contact", flat=True)}
    assert [status.get(each.pk) for each in people] == [
        "subscribed",
        "subscribed",
        "pending",
        "unsubscribed",
        "subscribed",
        None,
        "subscribed",
    ]
    added = on_it.get(contact=people[0])
    assert added.consent_source == "Added with many others by Bob: at the fair"
    assert added.consent_at == run.started_at
    assert on_it.get(contact=people[1]).consent_source == "Form", "the first record of consent stays"
    with pytest.raises(subscriptions.NoConsent):
        do("add_to_list", parameters, agreed=False)


def test_off_a_list_by_hand_is_no_wish_of_their_own(workspace, do):
    news = a_list(workspace)
    some(workspace, 2, subscribed_to=[news])
    do("remove_from_list", {"list": news.pk})
    assert [
        (each.unsubscribe_source, each.left_by_themselves) for each in Subscription.objects.filter(list=news)
    ] == [("Taken off by hand by Bob", False)] * 2


def test_unsubscribed_from_everything_can_not_be_mailed(workspace, do):
    news, club = a_list(workspace, "News"), a_list(workspace, "Club")
    some(workspace, 3, subscribed_to=[news, club])
    run = do("unsubscribe")
    assert counts(run) == (3, 0, 0)
    assert not Subscription.objects.exclude(status="unsubscribed").exists()
    assert set(Suppression.objects.values_list("reason", "note")) == {
        ("manual", "Off every list. Taken off by hand by Bob")
    }


def test_a_new_tag_is_made_and_put_on(workspace, do):
    anna = a_contact(workspace)
    run = do("add_tags", new_tags=("Customer", "customer", "new"))
    anna.refresh_from_db()
    assert len(anna.tag_ids) == 2
    assert run.parameters["tags"] == sorted(anna.tag_ids)


@pytest.mark.parametrize(("kind", "value"), [("number", 3.5), ("boolean", False), ("date", "2024-12-31")])
def test_a_field_is_set_as_its_type_keeps_it_and_can_be_emptied(workspace, do, undo, kind, value):
    field = a_field(workspace, "Thing", type=kind)
    anna, tom = a_contact(workspace, thing=value), a_contact(workspace, "tom@example.com", other="x")
    run = do("set_field", {"field": field.pk, "value": value})
    tom.refresh_from_db()
    assert (tom.attributes, counts(run)) == ({"other": "x", "thing": value}, (1, 1, 0))
    emptied = do("set_field", {"field": field.pk, "value": None})
    anna.refresh_from_db()
    assert (anna.attributes, counts(emptied)) == ({}, (2, 0, 0))
    undo(emptied)
    anna.refresh_from_db()
    assert anna.attributes == {"thing": value}


def test_deleted_is_deleted_with_all_that_hangs_on_it_but_for_suppressions(workspace, do, bob):
    news = a_list(workspace)
    people = some(workspace, 3, subscribed_to=[news])
    Suppression.objects.create(workspace=workspace, email=people[0].email, reason="complaint")
    run = do("delete", people=people[:2])
    assert (counts(run), left_to_undo(run)) == ((2, 0, 0), 0)
    assert list(Contact.objects.values_list("email", flat=True)) == ["p2@example.com"]
    assert Subscription.objects.count() == 1
    assert Suppression.objects.count() == 1
    with pytest.raises(actions.WrongState, match="nothing here that can be undone"):
        actions.undo(run, by=bob)


# --- Whom it is for -----------------------------------------------------------------------------------


def test_a_search_a_list_a_segment_and_single_people_are_whom_it_is_for(workspace, do):
    news = a_list(workspace)
    a_contact(workspace, "anna@gmail.com", subscribed_to=[news])
    a_contact(workspace, "anna@example.com")
    a_contact(workspace, "tom@gmail.com", subscribed_to=[news])
    rules = {"subject": "email", "operator": "domain", "value": "gmail.com"}
    assert do("add_tags", new_tags=("a",), finder=Finder(search="anna")).changed_count == 2
    assert do("add_tags", new_tags=("b",), finder=Finder(in_list=news, search="tom")).changed_count == 1
    assert do("add_tags", new_tags=("c",), segment=a_segment(workspace, "Gmail", rules)).changed_count == 2
    assert do("add_tags", new_tags=("d",), people=[Contact.objects.first()]).changed_count == 1
    broken = a_segment(workspace, "Broken", {"subject": "attribute:gone", "operator": "is", "value": "x"})
    run = do("add_tags", new_tags=("e",), segment=broken)
    assert (run.state, run.total_count) == ("done", 0)


def test_another_workspaces_people_are_nobody(workspace, do):
    theirs = a_contact(a_workspace("Other"), "theirs@example.com")
    ours = a_contact(workspace, "ours@example.com")
    assert do("delete").total_count == 1
    a_contact(workspace, "ours@example.com")
    run = do("add_tags", new_tags=("x",), people=[theirs, ours])
    assert run.total_count == 0
    theirs.refresh_from_db()
    assert theirs.tag_ids == []


@pytest.mark.parametrize(
    ("action", "what"), [("add_to_list", "list"), ("add_tags", "tag"), ("set_field", "field")]
)
def test_another_workspaces_list_tag_or_field_ends_it_unchanged(workspace, do, action, what):
    other = a_workspace("Other")
    parameters = {
        "list": a_list(other).pk,
        "tags": [each.pk for each in named(other, ["theirs"], by=None)],
        "field": a_field(other).pk,
        "value": "x",
    }
    a_contact(workspace)
    before = snapshot(workspace)
    run = do(action, parameters)
    assert run.state == "failed"
    assert run.error == f"The {what} was deleted meanwhile."
    assert snapshot(workspace) == before


def test_who_was_added_after_it_was_asked_for_is_not_touched(workspace, do):
    a_contact(workspace)
    run = do("delete", run=False)
    a_contact(workspace, "later@example.com")
    run_bulk(bulk_id=run.pk)
    assert list(Contact.objects.values_list("email", flat=True)) == ["later@example.com"]


def test_whom_it_is_for_stays_when_the_search_finds_others_meanwhile(workspace, do, monkeypatch):
    """Setting the field that a segment asks for takes people out of it: every one of them is done all the same."""
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    field = a_field(workspace, "City")
    some(workspace, 5, city="Oslo")
    rules = {"subject": "attribute:city", "operator": "is", "value": "Oslo"}
    run = do(
        "set_field",
        {"field": field.pk, "value": "Berlin"},
        segment=a_segment(workspace, "In Oslo", rules),
    )
    assert counts(run) == (5, 0, 0)


# --- Undoing, after others changed something ----------------------------------------------------------


def test_who_left_by_themselves_since_stays_off_the_list(workspace, do, undo):
    news = a_list(workspace)
    anna, _tom = some(workspace, 2)
    run = do("add_to_list", {"list": news.pk})
    subscriptions.unsubscribe(anna, lists=[news], source="Link in “Spring”")
    assert counts(undo(run)) == (1, 0, 1)
    assert Subscription.objects.get(contact=anna).left_by_themselves
    assert Subscription.objects.count() == 1


def test_a_click_on_unsubscribe_after_being_taken_off_is_not_undone(workspace, do, undo):
    news = a_list(workspace)
    anna, _tom = some(workspace, 2, subscribed_to=[news])
    run = do("remove_from_list", {"list": news.pk})
    subscriptions.unsubscribe(anna, lists=[news], source="Link in “Spring”")
    assert counts(undo(run)) == (1, 0, 1)
    assert Subscription.objects.get(contact=anna).left_by_themselves


@pytest.mark.parametrize("action", ["suppress", "unsubscribe"])
@pytest.mark.parametrize("reason", ["unsubscribed", "complaint", "hard_bounce"])
def test_what_the_person_or_their_server_said_since_stays(workspace, do, undo, action, reason):
    anna, _tom = some(workspace, 2)
    run = do(action, {"note": "old customers"})
    assert not suppression.suppress(workspace, email=anna.email, reason="manual", note="x")
    suppression.suppress(workspace, email=anna.email, reason=reason, note="said so")
    assert counts(undo(run)) == (1, 0, 1)
    held = Suppression.objects.get()
    assert (held.email, held.reason) == (anna.email, reason)
    assert held.note.startswith("said so. Before: ")


def test_another_value_since_is_kept(workspace, do, undo):
    field = a_field(workspace, "City")
    anna, tom = some(workspace, 2, city="Oslo")
    run = do("set_field", {"field": field.pk, "value": "Berlin"})
    Contact.objects.filter(pk=anna.pk).update(attributes={"city": "Porto"})
    assert counts(undo(run)) == (1, 0, 1)
    anna.refresh_from_db()
    tom.refresh_from_db()
    assert (anna.attributes["city"], tom.attributes["city"]) == ("Porto", "Oslo")


def test_a_contact_or_a_tag_deleted_since_is_no_trouble(workspace, do, undo):
    news = a_list(workspace)
    anna, tom, _eve = some(workspace, 3, subscribed_to=[news])
    red, blue = named(workspace, ["blue", "red"], by=None)
    Contact.objects.update(tag_ids=[blue.pk, red.pk])
    untagged, off = do("remove_tags", {"tags": [red.pk, blue.pk]}), do("remove_from_list", {"list": news.pk})
    anna.delete()
    red.delete()
    assert counts(undo(untagged)) == (2, 0, 1)
    assert counts(undo(off)) == (2, 0, 1)
    tom.refresh_from_db()
    assert tom.tag_ids == [blue.pk]


@pytest.mark.parametrize("way", ["bulk", "by hand", "erased"])
def test_what_undoing_keeps_of_somebody_goes_with_them_and_undoing_serves_the_others(
    workspace, do, undo, ada, way
):
    news, field = a_list(workspace), a_field(workspace)
    anna, tom = some(workspace, 2, city="Hidden place")
    for person in (anna, tom):
        Subscription.objects.create(
            workspace=workspace, contact=person, list=news, status="unsubscribed",
            consent_source=f"Form of person {person.pk}", unsubscribe_source="Taken off by hand by Bob",
        )  # fmt: skip
    moved = do("set_field", {"field": field.pk, "value": "Berlin"})
    added = do("add_to_list", {"list": news.pk})
    kept = lambda: str(list(BulkChunk.objects.values_list("earlier", flat=True)))  # noqa: E731
    gone = f"Form of person {anna.pk}"
    assert kept().count("Hidden place") == 2
    assert gone in kept()
    match way:
        case "bulk":
            do("delete", people=[anna])
        case "by hand":
            contacts.delete(anna, by=ada)
        case "erased":
            erasure.erase(anna, by=ada)
    assert kept().count("Hidden place") == 1
    assert gone not in kept()
    assert counts(undo(moved)) == (1, 0, 1)
    assert counts(undo(added)) == (1, 0, 1)
    assert Contact.objects.get().attributes == {"city": "Hidden place"}
    (back,) = Subscription.objects.values_list("contact", "status", "consent_source")
    assert back == (tom.pk, "unsubscribed", f"Form of person {tom.pk}")


def test_after_a_week_nothing_is_kept(workspace, do, bob):
    some(workspace, 3)
    run = do("add_tags", new_tags=("x",))
    assert actions.forget_old() == 0
    BulkRun.objects.filter(pk=run.pk).update(finished_at=timezone.now() - datetime.timedelta(days=8))
    run.refresh_from_db()
    with pytest.raises(actions.WrongState):
        actions.undo(run, by=bob)
    assert actions.forget_old() == 1
    assert not BulkChunk.objects.exists()


@pytest.mark.parametrize("action", DEEDS)
def test_what_is_kept_to_undo_names_nobody(workspace, do, action):
    _, parameters = a_mixed_workspace(workspace)
    do(action, parameters)
    (kept,) = BulkChunk.objects.values_list("earlier", flat=True)
    assert kept
    assert "@" not in str(kept)


def test_one_undoing_at_a_time_and_a_stopped_one_goes_on_with_the_rest(workspace, do, bob, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    some(workspace, 5)
    before = snapshot(workspace)
    run = do("add_tags", new_tags=("x",))
    first = actions.undo(run, by=bob)
    with pytest.raises(actions.WrongState, match="being undone already"):
        actions.undo(run, by=bob)
    stop_after(monkeypatch, first, done=2, by=bob)
    assert run_bulk(bulk_id=first.pk)["outcome"] == "stopped"
    run.refresh_from_db()
    assert (run.state, left_to_undo(run)) == ("done", 3)
    second = actions.undo(run, by=bob)
    assert run_bulk(bulk_id=second.pk)["people"] == 3
    assert snapshot(workspace) == before


# --- Stopped, killed, two at once ---------------------------------------------------------------------


def stop_after(monkeypatch, run, *, done, by):
    """Cancel once so many are done, as somebody does on the page."""
    real = running._one_step

    def step(running_run, deed):
        if running_run.pk == run.pk and running_run.done_count == done:
            actions.cancel(BulkRun.objects.get(pk=run.pk), by=by)
        return real(running_run, deed)

    monkeypatch.setattr(running, "_one_step", step)


def test_a_canceled_run_says_how_many_were_done_and_undoes_those(workspace, do, undo, bob, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    some(workspace, 5)
    before = snapshot(workspace)
    run = do("add_tags", new_tags=("x",), run=False)
    stop_after(monkeypatch, run, done=4, by=bob)
    assert run_bulk(bulk_id=run.pk)["outcome"] == "stopped"
    run.refresh_from_db()
    assert (run.state, run.done_count, counts(run), left_to_undo(run)) == ("canceled", 4, (4, 0, 0), 4)
    assert counts(undo(run)) == (4, 0, 0)
    assert snapshot(workspace) == before
    with pytest.raises(actions.WrongState):
        actions.cancel(run, by=bob)


def test_a_killed_run_is_taken_up_where_it_stopped_with_exact_counts(workspace, do, undo, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    some(workspace, 7)
    before = snapshot(workspace)
    run = do("add_tags", new_tags=("x",), run=False)
    real = running._count

    def killed(dying, size, **numbers):
        real(dying, size, **numbers)
        if dying.done_count == 4:
            raise KeyboardInterrupt  # after the chunk's statements, before its commit

    monkeypatch.setattr(running, "_count", killed)
    with pytest.raises(KeyboardInterrupt):
        run_bulk(bulk_id=run.pk)
    monkeypatch.setattr(running, "_count", real)
    run.refresh_from_db()
    assert (run.state, run.done_count) == ("running", 2)
    assert run_bulk(bulk_id=run.pk)["outcome"] == "not mine"
    BulkRun.objects.filter(pk=run.pk).update(progress_at=timezone.now() - datetime.timedelta(minutes=2))
    assert (actions.requeue_silent(), actions.requeue_silent()) == (1, 0)
    assert run_bulk(bulk_id=run.pk)["outcome"] == "done"
    run.refresh_from_db()
    assert counts(run) == (7, 0, 0)
    assert counts(undo(run)) == (7, 0, 0)
    assert snapshot(workspace) == before


def test_a_worker_that_was_taken_for_dead_does_nothing_more(workspace, do, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    some(workspace, 5)
    run = do("add_tags", new_tags=("x",), run=False)
    real, taken_over = running._one_step, []

    def step(running_run, deed):
        if running_run.done_count == 2 and not taken_over:
            taken_over.append(running_run)
            BulkRun.objects.filter(pk=run.pk).update(state="queued")
            assert run_bulk(bulk_id=run.pk)["outcome"] == "done"
        return real(running_run, deed)

    monkeypatch.setattr(running, "_one_step", step)
    assert run_bulk(bulk_id=run.pk)["outcome"] == "stopped"
    run.refresh_from_db()
    assert (run.state, counts(run)) == ("done", (5, 0, 0))


def test_a_worker_told_to_stop_leaves_the_rest_to_the_next(workspace, do):
    some(workspace, 2)
    run = do("add_tags", new_tags=("x",), run=False)
    leaving.set()
    try:
        assert run_bulk(bulk_id=run.pk)["outcome"] == "left"
    finally:
        leaving.clear()
    assert run_bulk(bulk_id=run.pk)["outcome"] == "done"


def test_a_chunk_that_the_database_ended_for_anothers_sake_is_done_again(workspace, do, monkeypatch):
    import psycopg

    some(workspace, 3)
    run = do("add_tags", new_tags=("x",), run=False)
    real, times = running._count, []

    def victim(dying, size, **numbers):
        real(dying, size, **numbers)
        if len(times) < 2:
            times.append(1)
            raise OperationalError("deadlock detected") from psycopg.errors.DeadlockDetected()

    monkeypatch.setattr(running, "_count", victim)
    assert run_bulk(bulk_id=run.pk)["outcome"] == "done"
    run.refresh_from_db()
    assert counts(run) == (3, 0, 0)


@pytest.mark.django_db(transaction=True)
def test_two_deeds_at_once_for_the_same_people_end_both(workspace, do, monkeypatch, at_once):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 3)
    news, club = a_list(workspace, "News"), a_list(workspace, "Club")
    field = a_field(workspace, "City")
    some(workspace, 12, subscribed_to=[club])
    pairs = [
        (("add_tags", {}, {"new_tags": ("x",)}), ("set_field", {"field": field.pk, "value": "Oslo"}, {})),
        (("add_to_list", {"list": news.pk}, {}), ("add_to_list", {"list": news.pk}, {})),
        (("remove_from_list", {"list": news.pk}, {}), ("unsubscribe", {}, {})),
        (("suppress", {}, {}), ("add_tags", {}, {"new_tags": ("y",)})),
        (("delete", {}, {}), ("add_tags", {}, {"new_tags": ("z",)})),
    ]
    for first, second in pairs:
        runs = [do(action, parameters, run=False, **more) for action, parameters, more in (first, second)]
        ended = at_once(*(lambda pk=run.pk: run_bulk(bulk_id=pk)["outcome"] for run in runs))
        assert ended == ["done", "done"]
        for run in runs:
            run.refresh_from_db()
            assert sum(counts(run)) == run.total_count
    assert not Contact.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_does_it(workspace, do):
    some(workspace, 3)
    run = do("add_tags", new_tags=("x",), run=False)
    both = [beside(lambda: run_bulk(bulk_id=run.pk)["outcome"]) for _ in range(2)]
    assert sorted(each.result(30) for each in both) == ["done", "not mine"]


def test_something_unexpected_is_said_and_what_was_done_can_be_undone(workspace, do, undo, monkeypatch):
    monkeypatch.setattr(running, "CHUNK_PEOPLE", 2)
    some(workspace, 4)
    before = snapshot(workspace)
    run = do("add_tags", new_tags=("x",), run=False)
    real = running._do_chunk

    def fails(dying):
        if dying.done_count:
            raise ValueError("boom")
        return real(dying)

    monkeypatch.setattr(running, "_do_chunk", fails)
    with pytest.raises(ValueError, match="boom"):
        run_bulk(bulk_id=run.pk)
    run.refresh_from_db()
    assert (run.state, counts(run)) == ("failed", (2, 0, 0))
    assert "Something unexpected" in run.error
    assert counts(undo(run)) == (2, 0, 0)
    assert snapshot(workspace) == before


def test_each_is_in_the_audit_trail(workspace, do, undo, bob):
    some(workspace, 1)
    run = do("add_tags", new_tags=("x",))
    undo(run)
    actions.cancel(do("suppress", run=False), by=bob)
    verbs = AuditEntry.objects.filter(verb__startswith="bulk.").order_by("pk").values_list("verb", flat=True)
    assert list(verbs) == ["bulk.asked", "bulk.undone", "bulk.asked", "bulk.canceled"]


def test_people_added_by_mistake_leave_no_peak_in_the_growth(workspace, do, undo):
    news = a_list(workspace, "News")
    a_contact(workspace, "anna@example.com")
    a_contact(workspace, "ben@example.com")
    before = growth.growth(news, subscribed=0, days=30)
    run = do("add_to_list", {"list": news.pk, "note": "at the fair"})
    assert growth.growth(news, subscribed=2, days=30).joined == 2
    undo(run)
    assert growth.growth(news, subscribed=0, days=30) == before
