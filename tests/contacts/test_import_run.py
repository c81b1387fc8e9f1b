import datetime
import re
from pathlib import Path

import pytest
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contacts import runs
from contacts.actions import imports as actions
from contacts.importing import lanes, merge, reader, stage
from contacts.importing import run as running
from contacts.jobs import run_import
from contacts.models import (
    Contact,
    CustomField,
    Import,
    ImportRefusal,
    ImportState,
    List,
    Subscription,
    SubscriptionStatus,
    Suppression,
)
from contacts.queries import erasure
from tests.builders import a_contact
from tests.contacts.imports import carried_out, counts, everything

FILES = Path(__file__).parent / "files"


def test_mailchimps_export_is_taken_whole(an_import, news):
    run = carried_out(an_import((FILES / "mailchimp_export_utf8_bom.csv").read_bytes(), lists=[news]))
    assert run.state == ImportState.DONE
    assert counts(run) == {"row": 500, "people": 500, "created": 500}
    contact = Contact.objects.get(email="user0@example.com")
    assert (contact.first_name, contact.last_name) == ("李", "Müller")
    assert contact.attributes["birthday"] == "--01-01"
    subscription = contact.subscriptions.get()
    assert subscription.status == SubscriptionStatus.SUBSCRIBED
    assert subscription.consent_source == "Import of people.csv by Bob: web form"
    assert subscription.consent_at == datetime.datetime(
        2024, 1, 1, 10, 5, tzinfo=datetime.UTC
    )  # its CONFIRM_TIME
    assert Contact.objects.sendable().count() == 500
    assert not run.file.storage.exists(run.file.name)  # addresses do not lie about on a disk


def test_excels_semicolons_commas_and_umlauts_are_understood(an_import):
    run = carried_out(an_import((FILES / "excel_semicolon_cp1252.csv").read_bytes()))
    assert counts(run) == {"row": 300, "people": 300, "created": 300}
    contact = Contact.objects.get(email="kunde1@example.de")
    assert (contact.first_name, contact.last_name) == ("José", "Weiß")
    assert contact.attributes == {"stadt": "München", "umsatz": 13.01, "kunde_seit": "2023-02-02"}


def test_utf16_with_tabs_is_taken(an_import):
    assert counts(carried_out(an_import((FILES / "tabs_utf16.tsv").read_bytes())))["created"] == 200


def test_a_file_without_header_loses_no_row(an_import):
    assert counts(carried_out(an_import((FILES / "headerless.txt").read_bytes())))["created"] == 50


def test_bad_addresses_are_refused_with_number_text_and_reason(an_import):
    run = carried_out(an_import((FILES / "dirty.csv").read_bytes()))
    refused = dict(ImportRefusal.objects.filter(run=run).values_list("row_number", "text"))
    assert set(refused) == set(range(2, 14))
    assert "two@at@example.com" in refused[5]
    assert ImportRefusal.objects.get(run=run, row_number=4).reason.startswith("The part after the @-sign")
    taken = set(Contact.objects.values_list("email", flat=True))
    assert taken == {
        "padded@example.com", "UPPER@example.com", "plus+tag@example.com", "dash-ed@sub.example.co.uk",
        "üñî@example.com", "user@bücher.example", "angle@example.com", "o'brien@example.com",
        "new@example.travel",
    }  # fmt: skip
    assert counts(run) == {"row": 22, "people": 9, "created": 9, "refused": 12, "repeated": 1}
    assert Contact.objects.get(email="padded@example.com").attributes["company"] == 'He said "hi"'


def test_of_repeated_rows_the_last_filled_cells_count(an_import):
    run = carried_out(an_import((FILES / "duplicates.csv").read_bytes()))
    contact = Contact.objects.get()
    assert (contact.email, contact.first_name, contact.attributes) == (
        "dup@example.com",
        "Anna",
        {"city": "Paris"},
    )
    assert counts(run) == {"row": 3, "people": 1, "created": 1, "repeated": 2}


def test_ragged_rows_are_taken_and_extra_cells_reported(an_import):
    run = carried_out(an_import((FILES / "ragged.csv").read_bytes()))
    assert counts(run) == {"row": 3, "people": 3, "created": 3, "extra": 1}
    assert Contact.objects.get(email="last@example.com").attributes == {"city": "Paris"}


