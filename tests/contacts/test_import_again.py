"""The next file with the same columns: they are taken as the last time, and can be taken otherwise."""

import pytest
from django.urls import reverse

from contacts.models import Import, ImportState
from tests.builders import a_field
from tests.contacts.importing import imported, offered, upload
from tests.people import a_person, a_workspace

HEADER = "Mail,Stadt,Zone,Seit"
FILE = f"{HEADER}\nanna@example.com,Köln,b,03.02.2024\n".encode()
SAID = "Filled in as in your last import with these columns"


@pytest.fixture
def client(sign_in, bob):
    return sign_in(bob)


@pytest.fixture
def first(client, workspace):
    """Its columns taken otherwise than guessed: one as another field, one left out."""
    a_field(workspace, "City")
    upload(client, FILE)
    run = Import.objects.get()
    data = offered(client, run) | {"column_1": "attribute:city", "column_2": "", "label_3": "Customer since"}
    return carried_out(client, run, data)


def carried_out(client, run, data):
    from contacts.jobs import run_import

    assert client.post(reverse("import_map", args=[run.pk]), data).status_code == 302
    run_import(import_id=run.pk)
    client.post(reverse("import_start", args=[run.pk]))
    run_import(import_id=run.pk)
    run.refresh_from_db()
    assert run.state == ImportState.DONE, run.error
    return run


def columns(client, content=FILE, **reading):
    """What the page takes the columns of a new upload as, and its text."""
    upload(client, content)
    run = Import.objects.latest("pk")
    page = client.get(reverse("import_map", args=[run.pk]), reading).text
    data = offered(client, run, **reading)
    return [data[name] for name in sorted(data) if name.startswith("column_")], page


AS_BEFORE = ["email", "attribute:city", "", "attribute:customer_since"]
GUESSED = ["email", "new:text", "new:text", "new:date"]


def test_the_next_file_with_the_same_columns_is_taken_alike(client, first):
    found, page = columns(client, FILE.replace(b"Mail", b"MAIL").replace(b"anna", b"tom"))
    assert found == AS_BEFORE
    assert SAID in page
    assert reverse("import", args=[first.pk]) in page
    run = imported(client, FILE.replace(b"anna", b"eve"))
    assert run.mapping == AS_BEFORE


def test_it_can_be_taken_otherwise_and_that_holds_for_the_file_after_it(client, first):
    upload(client, FILE)
    run = Import.objects.latest("pk")
    carried_out(client, run, offered(client, run) | {"column_1": "first_name"})
    assert columns(client)[0] == ["email", "first_name", *AS_BEFORE[2:]]


@pytest.mark.parametrize(
    "header", ["Mail,Stadt,Zone", "Stadt,Mail,Zone,Seit", "Mail,Stadt,Zone,Seit,More", "Mail,Ort,Zone,Seit"]
)
def test_other_columns_are_guessed(client, first, header):
    found, page = columns(client, FILE.replace(HEADER.encode(), header.encode()))
    assert found != AS_BEFORE[: len(found)]
    assert SAID not in page


def test_without_a_header_nothing_is_known(client, first):
    found, page = columns(client, header="no")
    assert "attribute:city" not in found
    assert SAID not in page


def test_a_field_that_is_gone_is_guessed_anew(client, first, workspace):
    workspace.custom_fields.filter(key="city").delete()
    assert columns(client)[0] == ["email", "new:text", "", "attribute:customer_since"]


def test_one_that_was_not_carried_out_or_is_anothers_teaches_nothing(client, first, sign_in, workspace):
    elsewhere = a_workspace("Elsewhere")
    mallory = a_person("m@elsewhere.example", name="M", workspace=elsewhere, role="owner")
    found, page = columns(sign_in(mallory))
    assert (found, SAID in page) == (GUESSED, False)
    Import.objects.filter(pk=first.pk).update(state=ImportState.UNDONE)
    found, page = columns(client)
    assert (found[1], SAID in page) == ("new:text", False)
