"""How text is read: encodings, line ends, quotation marks, limits."""

import io
import time
import tracemalloc

import pytest
from django.core.files.base import ContentFile
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from contacts.importing import reader
from contacts.importing.reader import delimited
from contacts.jobs import run_import
from contacts.models import Contact, CustomField, Import
from tests.contacts.importing import a_workbook, a_zip, imported, offered, refused, upload

PEOPLE = [("anna@example.com", "Zoë", "Köln"), ("bob@example.com", "José", "São Paulo; Brasil")]


def read(content):
    raw = io.BytesIO(content)
    reading = reader.guess(raw)
    return reading, list(reader.rows(raw, reading))


def cells(content):
    return [row.cells for row in read(content)[1]]


def written(delimiter=",", end="\n", *, quoted=True):
    lines = [("email", "name", "city"), *PEOPLE]
    mark = '"' if quoted else ""
    return "".join(delimiter.join(f"{mark}{cell}{mark}" for cell in line) + end for line in lines)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_same_people_come_of_every_encoding_delimiter_and_line_end(encoding, delimiter, end):
    reading, rows = read(written(delimiter, end).encode(encoding))
    assert [tuple(row.cells) for row in rows] == PEOPLE
    assert reading.delimiter == delimiter


@pytest.mark.parametrize(
    ("text", "encoding", "guessed"),
    [
        ("Müller", "cp1252", "cp1252"),
        ("5 € – “Œuvre”", "cp1252", "cp1252"),
        ("Šimon Žák", "cp1252", "cp1252"),
        ("ÄÖÜäöü", "latin-1", "cp1252"),
        ("José", "mac_roman", "mac_roman"),
        ("Мария Петрова", "cp1251", "cp1251"),
        ("山田太郎です", "shift_jis", "shift_jis"),
        ("北京市海淀区", "gb18030", "gb18030"),
    ],
)
def test_the_encoding_of_a_short_file_is_guessed(text, encoding, guessed):
    if encoding == "latin-1" and len(text) > 5:
        text = "Grüße, Jürgen"  # a run of such letters is no Western word
    reading, rows = read(f'email,name\nanna@example.com,"{text}"\n'.encode(encoding))
    assert reading.encoding == guessed
    assert rows[0].cells[1] == text


def test_utf8_that_is_cut_at_its_end_stays_utf8():
    reading, rows = read("email,name\na@example.com,José\nb@example.com,Zoë".encode()[:-1])
    assert reading.encoding == "utf-8-sig"
    assert rows[0].cells[1] == "José"
    assert reader.is_unreadable(rows[1].cells[1])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "shift_jis", "gb18030", "cp1252"])
def test_bytes_that_are_not_of_the_encoding_are_told_from_text(encoding):
    raw = io.BytesIO(
        b"\xff\xfe" + b"\x00\xd8A\x00\r\x00\n\x00" if encoding == "utf-16" else b"\xff\xff\x81\n"
    )
    rows = list(reader.records(raw, reader.Reading(encoding, ",", False, "us")))
    found = reader.is_unreadable("".join(rows[0].cells))
    assert found is True


def test_excels_line_about_the_separator_is_no_row():
    reading, rows = read(b"sep=;\r\nemail;city\r\nanna@example.com;a,b\r\n")
    assert reading.delimiter == ";"
    assert [(row.number, row.cells) for row in rows] == [(2, ["anna@example.com", "a,b"])]


def test_quotation_marks_doubled_backslashed_or_amid_a_cell():
    assert cells(b'email,x\na@b.example,"say ""hi"", you"\n') == [["a@b.example", 'say "hi", you']]
    assert cells(b'email,x\na@b.example,"say \\"hi, you\\" now"\n') == [["a@b.example", 'say "hi, you" now']]
    assert cells(b'email,x\na@b.example,5\'6" tall\nc@d.example,7"\n')[1] == ["c@d.example", '7"']
    assert cells(b'email, x\na@b.example, "b, c"\n') == [["a@b.example", "b, c"]]


def test_a_quoted_cell_may_hold_lines():
    rows = read(b'email,x\na@b.example,"one\ntwo, ""2""\n\nthree"\nc@d.example,y\n')[1]
    assert [(row.number, row.cells[1]) for row in rows] == [(2, 'one\ntwo, "2"\n\nthree'), (3, "y")]


