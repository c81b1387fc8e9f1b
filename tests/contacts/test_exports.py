"""Exports: everybody asked for stands in the file, as a spreadsheet may read it, and nobody else's people do."""

import csv
import datetime
import io
import itertools
import re
import time
import zipfile

import pytest
from django.core import signing
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from rq.timeouts import JobTimeoutException, UnixSignalDeathPenalty

from accounts import queue
from contacts import runs
from contacts.actions import exports as actions
from contacts.actions.tags import named
from contacts.exporting import files, rows, run
from contacts.jobs import run_export
from contacts.models import Contact, Export, ExportFormat, Suppression, Tag
from contacts.queries.contacts import Finder
from contacts.spreadsheet import FORMULA
from contacts.views.exports import SALT
from tests.at_once import beside, until
from tests.builders import a_contact, a_field, a_list, a_segment
from tests.contacts.importing import imported
from tests.people import a_workspace

# The rows are read through a connection of their own, which sees what is committed.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def export(workspace, bob):
    """export(finder) asks for one and lets the worker write it."""

    def ask(finder=None, *, file_format=ExportFormat.CSV, segment=None) -> Export:
        if segment:
            asked = actions.of_segment(segment, file_format=file_format, by=bob)
        else:
            asked = actions.of_found(finder or Finder(), workspace=workspace, file_format=file_format, by=bob)
        run_export(export_id=asked.pk)
        asked.refresh_from_db()
        return asked

    return ask


def read(exported: Export) -> list[dict[str, str]]:
    with exported.file.open("rb") as file:
        octets = file.read()
    assert octets.startswith(b"\xef\xbb\xbf"), "Excel knows UTF-8 by its mark alone"
    return list(csv.DictReader(io.StringIO(octets.decode("utf-8-sig"), newline="")))


def sheets(exported: Export) -> list[list[list[tuple[str, str]]]]:
    """Of each sheet its rows of (kind of cell, what is in it)."""
    with exported.file.open("rb") as file, zipfile.ZipFile(file) as book:
        names = sorted(name for name in book.namelist() if name.startswith("xl/worksheets/sheet"))
        texts = [book.read(name).decode() for name in names]
    return [
        [
            [
                (kind or "n", inside)
                for kind, inside in re.findall(
                    r'<c r="[A-Z]+\d+"(?: s="\d+")?(?: t="(\w+)")?>(?:<is><t[^>]*>|<v>)(.*?)<', row, re.DOTALL
                )
            ]
            for row in re.findall(r"<row .*?</row>", text, re.DOTALL)
        ]
        for text in texts
    ]


def test_a_row_tells_everything_of_a_contact(workspace, export):
    news, club = a_list(workspace, "News"), a_list(workspace, "Club")
    for label, kind in (("City", "text"), ("Points", "number"), ("Member", "boolean"), ("Born", "date")):
        a_field(workspace, label, type=kind)
    a_contact(
        workspace,
        "zoe@example.com",
        subscribed_to=[news, club],
        first_name="Zoë",
        last_name='O"Neil, Jr.',
        city="Zürich\nWest",
        points=-3.5,
        member=True,
        born="1990-02-03",
        deleted_field="x",
    )
    a_contact(workspace, "tom@example.com", member=False, points="many")
    Suppression.objects.create(workspace=workspace, email="tom@example.com", reason="complaint")
    exported = export()
    zoe, tom = read(exported)
    added = zoe.pop("Added")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", added)
    assert zoe == {
        "E-mail": "zoe@example.com", "First name": "Zoë", "Last name": 'O"Neil, Jr.', "City": "Zürich\nWest",
        "Points": "-3.5", "Member": "yes", "Born": "1990-02-03", "Lists": "News; Club", "Tags": "",
        "Suppressed": "",
    }  # fmt: skip
    assert (tom["Member"], tom["Points"], tom["Suppressed"], tom["Lists"]) == ("no", "", "complaint", "")
    assert (exported.state, exported.done_count, exported.total_count) == ("done", 2, 2)
    assert exported.size == exported.file.size


