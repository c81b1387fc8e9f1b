import csv
import datetime
import io
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts.models import Import, ImportRefusal, ImportState, Suppression
from tests.builders import a_contact, a_field, a_list
from tests.contacts.importing import imported, upload


def an_import(workspace, **fields):
    fields = {"file_name": "people.csv", "encoding": "utf-8-sig", "delimiter": ",", **fields}
    return Import.objects.create(workspace=workspace, file="imports/gone.csv", **fields)


def test_the_list_shows_each_import_and_finds_by_name(sign_in, carol, workspace):
    an_import(workspace, file_name="spring.csv", state=ImportState.DONE, created_count=1234)
    an_import(workspace, file_name="autumn.csv")
    page = sign_in(carol).get(reverse("imports"))
    assert "spring.csv" in page.text
    assert "1,234" in page.text
    found = sign_in(carol).get(reverse("imports"), {"q": "AUT\0umn"})
    assert "autumn.csv" in found.text
    assert "spring.csv" not in found.text


def test_an_empty_list_teaches(sign_in, bob, carol):
    assert reverse("import_new") in sign_in(bob).get(reverse("imports")).text
    assert reverse("import_new") not in sign_in(carol).get(reverse("imports")).text


def test_the_list_asks_the_same_number_of_queries_for_three_and_thirty(sign_in, bob, workspace):
    client, asked = sign_in(bob), []
    for count in (3, 27):
        for _ in range(count):
            an_import(workspace, created_by=bob)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("imports"))
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 15  # session, person, memberships, imports with who uploaded them


def test_a_running_import_asks_again_every_second_and_a_finished_one_does_not(sign_in, bob, workspace):
    run = an_import(
        workspace,
        state=ImportState.RUNNING,
        task="import",
        total_count=1000,
        done_count=250,
        started_at=timezone.now() - datetime.timedelta(seconds=5),
    )
    page = sign_in(bob).get(reverse("import", args=[run.pk]))
    assert "every 1s" in page.text
    assert "250 of 1,000 people" in page.text
    assert re.search(r"\d+ people a second, about 1\d s left", page.text)
    part = sign_in(bob).get(
        reverse("import", args=[run.pk]), headers={"HX-Request": "true", "HX-Target": "div#import-run"}
    )
    assert "<html" not in part.text
    Import.objects.filter(pk=run.pk).update(state=ImportState.DONE, created_count=900, row_count=9)
    page = sign_in(bob).get(reverse("import", args=[run.pk]))
    assert "every 1s" not in page.text
    assert "900" in page.text


def test_the_result_lists_refused_rows_and_gives_them_as_csv_without_formulas(sign_in, carol, workspace):
    run = an_import(workspace, state=ImportState.DONE, refused_count=2)
    ImportRefusal.objects.create(
        run=run, row_number=2, text="=cmd|' /C calc'!A0", reason="There is no @-sign."
    )
    ImportRefusal.objects.create(run=run, row_number=1007, text="<b>x</b>,Ann", reason="No address.")
    page = sign_in(carol).get(reverse("import", args=[run.pk]))
    assert "1,007" in page.text
    assert "<b>x</b>" not in page.text
    answer = sign_in(carol).get(reverse("import_refused", args=[run.pk]))
    rows = list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode("utf-8-sig"))))
    assert rows == [
        ["Row", "Reason", "Text"],
        ["2", "There is no @-sign.", "'=cmd|' /C calc'!A0"],
        ["1007", "No address.", "<b>x</b>,Ann"],
    ]


def test_a_failed_import_says_why(sign_in, carol, workspace):
    run = an_import(workspace, state=ImportState.FAILED, error="A list was deleted.")
    assert "A list was deleted." in sign_in(carol).get(reverse("import", args=[run.pk])).text


def test_an_import_without_columns_leads_the_marketer_to_them(sign_in, bob, carol, workspace):
    run = an_import(workspace)
    assert sign_in(bob).get(reverse("import", args=[run.pk])).url == reverse("import_map", args=[run.pk])
    assert "columns have not been chosen" in sign_in(carol).get(reverse("import", args=[run.pk])).text


@pytest.mark.parametrize(
    ("state", "task", "becomes"),
    [
        ("mapping", "check", "canceled"),
        ("checked", "check", "canceled"),
        ("queued", "check", "mapping"),
        ("running", "check", "mapping"),
        ("queued", "import", "queued"),
        ("running", "import", "queued"),
    ],
)
def test_a_marketer_cancels_what_has_not_ended(sign_in, bob, carol, workspace, state, task, becomes):
    run = an_import(workspace, state=state, task=task)
    assert sign_in(carol).post(reverse("import_cancel", args=[run.pk])).status_code == 403
    assert sign_in(bob).get(reverse("import_cancel", args=[run.pk])).status_code == 405
    assert sign_in(bob).post(reverse("import_cancel", args=[run.pk])).status_code == 302
    run.refresh_from_db()
    assert (run.state, run.task) == (becomes, "cancel" if becomes == "queued" else task)
    if becomes == "queued":
        assert "being taken back" in sign_in(carol).get(reverse("import", args=[run.pk])).text