@pytest.mark.parametrize(
    "bad",
    [b'"b@example.com,Bob\n', b'b@example.com,"Bob\n', b'"b@example.com","Bob\n', b'b@example.com,x,"\n'],
)
@pytest.mark.parametrize("after", [b"", b'"q@example.com","Q"\n', b"q@example.com,Q\n" * 3000])
def test_an_unclosed_quotation_mark_costs_its_line_and_not_what_follows(bad, after):
    rows = read(b"email,name\na@example.com,Ann\n" + bad + b"c@example.com,Cy\n" + after)[1]
    problems = [(row.number, row.problem) for row in rows if row.problem]
    assert problems == [(3, "A quotation mark opens and is not closed in line 3.")]
    assert [row.cells[0] for row in rows[:3]][::2] == ["a@example.com", "c@example.com"]
    assert len(rows) == 3 + after.count(b"\n")


def test_many_unclosed_quotation_marks_take_no_longer_for_being_many():
    content = b"email,x\n" + b'a@example.com,"x\nb@example.com,y\n' * 10_000
    began = time.process_time()
    rows = read(content)[1]
    assert time.process_time() - began < 2
    assert sum(1 for row in rows if not row.problem) >= 10_000


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (b"x" * 10_000_000, "Line 3 is longer than 1,000,000 characters."),
        (b'"' + b"x" * 200_000 + b'"', "A cell of line 3 is longer than 131,072 characters."),
        (
            b'"' + b"a line of a long cell\n" * 480_000 + b'"',
            "A cell of line 3 is longer than 131,072 characters.",
        ),
    ],
)
def test_an_enormous_cell_is_refused_by_its_row_and_the_next_row_is_read(cell, reason):
    rows = read(b"email,x\na@example.com,1\nb@example.com," + cell + b"\nc@example.com,3\n")[1]
    assert [(row.number, row.problem) for row in rows] == [(2, ""), (3, reason), (4, "")]
    assert rows[1].cells[0].startswith("b@example.com")
    assert rows[2].cells == ["c@example.com", "3"]


class Endless(io.RawIOBase):
    """A file of one line of 100 MB that is nowhere."""

    def __init__(self):
        self.at = 0

    def seek(self, at, whence=0):
        self.at = at
        return at

    def read(self, size=-1):
        size = min(size, 100 * 2**20 - self.at)
        self.at += size
        return b"x" * size