def test_a_list_comes_with_everybodys_status_and_consent(workspace, export):
    news, other = a_list(workspace, "News"), a_list(workspace, "Other")
    anna = a_contact(workspace, "anna@example.com", subscribed_to=[news, other])
    a_contact(workspace, "tom@example.com", subscribed_to=[news])
    a_contact(workspace, "eve@example.com", subscribed_to=[other])
    anna.subscriptions.filter(list=news).update(
        status="unsubscribed", unsubscribed_at=timezone.now(), unsubscribe_source="Link in “Spring”"
    )
    rows = read(export(Finder(in_list=news)))
    assert [(row["E-mail"], row["Status"]) for row in rows] == [
        ("anna@example.com", "unsubscribed"),
        ("tom@example.com", "subscribed"),
    ]
    assert rows[0]["Unsubscribed by"] == "Link in “Spring”"
    assert rows[1]["Consent"] == "Form on the web site"
    assert rows[1]["Consent given"].startswith(f"{timezone.now():%Y-%m}")
    (row,) = read(export(Finder(in_list=news, status="subscribed")))
    assert row["E-mail"] == "tom@example.com"


def test_standing_is_told_in_the_words_of_the_pages(workspace, export):
    news = a_list(workspace, "News")
    anna = a_contact(workspace, "anna@example.com", subscribed_to=[news])
    anna.subscriptions.update(status="pending")
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="hard_bounce")
    (row,) = read(export(Finder(in_list=news)))
    assert (row["Status"], row["Suppressed"]) == ("unconfirmed", "hard bounce")


def test_a_search_and_a_segment_are_exported_as_they_find_people(workspace, export):
    a_contact(workspace, "anna@gmail.com")
    a_contact(workspace, "anna@example.com")
    a_contact(workspace, "100%_tom@gmail.com")
    rules = {"subject": "email", "operator": "ends", "value": "@gmail.com"}
    segment = a_segment(workspace, "Gmail", rules)
    assert [row["E-mail"] for row in read(export(Finder(search="anna")))] == [
        "anna@gmail.com",
        "anna@example.com",
    ]
    assert [row["E-mail"] for row in read(export(Finder(search="100%")))] == ["100%_tom@gmail.com"]
    exported = export(segment=segment)
    assert exported.name == "Segment “Gmail”"
    assert [row["E-mail"] for row in read(exported)] == ["anna@gmail.com", "100%_tom@gmail.com"]


def test_another_workspaces_people_are_never_in_it(workspace, export):
    a_contact(workspace, "ours@example.com")
    a_contact(a_workspace("Other"), "theirs@example.com")
    assert [row["E-mail"] for row in read(export())] == ["ours@example.com"]


@pytest.mark.parametrize(
    "text", ["=1+1", "+49 171", "-2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", ' "=1', "  =1", '"@x', "=", "-"]
)
@pytest.mark.parametrize("file_format", ExportFormat)
def test_no_cell_is_a_formula(workspace, export, text, file_format):
    a_field(workspace, "City")
    a_field(workspace, text.strip() or "-", key="odd")
    a_contact(workspace, "eve@example.com", first_name=text, last_name="a=b", city=text, odd="fine")
    a_list(workspace, text.strip() or "-")
    exported = export(file_format=file_format)
    if file_format == ExportFormat.CSV:
        (row,) = read(exported)
        assert (row["First name"], row["City"], row["Last name"]) == (f"'{text}", f"'{text}", "a=b")
        assert all(not title.lstrip(' "').startswith(FORMULA) for title in row)
    else:
        ((head, row),) = sheets(exported)
        assert all(kind in ("inlineStr", "n") for kind, _ in head + row)
        assert not any(inside.startswith(("=", "+", "-", "@")) for _, inside in head + row)


def test_excel_gets_texts_as_texts_and_numbers_as_numbers(workspace, export):
    a_field(workspace, "Points", type="number")
    a_field(workspace, "Zip")
    a_contact(workspace, "eve@example.com", first_name="Eve", points=12.5, zip="01234")
    a_contact(workspace, "long@example.com", zip="x" * 40_000)
    ((head, eve, long),) = sheets(export(file_format=ExportFormat.XLSX))
    assert ("inlineStr", "E-mail") in head
    assert ("n", "12.5") in eve
    assert ("inlineStr", "01234") in eve
    assert max(len(inside) for _, inside in long) == files.CELL_LIMIT