@pytest.mark.parametrize(
    ("state", "task"), [("done", "import"), ("queued", "undo"), ("running", "cancel"), ("canceled", "check")]
)
def test_what_has_ended_or_is_taken_back_is_not_canceled(sign_in, bob, workspace, state, task):
    run = an_import(workspace, state=state, task=task)
    assert sign_in(bob).post(reverse("import_cancel", args=[run.pk])).status_code == 409


def a_finished(workspace, **fields):
    now = timezone.now()
    done = {"state": "done", "task": "import", "row_count": 3, "started_at": now, "finished_at": now}
    return an_import(workspace, **{**done, **fields})


def test_undoing_is_asked_with_its_numbers_first(sign_in, bob, carol, workspace):
    run = a_finished(workspace, created_count=1200, updated_count=34, subscribed_count=1)
    page = reverse("import_undo", args=[run.pk])
    assert page in sign_in(bob).get(reverse("import", args=[run.pk])).text
    assert page not in sign_in(carol).get(reverse("import", args=[run.pk])).text
    assert sign_in(carol).get(page).status_code == 403
    assert sign_in(carol).post(page).status_code == 403
    asked = " ".join(sign_in(bob).get(page).text.split())
    for words in ("1,200 new contacts", "34 updated contacts", "1 subscription<"):
        assert words in asked
    run.refresh_from_db()
    assert run.state == ImportState.DONE  # looking changes nothing
    assert sign_in(bob).post(page).status_code == 302
    run.refresh_from_db()
    assert (run.state, run.task) == ("queued", "undo")
    assert sign_in(bob).post(page).status_code == 409
    assert sign_in(bob).get(page).url == reverse("import", args=[run.pk])


def test_after_seven_days_nothing_is_offered_to_undo(sign_in, bob, workspace):
    run = a_finished(workspace, finished_at=timezone.now() - datetime.timedelta(days=8))
    page = reverse("import_undo", args=[run.pk])
    assert page not in sign_in(bob).get(reverse("import", args=[run.pk])).text
    assert sign_in(bob).post(page).status_code == 409


def test_a_checked_import_says_what_would_happen_and_changes_only_when_told(sign_in, bob, carol, workspace):
    run = an_import(
        workspace, state="checked", row_count=7, created_count=4, updated_count=1, refused_count=1, repeated_count=1,
        findings={"new_tags": ["Fair"], "options": {"plan": ["Gold"]}, "became_text": ["Notes"]},
        mapping=["email", {"key": "plan", "label": "Plan", "type": "choice"}],
    )  # fmt: skip
    ImportRefusal.objects.create(run=run, row_number=3, text="x", reason="There is no @-sign.")
    page = sign_in(bob).get(reverse("import", args=[run.pk]))
    for words in (
        "Import 5 people",
        "Nothing is imported yet",
        "New field “Plan”: Choice of Gold.",
        "Fair",
        "“Notes” holds too many different texts",
        "There is no @-sign.",
        reverse("import_refused", args=[run.pk]),
    ):
        assert words in page.text  # fmt: skip
    seen = sign_in(carol).get(reverse("import", args=[run.pk])).text
    assert "Nothing is imported yet" in seen
    assert "Import 5 people" not in seen
    assert sign_in(carol).post(reverse("import_start", args=[run.pk])).status_code == 403


def test_the_check_says_how_many_are_suppressed_whatever_lists_are_chosen(sign_in, bob, workspace):
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="complaint")
    client = sign_in(bob)
    run = imported(client, b"email\nanna@example.com\nben@example.com\n", checked_only=True)
    page = client.get(reverse("import", args=[run.pk]))
    assert run.suppressed_count == 1
    assert "1 person is suppressed and gets no mail" in page.text
    assert "Import 2 people" in page.text


def test_a_file_that_changes_nothing_is_not_offered_to_be_imported(sign_in, bob, workspace):
    a_contact(workspace, "anna@example.com", first_name="Anna")
    client = sign_in(bob)
    content = b"email,first name\nanna@example.com,Anna\n"
    page = client.get(reverse("import", args=[imported(client, content, checked_only=True).pk]))
    assert "Nothing would change" in page.text
    assert "Import 1 person" not in page.text
    tagged = imported(client, content, checked_only=True, tags="Fair")
    page = client.get(reverse("import", args=[tagged.pk]))
    assert "Nothing would change" not in page.text
    assert "Import 1 person" in page.text


