"""Workbooks, ZIPs and pasted rows come to contacts as CSV does; bombs do not."""

import datetime
import io
import subprocess
import sys
import zipfile

import pytest
import xlsxwriter
from django.urls import reverse

from contacts.importing import unpacker
from contacts.models import Contact, Import
from tests.contacts.importing import a_workbook, a_zip, imported, offered, refused, upload

PEOPLE = ("People", [("email", "Vorname"), ("anna@example.com", "Anna"), ("bob@example.com", "Bob")])
NOTES = ("Notes", [("Do not forget",), ("the milk",)])


def emails():
    return sorted(Contact.objects.values_list("email", flat=True))


def test_the_cells_of_a_workbook_keep_what_they_say(sign_in, bob):
    born, seen = datetime.date(1990, 1, 2), datetime.datetime(2024, 3, 4, 5, 6, 7)  # noqa: DTZ001  (Excel has no zones)
    rows = [
        ("email", "born", "seen", "member", "points", "share", "zip", "phone"),
        ("anna@example.com", born, seen, True, 3.0, 2.5, "01234", "00491701234567890"),
        (),
        ("bob@example.com", "", "", False, 12, "", "", ""),
        ("not an address", "", "", "", "", "", "", ""),
    ]
    run = imported(sign_in(bob), a_workbook(("People", rows)), "people.xlsx")
    assert (run.row_count, run.created_count, list(refused(run))) == (3, 2, [5])
    assert Contact.objects.get(email="anna@example.com").attributes == {
        "born": "1990-01-02", "seen": "2024-03-04", "member": True, "points": 3, "share": 2.5,
        "zip": "01234", "phone": "00491701234567890",
    }  # fmt: skip
    assert Contact.objects.get(email="bob@example.com").attributes["member"] is False


def test_of_several_sheets_the_one_with_addresses_is_guessed_and_another_can_be_chosen(sign_in, bob):
    client = sign_in(bob)
    more = ("More people", [("email",), ("cleo@example.com",)])
    upload(client, a_workbook(NOTES, PEOPLE, more), "book.xlsx")
    run = Import.objects.get()
    page = client.get(reverse("import_map", args=[run.pk]))
    assert offered(client, run)["sheet"] == "People"
    assert [name for name, _label in page.context["reading"]["sheet"].field.choices] == [
        "Notes",
        "People",
        "More people",
    ]
    assert 'name="delimiter"' in page.text
    assert "Between cells" not in page.text
    run = imported(client, a_workbook(NOTES, PEOPLE, more), "book.xlsx", reading={"sheet": "More people"})
    assert run.sheet == "More people"
    assert emails() == ["cleo@example.com"]


def test_a_sheet_that_is_not_there_is_not_taken(sign_in, bob):
    client = sign_in(bob)
    upload(client, a_workbook(NOTES, PEOPLE), "book.xlsx")
    run = Import.objects.get()
    data = offered(client, run) | {"sheet": "../../etc/passwd"}
    client.post(reverse("import_map", args=[run.pk]), data)
    run.refresh_from_db()
    assert run.sheet == "People"


def test_hidden_sheets_are_not_offered(sign_in, bob):
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out)
    book.add_worksheet("People").write_column(0, 0, ["email", "anna@example.com"])
    secret = book.add_worksheet("Secret")
    secret.write_column(0, 0, ["email", "bob@example.com"])
    secret.hide()
    book.close()
    imported(sign_in(bob), out.getvalue(), "people.xlsx")
    assert emails() == ["anna@example.com"]


@pytest.mark.parametrize("inner", ["csv", "xlsx"])
def test_a_zip_of_one_file_is_that_file(sign_in, bob, inner):
    content = a_workbook(PEOPLE) if inner == "xlsx" else b"email\nanna@example.com\nbob@example.com\n"
    packed = a_zip({
        "list/": b"", f"list/../../people.{inner}": content, "__MACOSX/list/._people": b"x", "list/.DS_Store": b"x",
    })  # fmt: skip
    imported(sign_in(bob), packed, "people.zip")
    assert emails() == ["anna@example.com", "bob@example.com"]


def encrypted():
    packed = bytearray(a_zip({"people.csv": b"email\nanna@example.com\n"}))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    return bytes(packed)