def test_more_than_a_sheet_holds_goes_on_in_the_next_one(workspace, export, monkeypatch):
    monkeypatch.setattr(files, "SHEET_ROWS", 4)
    monkeypatch.setattr(files, "FETCH_ROWS", 2)
    for number in range(7):
        a_contact(workspace, f"p{number}@example.com")
    exported = export(file_format=ExportFormat.XLSX)
    assert [len(rows) for rows in sheets(exported)] == [4, 4, 2]
    assert exported.done_count == 7


def test_nobody_to_export_gives_a_file_with_titles_alone(workspace, export):
    broken = a_segment(workspace, "Broken", {"subject": "attribute:gone", "operator": "is", "value": "x"})
    for file_format, segment in itertools.product(ExportFormat, (None, broken)):
        exported = export(file_format=file_format, segment=segment)
        assert (exported.state, exported.done_count) == ("done", 0)
    with export().file.open() as file:
        assert len(file.read().splitlines()) == 1


@pytest.mark.parametrize("what", ["list", "segment"])
def test_what_was_deleted_before_the_job_ran_is_said_and_never_everybody(workspace, bob, what):
    a_contact(workspace)
    if what == "list":
        held = a_list(workspace)
        asked = actions.of_found(
            Finder(in_list=held), workspace=workspace, file_format=ExportFormat.CSV, by=bob
        )
    else:
        held = a_segment(workspace)
        asked = actions.of_segment(held, file_format=ExportFormat.CSV, by=bob)
    held.delete()
    run_export(export_id=asked.pk)
    asked.refresh_from_db()
    assert (asked.state, asked.file.name) == ("failed", "")
    assert f"The {what} was deleted" in asked.error


# --- What goes wrong ----------------------------------------------------------------------------------


def test_a_canceled_export_stops_at_its_next_sign_and_leaves_no_file(workspace, bob, monkeypatch, settings):
    monkeypatch.setattr(files, "FETCH_ROWS", 1)
    monkeypatch.setattr(run, "SIGN_SECONDS", 0)
    for number in range(5):
        a_contact(workspace, f"p{number}@example.com")
    asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    real = runs.alive

    def cancel_meanwhile(running, **values):
        if values.get("done_count") == 2:
            actions.cancel(Export.objects.get(pk=asked.pk), by=bob)
        real(running, **values)

    monkeypatch.setattr(runs, "alive", cancel_meanwhile)
    assert run_export(export_id=asked.pk)["outcome"] == "stopped"
    asked.refresh_from_db()
    assert (asked.state, asked.file.name) == ("canceled", "")
    assert stored(settings) == []


@pytest.fixture
def slow_export(workspace, bob, monkeypatch):
    """slow_export(seconds) writes six rows, so long between each two, in a job that may take two seconds."""

    def ask(seconds) -> Export:
        monkeypatch.setattr(queue, "JOB_TIMEOUT", 2)
        monkeypatch.setattr(files, "FETCH_ROWS", 1)
        monkeypatch.setattr(run, "SIGN_SECONDS", 0)
        real = runs.alive

        def slowly(running, **values):
            real(running, **values)
            time.sleep(seconds)

        monkeypatch.setattr(runs, "alive", slowly)
        for number in range(6):
            a_contact(workspace, f"p{number}@example.com")
        asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
        with UnixSignalDeathPenalty(2, JobTimeoutException):
            run_export(export_id=asked.pk)
        asked.refresh_from_db()
        return asked

    return ask


def test_an_export_may_take_longer_than_a_job_as_long_as_rows_come(slow_export):
    exported = slow_export(0.5)
    assert (exported.state, exported.error, len(read(exported))) == ("done", "", 6)


def test_an_export_to_which_no_rows_come_any_more_ends_and_says_so(slow_export, settings):
    stuck = slow_export(4)
    assert stuck.state == "failed"
    assert "no more rows came" in stuck.error
    assert stored(settings) == []


def never_ending(workspace, monkeypatch, *, counted: bool) -> None:
    """Let PostgreSQL take half a minute for each row. counted: they are counted soon all the same."""
    never = Contact.objects.of(workspace).extra(where=["pg_sleep(30) IS NOT NULL"])
    monkeypatch.setattr(run.chosen, "people", lambda *_asked: (never, None))
    real = rows.statement
    if counted:
        at_once = {"count_sql": "SELECT 6", "count_values": ()}
        monkeypatch.setattr(rows, "statement", lambda *asked: real(*asked)._replace(**at_once))