def test_nul_and_unclosed_quotes_are_refused_by_their_row(an_import):
    run = carried_out(an_import((FILES / "broken_bytes.csv").read_bytes()))
    reasons = dict(ImportRefusal.objects.filter(run=run).values_list("row_number", "reason"))
    assert "NUL" in reasons[2]
    assert reasons[4] == "A quotation mark opens and is not closed in line 4."
    assert run.state == ImportState.DONE


def test_bytes_of_another_encoding_are_refused_by_their_row(an_import):
    run = carried_out(
        an_import("email,first_name\na@example.com,Zoé\n".encode("cp1252"), reading={"encoding": "utf-8-sig"})
    )
    assert "another encoding" in ImportRefusal.objects.get(run=run).reason


def test_filled_cells_update_and_empty_ones_leave(an_import, workspace):
    Contact.objects.create(
        workspace=workspace,
        email="Anna@example.com",
        first_name="Anna",
        attributes={"city": "Rome", "vip": True},
    )
    run = carried_out(an_import("email,first_name,last_name,city\nanna@example.com,,Doe,Paris\n"))
    contact = Contact.objects.get()
    assert (contact.email, contact.first_name, contact.last_name) == ("Anna@example.com", "Anna", "Doe")
    assert contact.attributes == {"city": "Paris", "vip": True}
    assert counts(run) == {"row": 1, "people": 1, "updated": 1}


def test_nobody_is_subscribed_again(an_import, workspace, news):
    gone = Contact.objects.create(workspace=workspace, email="gone@example.com")
    Subscription.objects.create(
        workspace=workspace, contact=gone, list=news, status=SubscriptionStatus.UNSUBSCRIBED
    )
    Suppression.objects.create(workspace=workspace, email="never@example.com", reason="complaint")
    run = carried_out(
        an_import(
            "email,first_name\ngone@example.com,Gus\nNever@example.com,Nell\nnew@example.com,Ned\n",
            lists=[news],
        )
    )
    assert counts(run) == {"row": 3, "people": 3, "created": 2, "updated": 1, "held": 2}
    assert list(news.subscriptions.filter(status="subscribed").values_list("contact__email", flat=True)) == [
        "new@example.com"
    ]
    gone.refresh_from_db()
    assert gone.first_name == "Gus"


def test_another_workspaces_contacts_stay_as_they_are(an_import, mallory):
    theirs = Contact.objects.create(
        workspace=mallory.workspaces.get(), email="anna@example.com", first_name="Theirs"
    )
    assert counts(carried_out(an_import("email,first_name\nanna@example.com,Ours\n")))["created"] == 1
    theirs.refresh_from_db()
    assert theirs.first_name == "Theirs"


def test_a_value_that_is_not_of_its_type_refuses_the_row(an_import, workspace):
    CustomField.objects.create(workspace=workspace, key="age", label="Age", type="number")
    run = carried_out(an_import("email,age\na@example.com,41\nb@example.com,old\nc@example.com,n/a\n"))
    assert ImportRefusal.objects.get(run=run).reason == "Age: “old” is not a number."
    assert dict(Contact.objects.values_list("email", "attributes")) == {
        "a@example.com": {"age": 41},
        "c@example.com": {},
    }


def by_slices_of(monkeypatch, rows):
    monkeypatch.setattr(stage, "SLICE_ROWS", rows)


def silent_for_a_minute(run):
    Import.objects.filter(pk=run.pk).update(progress_at=timezone.now() - datetime.timedelta(seconds=61))


def test_people_are_looked_up_by_the_right_index_even_where_the_planner_knows_nothing(
    an_import, news, monkeypatch
):
    run = an_import("email\nann@example.com\n", lists=[news])
    plans, execute = [], CursorWrapper.execute

    def explained(cursor, statement, parameters=None):
        if "outcome AS MATERIALIZED" in str(statement):
            with connection.cursor() as another:
                execute(another, "SHOW enable_sort")
                assert another.fetchone() == ("off",)  # else another index with a sort may seem as cheap
                execute(another, "EXPLAIN " + statement, parameters)
                plans.append("\n".join(line for (line,) in another))
        return execute(cursor, statement, parameters)

    monkeypatch.setattr(CursorWrapper, "execute", explained)
    carried_out(run)
    (plan,) = plans
    assert not re.search(r"Seq Scan on contacts_(contact|subscription|suppression) ", plan)
    for index in ("one_contact_per_address", "one_suppression_per_address", "contacts_contact_pkey"):
        assert f"using {index}" in plan
    assert re.findall(r"using (\w+) on contacts_subscription", plan) == ["one_subscription_per_list"]