def test_a_line_without_end_is_read_in_bounded_memory():
    tracemalloc.start()
    rows = list(reader.records(Endless(), reader.Reading("utf-8-sig", ",", False, "us")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [row.problem for row in rows] == ["Line 1 is longer than 1,000,000 characters."]
    assert peak < 20_000_000


def test_an_open_quotation_mark_over_short_lines_is_read_in_bounded_memory(monkeypatch):
    monkeypatch.setattr(delimited, "LINES_LIMIT", 5000)
    content = io.BytesIO(b'email,x\na@example.com,"' + b"x\n" * 200_000 + b'"\nb@example.com,y\n')
    tracemalloc.start()
    for row in reader.records(content, reader.Reading("utf-8-sig", ",", True, "us")):
        last = row
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert last.cells == ["b@example.com", "y"]
    assert peak < 15_000_000, "a block of lines, and no more"


def test_thousands_of_columns_of_one_name_are_told_apart_soon():
    names = ["x", "X 2", *["x"] * 16_000]
    content = io.BytesIO(f"{','.join(names)}\n{','.join('y' for _ in names)}\n".encode())
    began = time.process_time()
    header, _ = reader.header_and_sample(content, reader.Reading("utf-8-sig", ",", True, "us"))
    assert time.process_time() - began < 2
    assert header[:5] == ["x", "X 2", "x 3", "x 4", "x 5"]
    assert len({name.casefold() for name in header}) == len(names)


def test_a_chunk_of_long_rows_has_few_of_them():
    rows = iter([reader.Record(number, ["x" * 900_000], size=900_000) for number in range(40)])
    assert len(reader.chunk(rows, 5000)) < 15
    assert len(list(rows)) > 20


def test_a_long_cell_without_an_address_costs_no_time():
    began = time.process_time()
    rows = read(b"email,x\n" + b"".join(b"a@example.com,%s\n" % (b"<" + b" y" * 60_000) for _ in range(20)))[
        1
    ]
    assert time.process_time() - began < 3
    assert len(rows) == 20


def test_undecodable_bytes_are_reported_by_their_row(sign_in, bob):
    run = imported(
        sign_in(bob), "email,name\na@example.com,José\nb@example.com,Zoë\n".encode() + b"c@example.com,\xff\n"
    )
    assert list(refused(run)) == [4]
    assert "could not be read" in refused(run)[4]
    assert run.created_count == 2


def test_repeated_and_empty_names_of_columns_can_be_imported_as_they_are_offered(sign_in, bob, workspace):
    imported(sign_in(bob), b"email,City,city,,\na@example.com,Oslo,Rome,x,\n")
    assert Contact.objects.get().attributes == {"city": "Oslo", "city_2": "Rome"}
    assert CustomField.objects.of(workspace).count() == 2


@pytest.fixture
def wide(sign_in, bob):
    """(Bob's client, an import of two thousand columns waiting for what they are): the address stands last."""
    header = ",".join([*(f"c{number}" for number in range(1999)), "email"])
    row = ",".join([*(f"t{number}" for number in range(1999)), "a@example.com"])
    client = sign_in(bob)
    upload(client, f"{header}\n{row}\n".encode())
    return client, Import.objects.get()


def deed(client, run, name, **changes):
    """What the page shows after one of its buttons was pressed, and what its form would send then."""
    answer = client.post(reverse("import_map", args=[run.pk]), {**changes, "deed": name})
    assert answer.status_code == 200
    return answer, sends(answer)


def sends(answer):
    form = answer.context["form"]
    data = {field.html_name: field.value() or "" for field in form if field.html_name != "lists"}
    data |= {field.html_name: field.value() for field in answer.context["reading"]}
    return data | {"kept": form.kept, "find": form.window.find, "first": str(form.window.first)}


def columns_shown(answer):
    return [column.label for column, _, _ in answer.context["form"].rows()]


def test_of_two_thousand_columns_a_page_shows_a_hundred_with_the_recognized_ones_first(
    wide, django_assert_max_num_queries
):
    client, run = wide
    with django_assert_max_num_queries(15):
        answer = client.get(reverse("import_map", args=[run.pk]))
    assert columns_shown(answer) == ["email", *(f"c{number}" for number in range(99))]
    assert answer.text.count('name="column_') == 100
    assert len(answer.content) < 300_000  # a browser takes ten seconds for the three million of all columns
    assert len(answer.text.partition('id="import-columns"')[2].split("<option")) < 3000


def test_what_was_chosen_on_one_page_of_the_columns_is_kept_on_the_others(wide):
    client, run = wide
    data = sends(client.get(reverse("import_map", args=[run.pk])))
    answer, data = deed(client, run, "page:100", **data | {"column_3": "", "label_4": "Shoe size"})
    assert columns_shown(answer)[0] == "c99"
    answer, data = deed(client, run, "find", **data | {"find": "C1998", "column_100": "first_name"})
    assert columns_shown(answer) == ["c1998"]
    answer, data = deed(client, run, "find", **data | {"find": ""})
    assert (data["column_3"], data["label_4"]) == ("", "Shoe size")
    assert columns_shown(answer)[0] == "email"
    started = client.post(reverse("import_map", args=[run.pk]), data)
    assert started.status_code == 302
    run.refresh_from_db()
    assert (run.mapping[1999], run.mapping[100], run.mapping[3]) == ("email", "first_name", "")
    assert run.mapping[4]["label"] == "Shoe size"
    assert run.mapping[1998]["label"] == "c1998"


def test_all_new_fields_are_left_out_by_one_button_and_a_found_one_is_taken_again(wide):
    client, run = wide
    data = sends(client.get(reverse("import_map", args=[run.pk])))
    answer, data = deed(client, run, "leave-out", **data)
    assert "0 new fields would be made" in answer.text
    _, data = deed(client, run, "find", **data | {"find": "c1234"})
    data |= {"column_1234": "new:text", "label_1234": "Shoe size"}
    assert client.post(reverse("import_map", args=[run.pk]), data).status_code == 302
    run.refresh_from_db()
    assert [each for each in run.mapping if each] == [run.mapping[1234], "email"]


def test_a_problem_of_a_column_that_is_not_shown_names_it(wide):
    client, run = wide
    data = sends(client.get(reverse("import_map", args=[run.pk])))
    _, data = deed(client, run, "page:100", **data | {"column_3": "first_name"})
    answer = client.post(
        reverse("import_map", args=[run.pk]), data | {"column_99": "first_name", "label_99": ""}
    )
    assert answer.status_code == 422
    assert "Another column is “First name” already" in answer.text
    answer = client.post(
        reverse("import_map", args=[run.pk]), data | {"label_100": "c1500", "kept": data["kept"]}
    )
    assert "Column “c1500”: A field “c1500” is there already" in answer.text


@pytest.mark.parametrize(
    "kept",
    [
        "",
        "[]",
        "{",
        '{"5": ["nonsense", "x"]}',
        '{"5": 7, "-1": ["", ""]}',
        "[" * 9000,
        '{"5": ["", "\\u0000"]}',
    ],
)
def test_whatever_is_sent_as_kept_breaks_nothing(wide, kept):
    client, run = wide
    data = sends(client.get(reverse("import_map", args=[run.pk]))) | {
        "kept": kept,
        "first": "x",
        "find": "\0",
    }
    assert deed(client, run, "page:100", **data)[0].status_code == 200
    assert deed(client, run, "page:" + "9" * 30, **data)[0].status_code == 200
    assert client.post(reverse("import_map", args=[run.pk]), data).status_code == 302


cell_bytes = st.binary(max_size=30) | st.sampled_from(
    [b'"', b"a@b.example", b"\0", b"\r", b'""', b"\xff", b'\\"', b"<"]
)
files = st.lists(cell_bytes, max_size=40).flatmap(
    lambda found: st.sampled_from([b",", b";", b"\t", b"\n", b'","']).map(lambda sign: sign.join(found))
)


ROWS = [("email", "x"), ("a@b.example", "y"), ("c@d.example", 3)]
PACKED = [
    a_workbook(("People", ROWS)),
    a_zip({"people.tsv": b"email\tx\na@b.example\ty\n"}),
    a_zip({"people.xlsx": a_workbook(("People", ROWS))}),
]


@st.composite
def damaged(draw):
    """A workbook or a ZIP in which some bytes are others, or which is cut."""
    content = draw(st.sampled_from(PACKED))
    at, others = draw(st.integers(0, len(content))), draw(st.binary(max_size=8))
    rest = draw(st.sampled_from([content[at + len(others) :], b""]))
    return content[:at] + others + rest


NAMES = st.sampled_from(
    ["people.csv", "people.tsv", "people.xlsx", "people.xls", "people.ods", "people.zip", "people"]
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(min_size=1, max_size=400)
    | files.map(lambda body: b"email,x\na@b.example,y\n" + body)
    | damaged().filter(bool),
    NAMES,
)
@example(b"email,name\n\0@b.example,\0\n", "people.xlsx")
@example(b'\xff\xfe"\0a\0', "people.tsv")
@example(b"PK\x03\x04", "people.zip")
@example(b"\xd0\xcf\x11\xe0" + bytes(600), "people.xls")
@example(PACKED[0], "people.csv")
def test_no_bytes_end_in_a_fault_or_half_an_import(sign_in, bob, content, name):
    client = sign_in(bob)
    Import.objects.all().delete()
    Contact.objects.all().delete()
    CustomField.objects.all().delete()
    response = upload(client, content, name)
    assert response.status_code in (302, 422)
    if response.status_code == 422:
        assert not Import.objects.exists()
        return
    run = Import.objects.get()
    data = offered(client, run)
    if "email" not in data.values():
        data["column_0"] = "email"
    started = client.post(reverse("import_map", args=[run.pk]), data)
    assert started.status_code in (302, 422)
    if started.status_code == 302:
        run_import(import_id=run.pk)
        assert Contact.objects.count() == 0  # it was checked
        client.post(reverse("import_start", args=[run.pk]))
        run_import(import_id=run.pk)
        run.refresh_from_db()
        assert run.state == "done"
        assert run.row_count == run.created_count + run.refused_count + run.repeated_count
    assert Contact.objects.count() == Import.objects.get().created_count


def test_what_the_reader_gives_is_the_same_each_time():
    """A run that was killed goes on after so many rows: they must be the same ones."""
    content = b'email,x\na@b.example,"1\n2"\n"open\nc@d.example,3\n\xff,"\n' * 2000
    assert read(content)[1] == read(content)[1]
    with reader.unpacked(ContentFile(content)) as plain:
        assert plain.read() == content