def is_read() -> bool:
    """Whether PostgreSQL is at the statement of an export that never ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND state = 'active' AND (query LIKE '%pg_sleep(30)%' OR query LIKE 'FETCH % FROM exported') "
            "AND pid <> pg_backend_pid()"
        )
        return cursor.fetchone()[0] > 0


@pytest.mark.parametrize("counted", [False, True])
def test_an_export_whose_people_are_never_found_ends_and_says_so(
    slow_export, workspace, monkeypatch, counted
):
    never_ending(workspace, monkeypatch, counted=counted)
    began = time.monotonic()
    stuck = slow_export(0)
    assert stuck.state == "failed"
    assert "no more rows came" in stuck.error
    assert time.monotonic() - began < 10
    until(lambda: not is_read())


def begun(asked):
    """A worker's outcome, once it has it."""
    return beside(lambda: run_export(export_id=asked.pk)["outcome"])


@pytest.mark.parametrize("file_format", list(ExportFormat))
@pytest.mark.parametrize("counted", [False, True])
def test_a_canceled_export_leaves_nothing_behind_at_the_server(
    workspace, bob, monkeypatch, counted, file_format
):
    a_contact(workspace)
    monkeypatch.setattr(run, "STILL_SECONDS", 0.1)
    never_ending(workspace, monkeypatch, counted=counted)
    asked = actions.of_found(Finder(), workspace=workspace, file_format=file_format, by=bob)
    worker = begun(asked)
    until(is_read)
    actions.cancel(asked, by=bob)
    assert worker.result(20) == "stopped"
    assert not is_read()


def test_an_export_whose_people_are_hard_to_find_is_not_taken_for_dead(workspace, bob, monkeypatch, settings):
    monkeypatch.setattr(runs, "SILENT_SECONDS", 1)
    monkeypatch.setattr(run, "STILL_SECONDS", 0.1)
    for number in range(10):
        a_contact(workspace, f"p{number}@example.com")
    slow = Contact.objects.of(workspace).extra(where=["pg_sleep(0.2) IS NOT NULL"])
    monkeypatch.setattr(run.chosen, "people", lambda *_asked: (slow, None))
    asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    worker = begun(asked)
    while not worker.done():
        time.sleep(0.3)
        assert actions.requeue_silent() == 0
    assert worker.result() == "done"
    assert len(stored(settings)) == 1


def stored(settings) -> list[str]:
    from pathlib import Path

    return [path.name for path in (Path(settings.MEDIA_ROOT) / "exports").glob("*")]


def test_of_two_workers_one_writes_it_and_a_dead_ones_is_taken_over(workspace, bob, settings):
    a_contact(workspace)
    asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    both = [begun(asked) for _ in range(2)]
    assert sorted(each.result(30) for each in both) == ["done", "not mine"]
    assert len(stored(settings)) == 1
    long_ago = timezone.now() - datetime.timedelta(minutes=2)
    dead = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    Export.objects.filter(pk=dead.pk).update(state="running", progress_at=long_ago)
    assert (actions.requeue_silent(), actions.requeue_silent()) == (1, 0)
    assert run_export(export_id=dead.pk)["outcome"] == "done"


@pytest.mark.parametrize("few", [0, 10])
def test_who_is_suppressed_is_told_whether_few_are_or_many(workspace, bob, monkeypatch, few):
    monkeypatch.setattr(rows, "FEW_SUPPRESSED", few)
    a_contact(workspace, "Anna@example.com")
    a_contact(workspace, "ben@example.com")
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="complaint")
    statement = rows.statement(workspace, Contact.objects.of(workspace), [], None)
    with connection.cursor() as cursor:
        cursor.execute(statement.sql, statement.values)
        at = statement.titles.index("Suppressed")
        assert [row[at] for row in cursor.fetchall()] == ["complaint", None]


@pytest.mark.django_db(transaction=True)
def test_the_file_of_a_worker_killed_before_it_could_say_so_is_not_left_behind(workspace, bob, settings):
    a_contact(workspace)
    asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    run_export(export_id=asked.pk)
    stray = stored(settings)
    long_ago = timezone.now() - datetime.timedelta(minutes=2)
    Export.objects.filter(pk=asked.pk).update(
        state="running", progress_at=long_ago, file="", finished_at=None
    )
    assert run_export(export_id=asked.pk)["outcome"] == "done"
    assert len(stored(settings)) == 1
    assert stored(settings) != stray


