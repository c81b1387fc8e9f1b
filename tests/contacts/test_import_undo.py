"""Taking an import back: exactly what it did, and nothing that others did since."""

import datetime

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.errors import WrongState
from contacts.actions import imports as actions
from contacts.actions.growth import fold
from contacts.actions.tags import named
from contacts.importing import stage
from contacts.models import (
    Contact,
    CustomField,
    Import,
    ImportBefore,
    ImportRefusal,
    ImportSlice,
    ImportState,
    List,
    Subscription,
    Suppression,
    Tag,
)
from contacts.queries import growth
from delivery.models import Delivery, Mailing
from tests.builders import a_contact, a_field, a_list, an_account
from tests.contacts.imports import carried_out, counts, everything


def undone(run, by):
    actions.undo(run, by=by)
    run = carried_out(run)
    assert run.state == ImportState.UNDONE, run.error
    return run


NAMES = st.sampled_from(["", "Ann", "Ben", 'O"Neil, \\N'])
ROWS = st.lists(
    st.tuples(
        st.sampled_from([f"{letter}@example.com" for letter in "abcdeABC"] + ["no address", ""]),
        NAMES,
        st.sampled_from(["", "1", "2.5", "many"]),
        st.sampled_from(["", "Rome", "Paris\\t", "Ös\tlo"]),
        st.sampled_from(["", "vip", "VIP;press", "press, new one"]),
    ),
    min_size=1,
    max_size=12,
)
HERE = st.lists(
    st.tuples(st.sampled_from("abcdx"), NAMES, st.sampled_from([None, 1, 3]), st.sampled_from([None, "Rome"]),
              st.sampled_from([(), ("vip",), ("press", "other")]),
              st.sampled_from(["", "subscribed", "unsubscribed", "pending"]), st.booleans()),
    max_size=5, unique_by=lambda person: person[0],
)  # fmt: skip


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=ROWS, here=HERE, mode=st.sampled_from(["fill", "add", "overwrite"]),
    status=st.sampled_from(["subscribed", "pending"]), tags=st.sampled_from([[], ["vip"], ["fair"]]),
)  # fmt: skip
def test_the_check_tells_what_the_run_does_and_undoing_leaves_no_trace(
    an_import, workspace, bob, monkeypatch, rows, here, mode, status, tags
):
    monkeypatch.setattr(stage, "SLICE_ROWS", 3)
    for model in (Contact, List, Suppression, CustomField, Tag):
        model.objects.all().delete()
    news = a_list(workspace)
    List.objects.update(opt_in="double")
    a_field(workspace, "Points", type="number")
    a_field(workspace, "City")
    for person in here:
        is_here(workspace, news, bob, *person)
    before = everything(workspace)
    text = "\n".join(
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row)
        for row in [
            ("email", "first_name", "points", "city", "tags"),
            ("z@example.com", "", "", "", ""),
            *rows,
        ]
    )
    columns = ["email", "first_name", "attribute:points", "attribute:city", "tags"]
    run = an_import(
        text, reading={"delimiter": ",", "has_header": True, "notation": "us"},
        columns=columns, mode=mode, status=status, lists=[news], tags=tags, started=False,
    )  # fmt: skip
    assert run.state == ImportState.CHECKED, run.error
    assert everything(workspace) == before
    told = counts(run) | {"subscribed": run.subscribed_count}
    actions.start(run, by=bob)
    carried_out(run)
    assert run.state == ImportState.DONE, run.error
    assert counts(run) | {"subscribed": run.subscribed_count} == told
    assert run.row_count == run.people_count + run.refused_count + run.repeated_count
    assert run.people_count == run.created_count + run.updated_count + run.unchanged_count
    assert Contact.objects.count() == len(before[0]) + run.created_count
    assert Subscription.objects.count() == len(before[1]) + run.subscribed_count
    undone(run, bob)
    assert everything(workspace) == before
    assert run.taken_back.get("deleted", 0) == run.created_count
    assert run.taken_back.get("restored", 0) == run.updated_count
    assert not ImportBefore.objects.exists()


def is_here(workspace, news, bob, letter, name, points, city, tags, status, is_suppressed):
    attributes = {key: value for key, value in (("points", points), ("city", city)) if value is not None}
    contact = a_contact(workspace, f"{letter}@example.com", first_name=name, **attributes)
    Contact.objects.filter(pk=contact.pk).update(
        tag_ids=[tag.pk for tag in named(workspace, tags, by=bob)] if tags else []
    )
    if status:
        Subscription.objects.create(workspace=workspace, contact=contact, list=news, status=status)
    if is_suppressed:
        Suppression.objects.create(workspace=workspace, email=contact.email, reason="manual")


def test_who_was_touched_since_is_kept_and_the_page_says_why(
    an_import, workspace, alice, bob, news, sign_in, client
):
    other = a_list(workspace, "Other")
    rows = "".join(f"{name}@example.com\n" for name in ("edited", "listed", "mailed", "left", "plain"))
    run = carried_out(an_import("email\n" + rows, lists=[news]))
    people = {contact.email.partition("@")[0]: contact for contact in Contact.objects.all()}
    Contact.objects.filter(pk=people["edited"].pk).update(first_name="Ed", updated_at=timezone.now())
    Subscription.objects.create(
        workspace=workspace, contact=people["listed"], list=other, status="subscribed"
    )
    Subscription.objects.filter(contact=people["left"]).update(status="unsubscribed")
    mailing = Mailing.objects.create(workspace=workspace, name="m", account=an_account(workspace), content={})
    Delivery.objects.create(mailing=mailing, number=1, email="mailed@example.com", contact=people["mailed"])
    run = undone(run, bob)
    assert {contact.email.partition("@")[0] for contact in Contact.objects.all()} == {*people} - {"plain"}
    assert list(news.subscriptions.values_list("contact__email", "status")) == [
        ("left@example.com", "unsubscribed")
    ]
    assert run.taken_back == {
        "people": 5, "unsubscribed": 4, "deleted": 1, "kept_changed": 1, "kept_on_lists": 2, "kept_mailed": 1,
    }  # fmt: skip
    page = sign_in(alice).get(f"/imports/{run.pk}/").text
    assert "1 new contact is kept: written to since." in page
    assert "2 new contacts are kept: on lists by another way" in page