@pytest.mark.parametrize("state", ["undone", "canceled"])
def test_what_was_taken_back_shows_no_numbers_of_what_it_had_done(sign_in, bob, workspace, state):
    run = a_finished(workspace, state=state, created_count=4321, taken_back={"people": 4321, "deleted": 4321})
    client = sign_in(bob)
    page = client.get(reverse("import", args=[run.pk])).text
    assert "New contacts" not in page
    assert "4,321 contacts that the import had made are deleted." in page
    assert "4,321" not in client.get(reverse("imports")).text


@pytest.mark.parametrize(
    ("state", "words"), [("running", "another one goes on"), ("queued", "none is running")]
)
def test_an_import_of_which_nothing_is_heard_says_so_and_guesses_no_time(
    sign_in, bob, workspace, state, words
):
    silent = timezone.now() - datetime.timedelta(seconds=40)
    run = an_import(
        workspace,
        state=state,
        task="import",
        total_count=1000,
        done_count=250,
        started_at=silent,
        progress_at=silent,
    )
    page = sign_in(bob).get(reverse("import", args=[run.pk])).text
    assert words in page
    assert "s left" not in page


def test_of_many_refused_rows_the_most_frequent_reasons_are_counted(sign_in, bob, workspace):
    client = sign_in(bob)
    a_field(workspace, "Plan", type="choice", options=["Gold"])
    rows = "".join(f"u{number}@example.com,Plan {number % 7}\n" for number in range(12)) + "a,Gold\nb,Gold\n"
    run = imported(
        client,
        f"email,plan\nc@example.com,Gold\n{rows}".encode(),
        checked_only=True,
        column_1="attribute:plan",
    )
    page = client.get(reverse("import", args=[run.pk])).text
    assert re.findall(r"<strong>(\d+)</strong> rows: (.*?(?:\.|\(Gold\)))", page) == [
        ("12", "Plan: … is none of its options (Gold)"),
        ("2", "An e-mail address must have an @-sign."),
    ]
    few = imported(client, b"email\na\nc@example.com\n", checked_only=True)
    assert "Most frequent reasons" not in client.get(reverse("import", args=[few.pk])).text


def test_of_very_many_new_fields_some_are_named(sign_in, bob):
    client = sign_in(bob)
    names = ",".join(f"Column {number}" for number in range(40))
    content = f"email,{names}\na@example.com{',5' * 40}\n".encode()
    run = imported(client, content, checked_only=True)
    page = client.get(reverse("import", args=[run.pk])).text
    assert page.count("New field “") == 30
    assert "40 new fields in all" in page


def test_refused_rows_are_shown_as_a_file_would_write_them(sign_in, bob):
    client = sign_in(bob)
    run = imported(client, b'email,name,city\nnobody,"Doe, Ann","a ""quiet"" town"\n', checked_only=True)
    assert run.refusals.get().text == 'nobody,"Doe, Ann","a ""quiet"" town"'


def test_new_options_are_offered_where_a_field_of_choices_is_there(sign_in, bob, workspace):
    client, content = (
        sign_in(bob),
        b"email,plan\na@example.com,Gold\nb@example.com,Gold\nc@example.com,Bronze\n",
    )
    words = "Add new options that the file has"
    upload(client, content)
    assert words not in client.get(reverse("import_map", args=[Import.objects.latest("pk").pk])).text
    a_field(workspace, "Plan", type="choice", options=["Gold"])
    run = imported(client, content, checked_only=True)
    assert not run.adds_options
    assert run.refused_count == 1
    assert words in client.get(reverse("import_map", args=[run.pk])).text
    run = imported(client, content, checked_only=True, adds_options="on")
    assert run.refused_count == 0
    assert "New options of “Plan”: Bronze." in client.get(reverse("import", args=[run.pk])).text


@pytest.mark.parametrize("state", ["checked", "running", "done"])
def test_a_run_with_many_refused_rows_and_lists_takes_as_many_queries_as_one_with_few(
    sign_in, bob, workspace, state
):
    run, client, asked = a_finished(workspace, state=state), sign_in(bob), []
    for count in (3, 27):
        ImportRefusal.objects.bulk_create(
            ImportRefusal(run=run, row_number=number, text="x", reason="y") for number in range(count)
        )
        run.lists.add(*[a_list(workspace, f"{count} {number}") for number in range(count)])
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("import", args=[run.pk]))
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 12  # session, person, memberships, the import, its lists, refused rows


@pytest.mark.parametrize(
    "name", ["import", "import_map", "import_refused", "import_cancel", "import_start", "import_undo"]
)
def test_another_workspaces_import_does_not_exist(sign_in, mallory, workspace, name):
    run = an_import(workspace)
    client = sign_in(mallory)
    ask = client.post if name in ("import_cancel", "import_start", "import_undo") else client.get
    assert ask(reverse(name, args=[run.pk])).status_code == 404
    assert ask(reverse(name, args=[10**30])).status_code == 404