CSV = b"email\nanna@example.com\n"
REFUSED = {
    "several": (a_zip({"a.csv": CSV, "b/c.csv": CSV}), "The ZIP holds 2 files: “a.csv”, “b/c.csv”."),
    "none": (a_zip({"__MACOSX/a": b""}), "The ZIP is empty."),
    "nested": (a_zip({"a.zip": a_zip({"a.csv": CSV})}), "The ZIP holds another ZIP."),
    "encrypted": (encrypted(), "protected by a password"),
    "word": (a_zip({"word/document.xml": b""}), "This seems to be a Word document."),
    "picture inside": (a_zip({"a.csv": b"\x89PNG\r\n\x1a\n" + bytes(50)}), "This seems to be a picture."),
    "cut": (a_zip({"a.csv": CSV})[:-30], "The file is damaged"),
    "broken": (
        a_zip({"a.csv": CSV * 100}).replace(b"a.csv", b"a.csv", 1)[:40] + bytes(400),
        "The file is damaged",
    ),
    "old document": (b"\xd0\xcf\x11\xe0" + bytes(2000), "The file is damaged"),
    "blank sheet": (a_workbook(("Sheet", [])), "no rows of data"),
    "many entries": (
        a_zip({f"{n}.csv": b"" for n in range(10_001)}, zipfile.ZIP_STORED),
        "The archive holds 10,001 files",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_holds_no_one_list_of_people_is_refused_in_words(sign_in, bob, kind):
    content, message = REFUSED[kind]
    response = upload(sign_in(bob), content, "people.zip")
    assert response.status_code == 422
    assert message in response.text
    assert not Import.objects.exists()


# --- Bombs --------------------------------------------------------------------------------------------


def with_part(name, content):
    """A workbook in which one part is another one."""
    out = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(a_workbook(PEOPLE))) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.namelist():
            new.writestr(part, content if part == name else old.read(part))
    return out.getvalue()


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</worksheet>'
CELL = '<c r="{}" t="inlineStr"><is><t>anna@example.com</t></is></c>'
FAR = SHEET.format(
    '<dimension ref="A1:XFD1048576"/><sheetData>'
    f'<row r="1">{CELL.format("A1")}</row><row r="1048576">{CELL.format("XFD1048576")}</row></sheetData>'
)
ENTITIES = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
LAUGHS = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{ENTITIES}]>' + SHEET.format(
    '<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>&l11;</t></is></c></row></sheetData>'
)
BOMBS = {
    "zeros": lambda: a_zip({"people.csv": bytes(400 * 2**20)}),
    "strings": lambda: with_part("xl/sharedStrings.xml", b"<sst>" + bytes(600 * 2**20)),
    "far cell": lambda: with_part("xl/worksheets/sheet1.xml", FAR),
    "laughs": lambda: with_part("xl/worksheets/sheet1.xml", LAUGHS),
    "deep": lambda: with_part("xl/worksheets/sheet1.xml", "<a>" * 2_000_000),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_refused_and_costs_a_process_of_its_own_at_most(sign_in, bob, bomb, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    content = BOMBS[bomb]()
    assert len(content) < 3_000_000
    response = upload(sign_in(bob), content, "people.xlsx")
    assert response.status_code == 422
    assert response.context["form"].errors["file"]
    assert not Import.objects.exists()
    assert not list(tmp_path.iterdir())


def test_an_archive_that_understates_its_size_is_not_believed(sign_in, bob):
    content = bytearray(with_part("xl/sharedStrings.xml", b"<sst>" + bytes(50 * 2**20)))
    where = content.rindex(b"xl/sharedStrings.xml") - 46
    content[where + 24 : where + 28] = (100).to_bytes(4, "little")
    assert upload(sign_in(bob), bytes(content), "people.xlsx").status_code == 422


def test_a_file_that_takes_too_long_is_given_up(sign_in, bob, monkeypatch):
    monkeypatch.setattr("contacts.importing.reader.unpacking.WAIT_SECONDS", 0.01)
    response = upload(sign_in(bob), a_workbook(PEOPLE), "people.xlsx")
    assert response.status_code == 422
    assert "Save the sheet with the people as CSV" in response.text


def test_the_process_that_unpacks_has_limits():
    code = (
        "import contacts.importing.unpacker as u, resource as r\n"
        "def show(*_): print(r.getrlimit(r.RLIMIT_AS)[0], r.getrlimit(r.RLIMIT_CPU)[0], r.getrlimit(r.RLIMIT_FSIZE)[0])\n"
        "u.unpack = show\nu.main('x')"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert list(map(int, said.split())) == [
        unpacker.MEMORY_BYTES,
        unpacker.CPU_SECONDS,
        unpacker.WRITTEN_BYTES,
    ]


# --- Pasted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "anna@example.com\nbob@example.com",
        "anna@example.com, bob@example.com",
        "anna@example.com; bob@example.com;",
        'Anna <anna@example.com>, "Doe, Bob" <bob@example.com>',
        "Anna <anna@example.com>\r\nDoe, Bob <bob@example.com>\r\n",
        "email\tname\nanna@example.com\tAnna\nbob@example.com\tBob\n",
        "anna@example.com,Anna\nbob@example.com,Bob",
        "email\nanna@example.com\nbob@example.com",
    ],
)
def test_pasted_rows_and_lists_of_addresses_are_imported(sign_in, bob, text):
    run = imported(sign_in(bob), pasted=text)
    assert run.file_name == "Pasted rows"
    assert emails() == ["anna@example.com", "bob@example.com"]
    if "<" in text:
        assert Contact.objects.get(email="bob@example.com").last_name == "Doe"


def test_of_pasted_addresses_a_bad_one_is_refused_with_its_text(sign_in, bob):
    run = imported(sign_in(bob), pasted="anna@example.com, nonsense, bob@example.com, cy@example.com")
    assert run.created_count == 3
    assert run.refusals.get().text == "nonsense"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Choose a file, or paste rows below."),
        ({"pasted": "  \n "}, "Choose a file, or paste rows below."),
        ({"pasted": "email"}, "no e-mail address in what you pasted"),
        ({"pasted": "a\0b"}, "Null characters are not allowed."),
        ({"pasted": "a" * 1_000_001}, "at most 1000000 characters"),
        ({"pasted": "anna@example.com", "content": CSV}, "Keep one of them."),
    ],
)
def test_what_was_pasted_and_cannot_be_read_is_said_beside_the_field(sign_in, bob, fields, message):
    response = upload(sign_in(bob), **fields)
    assert response.status_code == 422
    assert message in response.text
    assert fields.get("pasted", "").strip()[:100].replace("\0", "�") in response.text.replace("\0", "�")
    assert not Import.objects.exists()


def test_hostile_text_is_looked_at_once():
    from contacts.importing.reader import as_rows

    for text in ("@" * 500_000 + '"', "<" * 500_000, "a " * 250_000 + "@", '"' * 500_000, " " * 500_000):
        as_rows(text)