def test_what_was_changed_since_keeps_its_values_and_loses_the_tags_alone(an_import, workspace, bob):
    a_field(workspace, "City")
    anna = a_contact(workspace, "anna@example.com", city="Oslo")
    run = carried_out(an_import("email,city\nanna@example.com,Rome\n", tags=["fair"]))
    Contact.objects.filter(pk=anna.pk).update(attributes={"city": "Bern"}, updated_at=timezone.now())
    run = undone(run, bob)
    anna.refresh_from_db()
    assert (anna.attributes, anna.tag_ids) == ({"city": "Bern"}, [])
    assert run.taken_back["changed_since"] == 1


def test_an_import_that_is_undone_leaves_no_peak_in_the_growth(an_import, workspace, bob, news):
    a_contact(workspace, "old@example.com", subscribed_to=[news])
    before = growth.growth(news, subscribed=1, days=30)
    run = carried_out(an_import("email\nanna@example.com\nben@example.com\n", lists=[news]))
    assert growth.growth(news, subscribed=3, days=30).joined == before.joined + 2
    fold()
    undone(run, bob)
    assert growth.growth(news, subscribed=1, days=30) == before
    fold()
    assert growth.growth(news, subscribed=1, days=30) == before


def test_two_imports_are_undone_in_turn(an_import, workspace, bob):
    a_field(workspace, "City")
    a_contact(workspace, "anna@example.com", city="Oslo")
    before = everything(workspace)
    first = carried_out(an_import("email,city\nanna@example.com,Rome\nben@example.com,Rome\n"))
    second = carried_out(an_import("email,city\nanna@example.com,Bern\nben@example.com,Bern\n"))
    undone(second, bob)
    assert dict(Contact.objects.values_list("email", "attributes__city")) == {
        "anna@example.com": "Rome", "ben@example.com": "Rome",
    }  # fmt: skip
    undone(first, bob)
    assert everything(workspace) == before


def test_undoing_is_taken_up_where_a_killed_worker_left_it(an_import, workspace, bob, monkeypatch):
    monkeypatch.setattr(stage, "SLICE_ROWS", 10)
    run = carried_out(an_import("email\n" + "".join(f"u{number}@example.com\n" for number in range(35))))
    actions.undo(run, by=bob)
    from contacts.importing import undo

    whole, slices = undo._take_back, []

    def dies_at_the_third(*args):
        slices.append(1)
        if len(slices) == 3:
            raise KeyboardInterrupt
        whole(*args)

    monkeypatch.setattr(undo, "_take_back", dies_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        carried_out(run)
    monkeypatch.setattr(undo, "_take_back", whole)
    Import.objects.update(progress_at=timezone.now() - datetime.timedelta(seconds=61))
    assert actions.requeue_silent() == 1
    run = carried_out(run)
    assert (run.state, run.taken_back["deleted"], run.done_count) == (ImportState.UNDONE, 35, 35)
    assert not Contact.objects.exists()


def test_what_failed_in_the_middle_can_be_undone(an_import, workspace, bob, news, monkeypatch):
    monkeypatch.setattr(stage, "SLICE_ROWS", 2)
    run = an_import("email\na@example.com\nb@example.com\nc@example.com\n", lists=[news])
    from contacts.importing import merge

    whole = merge.merge

    def then_the_list_goes(*args):
        counts = whole(*args)
        if counts.created:
            List.objects.update(archived_at=timezone.now())
        return counts

    monkeypatch.setattr(merge, "merge", then_the_list_goes)
    assert carried_out(run).state == ImportState.FAILED
    assert Contact.objects.exists()
    undone(run, bob)
    assert not Contact.objects.exists()


def test_it_is_too_late_after_seven_days_and_nothing_of_people_is_kept(an_import, workspace, bob):
    a_field(workspace, "City")
    a_contact(workspace, "anna@example.com", city="Oslo")
    run = carried_out(an_import("email,city\nanna@example.com,Rome\nben@example.com,Rome\nbad,Rome\n"))
    assert actions.forget_old() == 0
    Import.objects.update(finished_at=timezone.now() - datetime.timedelta(days=7, seconds=1))
    run.refresh_from_db()
    with pytest.raises(WrongState):
        actions.undo(run, by=bob)
    assert actions.forget_old() == 1
    assert not ImportBefore.objects.exists()
    assert not ImportSlice.objects.exists()
    refusal = ImportRefusal.objects.get()
    assert (refusal.text, bool(refusal.reason)) == ("", True)
    run.refresh_from_db()
    assert run.forgotten_at
    assert actions.forget_old() == 0


def test_it_is_undone_once(an_import, bob):
    run = undone(carried_out(an_import("email\na@example.com\n")), bob)
    with pytest.raises(WrongState):
        actions.undo(run, by=bob)