def test_a_worker_that_was_taken_for_dead_does_not_end_what_another_one_writes(
    workspace, bob, monkeypatch, settings
):
    a_contact(workspace)
    asked = actions.of_found(Finder(), workspace=workspace, file_format=ExportFormat.CSV, by=bob)
    real = files.write_csv

    def slow(cursor, statement, file, told):
        count = real(cursor, statement, file, told)
        if not Export.objects.filter(pk=asked.pk, state="queued").exists() and not taken_over:
            taken_over.append(True)
            Export.objects.filter(pk=asked.pk).update(state="queued")
            assert run_export(export_id=asked.pk)["outcome"] == "done"
        return count

    taken_over = []
    monkeypatch.setitem(run.WRITERS, ExportFormat.CSV, slow)
    assert run_export(export_id=asked.pk)["outcome"] == "stopped"
    asked.refresh_from_db()
    assert asked.state == "done"
    assert stored(settings) == [asked.file.name.rpartition("/")[2]]


def test_files_are_deleted_after_a_week(workspace, export, settings):
    exported = export()
    assert actions.forget_old() == 0
    Export.objects.filter(pk=exported.pk).update(finished_at=timezone.now() - datetime.timedelta(days=8))
    assert actions.forget_old() == 1
    exported.refresh_from_db()
    assert (exported.state, exported.file.name, stored(settings)) == ("expired", "", [])


# --- Pages --------------------------------------------------------------------------------------------


def link(exported: Export) -> str:
    return reverse("export_file", args=[signing.dumps(exported.pk, salt=SALT)])


def test_a_marketer_exports_what_the_list_of_contacts_shows(sign_in, bob, workspace):
    news = a_list(workspace, "News")
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    a_contact(workspace, "tom@example.com", subscribed_to=[news])
    client = sign_in(bob)
    page = client.get(reverse("contacts"), {"q": "anna", "list": news.pk, "status": "subscribed"})
    url = re.search(r'href="(/exports/new/[^"]*)"', page.text)[1].replace("&amp;", "&")
    asking = client.get(url)
    assert "List “News”, subscribed, with “anna”" in asking.text
    page = client.post(url, {"format": "csv"}, follow=True)
    assert "every 1s" in page.text
    exported = Export.objects.get()
    run_export(export_id=exported.pk)
    exported.refresh_from_db()
    page = client.get(reverse("exports"))
    assert "every 1s" not in page.text
    answer = client.get(re.search(r'href="(/exports/file/[^"]*)"', page.text)[1])
    assert answer["Content-Disposition"].endswith(f'filename="{exported.file_name}"')
    assert exported.file_name.startswith("list-news-subscribed-with-anna-")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode("utf-8-sig"))))
    assert [row["E-mail"] for row in rows] == ["anna@example.com"]


def test_a_list_and_a_segment_lead_to_their_export(sign_in, bob, carol, workspace):
    news, segment = a_list(workspace), a_segment(workspace)
    a_contact(workspace, subscribed_to=[news])
    for url, words in (
        (reverse("list", args=[news.pk]), f"list={news.pk}"),
        (reverse("segment", args=[segment.pk]), f"segment={segment.pk}"),
    ):
        assert f"/exports/new/?{words}" in sign_in(bob).get(url).text
        assert "/exports/" not in sign_in(carol).get(url).text


@pytest.mark.parametrize(
    "query",
    [
        "?list=999999",
        "?list=x",
        "?list=1%00",
        "?segment=0",
        "?segment=",
        "?status=nonsense",
        "?sort=x",
        "?list=" + "9" * 30,
    ],
)
def test_a_filter_that_makes_no_sense_never_exports_everybody(sign_in, bob, query):
    client = sign_in(bob)
    for ask in (client.get, client.post):
        assert (
            ask(reverse("export_new") + query, {"format": "csv"} if ask is client.post else None).status_code
            == 404
        )
    assert not Export.objects.exists()


def test_an_unknown_kind_of_file_is_refused_beside_the_field(sign_in, bob):
    answer = sign_in(bob).post(reverse("export_new"), {"format": "exe"})
    assert answer.status_code == 422
    assert "exe is not one of the available choices" in answer.text