def test_a_killed_run_is_taken_up_after_its_last_committed_slice(an_import, news, monkeypatch):
    by_slices_of(monkeypatch, 10)
    rows = "".join(f"u{number % 40}@example.com,N{number}\n" for number in range(45)) + "bad,\n"
    run = an_import("email,first_name\n" + rows, lists=[news])
    whole, slices = merge.merge, []

    def dies_at_the_third(*args, **kwargs):
        slices.append(1)
        if len(slices) == 3:
            whole(*args, **kwargs)
            raise OperationalError("the connection is lost before the commit")
        return whole(*args, **kwargs)

    monkeypatch.setattr(merge, "merge", dies_at_the_third)
    with pytest.raises(OperationalError):
        run_import(import_id=run.pk)
    run.refresh_from_db()
    assert (run.state, run.done_count, Contact.objects.count()) == (ImportState.RUNNING, 18, 18)
    assert run_import(import_id=run.pk)["outcome"] == "not mine"  # it may still live
    silent_for_a_minute(run)
    assert actions.requeue_silent() == 1
    assert actions.requeue_silent() == 0
    run = carried_out(run)
    assert run.state == ImportState.DONE
    assert counts(run) == {"row": 46, "people": 40, "created": 40, "refused": 1, "repeated": 5}
    assert Contact.objects.get(email="u0@example.com").first_name == "N40"
    assert news.subscriptions.count() == 40


def test_a_killed_check_begins_again(an_import, bob, monkeypatch):
    run = an_import("email\na@example.com\nbad\na@example.com\n", started=False)
    whole = stage.fold

    def dies(*args, **kwargs):
        raise OperationalError("killed")

    actions.check(run, actions.Plan(reader.Reading("utf-8-sig", ",", True, "us"), ["email"]), by=bob)
    monkeypatch.setattr(stage, "fold", dies)
    with pytest.raises(OperationalError):
        run_import(import_id=run.pk)
    monkeypatch.setattr(stage, "fold", whole)
    silent_for_a_minute(run)
    actions.requeue_silent()
    assert carried_out(run).state == ImportState.CHECKED
    assert counts(run) == {"row": 3, "people": 1, "created": 1, "refused": 1, "repeated": 1}
    assert run.refusals.count() == 1


def test_a_staging_table_that_a_crash_emptied_is_filled_again(an_import, monkeypatch):
    by_slices_of(monkeypatch, 10)
    run = an_import("email\n" + "".join(f"u{number}@example.com\n" for number in range(25)) + "bad\n")
    whole = merge.merge

    def the_second_dies(wishes, number, written):
        if number == 1:
            raise OperationalError("the server is gone")
        return whole(wishes, number, written)

    monkeypatch.setattr(merge, "merge", the_second_dies)
    with pytest.raises(OperationalError):
        run_import(import_id=run.pk)
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {stage.table(run.pk)}")
    monkeypatch.setattr(merge, "merge", whole)
    silent_for_a_minute(run)
    run = carried_out(run)
    assert (run.state, run.done_count, run.total_count) == (ImportState.DONE, 25, 25)
    assert counts(run) == {"row": 26, "people": 25, "created": 25, "refused": 1}
    assert run.refusals.count() == 1


def test_of_two_workers_at_once_one_commits(an_import):
    run = an_import("email\na@example.com\n")
    first = running._claim(run.pk)
    silent_for_a_minute(run)
    assert run_import(import_id=run.pk)["outcome"] == "done"
    with pytest.raises(runs.Stopped):
        running._take(first, 0, {})
    assert Contact.objects.count() == 1


def test_a_slice_in_which_somebody_wrote_to_a_person_is_merged_again(an_import, workspace, monkeypatch):
    anna = a_contact(workspace, "anna@example.com", first_name="Anna")
    run = an_import("email,first_name,city\nanna@example.com,,Rome\n")
    whole, tries = merge.merge, []

    def somebody_is_quicker(*args, **kwargs):
        tries.append(1)
        if len(tries) == 1:
            raise merge.ChangedMeanwhile
        return whole(*args, **kwargs)

    monkeypatch.setattr(merge, "merge", somebody_is_quicker)
    assert carried_out(run).updated_count == 1
    anna.refresh_from_db()
    assert (anna.first_name, anna.attributes) == ("Anna", {"city": "Rome"})


