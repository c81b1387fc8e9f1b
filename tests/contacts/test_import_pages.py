import csv
import io

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts.models import Import, ImportRefusal, ImportState


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
        workspace, state=ImportState.RUNNING, total_count=1000, done_count=250, started_at=timezone.now()
    )
    page = sign_in(bob).get(reverse("import", args=[run.pk]))
    assert "every 1s" in page.text
    assert "250 of 1,000 rows" in page.text
    part = sign_in(bob).get(
        reverse("import", args=[run.pk]), headers={"HX-Request": "true", "HX-Target": "div#import-run"}
    )
    assert "<html" not in part.text
    Import.objects.filter(pk=run.pk).update(state=ImportState.DONE, done_count=1000, created_count=900)
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


@pytest.mark.parametrize("state", ["mapping", "queued", "running"])
def test_a_marketer_cancels_what_has_not_ended(sign_in, bob, carol, workspace, state):
    run = an_import(workspace, state=state)
    assert sign_in(carol).post(reverse("import_cancel", args=[run.pk])).status_code == 403
    assert sign_in(bob).get(reverse("import_cancel", args=[run.pk])).status_code == 405
    assert sign_in(bob).post(reverse("import_cancel", args=[run.pk])).status_code == 302
    run.refresh_from_db()
    assert run.state == ImportState.CANCELED
    assert sign_in(bob).post(reverse("import_cancel", args=[run.pk])).status_code == 409


@pytest.mark.parametrize("name", ["import", "import_map", "import_refused", "import_cancel"])
def test_another_workspaces_import_does_not_exist(sign_in, mallory, workspace, name):
    run = an_import(workspace)
    client = sign_in(mallory)
    ask = client.post if name == "import_cancel" else client.get
    assert ask(reverse(name, args=[run.pk])).status_code == 404
    assert ask(reverse(name, args=[10**30])).status_code == 404