def test_a_link_is_for_its_workspace_and_for_an_hour(sign_in, bob, carol, mallory, client, export):
    exported = export()
    url = link(exported)
    assert sign_in(bob).get(url).status_code == 200
    assert sign_in(carol).get(url).status_code == 403
    assert sign_in(mallory).get(url).status_code == 404
    assert client.get(url).status_code == 302
    assert sign_in(bob).get(url.replace("/file/", "/file/x")).status_code == 404
    with pytest.MonkeyPatch.context() as later:
        later.setattr("contacts.views.exports.LINK_SECONDS", -1)
        answer = sign_in(bob).get(url, follow=True)
    assert "That link had expired" in answer.text
    assert exported.name in answer.text
    actions.delete_file(exported, by=bob)
    answer = sign_in(bob).get(url)
    assert answer.status_code == 410
    assert "was deleted" in answer.text


def test_a_file_is_deleted_by_hand_and_an_ended_export_cannot_be_canceled(sign_in, bob, export, settings):
    exported = export()
    client = sign_in(bob)
    answer = client.post(reverse("export_cancel", args=[exported.pk]))
    assert answer.status_code == 409
    client.post(reverse("export_delete", args=[exported.pk]))
    assert stored(settings) == []
    assert client.post(reverse("export_delete", args=[exported.pk])).status_code == 409


def test_the_list_asks_the_same_number_of_queries_for_three_and_thirty(sign_in, bob, workspace):
    client, asked = sign_in(bob), []
    for count in (3, 27):
        for number in range(count):
            Export.objects.create(workspace=workspace, name=f"Export {number}", created_by=bob)
        with CaptureQueriesContext(connection) as queries:
            assert "Export 1" in client.get(reverse("exports")).text
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 15


def test_what_was_exported_can_be_imported_again(workspace, export, bob):
    from django.core.files.base import ContentFile

    from contacts.importing import reader, values

    a_field(workspace, "Points", type="number")
    a_field(workspace, "Born", type="date")
    a_contact(workspace, "zoe@example.com", first_name="Zoë", points=1234.5, born="--03-14")
    exported = export()
    assert values.parse(read(exported)[0]["Born"], "date", "us") == "--03-14"
    with exported.file.open("rb") as file:
        reading = reader.guess(ContentFile(file.read()))
    assert (reading.encoding, reading.delimiter, reading.has_header) == ("utf-8-sig", ",", True)
    assert Contact.objects.count() == 1


TAGS = (
    "vip", "Vienna, Austria", "a;b", 'the "best"', '"', '"a", b', "=1", "-x, y", "+;", "@home", "'=1", "''-\"2\"",
    "'tis", '"=1"', "Zoë’s",
)  # fmt: skip


@pytest.mark.parametrize("file_format", ExportFormat)
def test_tags_come_back_as_they_were_whatever_signs_they_hold(workspace, export, sign_in, bob, file_format):
    held = {
        "one@example.com": {"Vienna, Austria"},
        "odd@example.com": {"-x, y"},
        "all@example.com": {*TAGS},
        "none@example.com": set(),
    }
    tags = {tag.name: tag.pk for tag in named(workspace, TAGS, by=bob)}
    assert set(tags) == set(TAGS)
    for email, names in held.items():
        contact = a_contact(workspace, email)
        Contact.objects.filter(pk=contact.pk).update(tag_ids=sorted(tags[name] for name in names))
    exported = export(file_format=file_format)
    if file_format == ExportFormat.CSV:
        cells = [row["Tags"] for row in read(exported)]
    else:
        cells = [inside for row in sheets(exported)[0] for _, inside in row]
    assert not any(cell.lstrip(' "').startswith(FORMULA) for cell in cells)
    with exported.file.open("rb") as file:
        content = file.read()
    Contact.objects.of(workspace).delete()
    Tag.objects.of(workspace).delete()
    imported(sign_in(bob), content, f"people.{file_format}")
    named_so = dict(Tag.objects.of(workspace).values_list("pk", "name"))
    assert set(named_so.values()) == set(TAGS)
    found = Contact.objects.of(workspace).values_list("email", "tag_ids")
    assert {email: {named_so[pk] for pk in pks} for email, pks in found} == held