def test_canceling_takes_back_what_was_done(an_import, workspace, bob, news, monkeypatch):
    by_slices_of(monkeypatch, 2)
    a_contact(workspace, "u1@example.com", first_name="Una")
    before = everything(workspace)
    rows = "".join(f"u{number}@example.com,N{number}\n" for number in range(6))
    run = an_import("email,first_name\n" + rows, lists=[news], tags=["Fair"])
    whole, slices = lanes.in_one_go, []

    def then_cancel(step):
        slices.append(1)
        if len(slices) == 3:
            actions.cancel(run, by=bob)
        return whole(step)

    monkeypatch.setattr(lanes, "in_one_go", then_cancel)
    assert run_import(import_id=run.pk)["outcome"] == "stopped"
    assert Contact.objects.filter(tag_ids__len__gt=0).count() > 1
    assert carried_out(run).state == ImportState.CANCELED
    assert everything(workspace) == before
    assert (run.taken_back["restored"], run.taken_back["deleted"]) == (1, 1)
    assert not run.file.storage.exists(run.file.name)
    assert actions.drop_leftovers() == 1


def test_stopping_a_check_goes_back_to_the_columns(an_import, bob):
    run = an_import("email\na@example.com\n", started=False)
    plan = actions.Plan(reader.Reading("utf-8-sig", ",", True, "us"), ["email"])
    actions.check(run, plan, by=bob)
    actions.cancel(run, by=bob)
    assert run_import(import_id=run.pk)["outcome"] == "not mine"
    run.refresh_from_db()
    assert run.state == ImportState.MAPPING
    assert run.file.storage.exists(run.file.name)


def test_an_archived_list_is_not_filled(an_import, news):
    run = an_import("email\na@example.com\n", lists=[news])
    List.objects.update(archived_at=timezone.now())
    assert "deleted or archived meanwhile" in carried_out(run).error
    assert not Contact.objects.exists()


def test_a_field_deleted_meanwhile_fails_the_import_in_words(an_import):
    run = an_import("email,city\na@example.com,Rome\n")
    CustomField.objects.all().delete()
    assert "The field “city” was deleted" in carried_out(run).error


def test_who_was_erased_does_not_come_back(an_import, monkeypatch):
    monkeypatch.setattr(erasure, "has_any", lambda workspace: True)
    gone = {"gone@example.com"}
    monkeypatch.setattr(erasure, "refused_addresses", lambda workspace, emails: gone & {*emails})
    run = an_import("email\nGone@example.com\nlater@example.com\nann@example.com\n", started=False)
    assert counts(run) == {"row": 3, "people": 2, "created": 2, "refused": 1}
    gone.add("later@example.com")  # between the check and the run
    actions.start(run, by=run.created_by)
    run = carried_out(run)
    assert counts(run) == {"row": 3, "people": 1, "created": 1, "refused": 2}
    assert [contact.email for contact in Contact.objects.all()] == ["ann@example.com"]
    assert all("erased" in refusal.reason for refusal in run.refusals.all())


def test_a_list_deleted_meanwhile_fails_the_import_in_words(an_import, news):
    run = an_import("email\na@example.com\n", lists=[news])
    news.delete()
    run = carried_out(run)
    assert run.state == ImportState.FAILED
    assert "A list that this import was to fill was deleted" in run.error
    assert not Contact.objects.exists()


def test_a_lost_file_fails_the_import_in_words(an_import):
    run = an_import("email\na@example.com\n")
    stage.drop(run.pk)  # so that the file is needed once more
    run.file.storage.delete(run.file.name)
    assert "can no longer be read" in carried_out(run).error


def test_a_job_for_an_import_that_is_no_more_does_nothing(db):
    assert run_import(import_id=4711)["outcome"] == "not mine"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=400)
    | st.text(max_size=200).map(lambda text: f"email,x\na@b.example,{text}".encode("utf-8", "replace"))
)
def test_no_bytes_break_an_import_or_leave_it_half_done(an_import, content):
    Contact.objects.all().delete()
    try:
        run = an_import(content)
    except reader.NotAFile:
        assert not Contact.objects.exists()
        return
    run = carried_out(run)
    assert run.state == ImportState.DONE
    assert run.row_count == run.created_count + run.refused_count + run.repeated_count
    assert run.done_count == run.total_count == run.people_count
    assert Contact.objects.count() == run.created_count
