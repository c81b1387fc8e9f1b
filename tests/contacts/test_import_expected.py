"""What each shared sample file must give, as EXPECTED.json beside them says."""

import json

import pytest
from django.urls import reverse

from contacts.models import Contact, CustomField, Import, ImportRefusal
from tests.contacts.importing import imported, offered, refused, upload
from tests.volley import ROOT

FOLDER = ROOT.parent / "shared" / "data" / "imports"
if not FOLDER.is_dir():
    pytest.skip("../shared/data/imports is not here", allow_module_level=True)
EXPECTED = json.loads((FOLDER / "EXPECTED.json").read_text())
NAMES = {"first_name": "first_name", "Nachname": "last_name"}  # of columns that are no field of ours


def test_every_file_there_is_expected_to_give_something():
    assert {path.name for path in FOLDER.iterdir()} - {"EXPECTED.json"} == set(EXPECTED)


@pytest.mark.parametrize("name", [name for name in EXPECTED if name != "empty.csv"])
def test_the_file_gives_what_is_expected(sign_in, bob, name):
    expected, client = EXPECTED[name], sign_in(bob)
    run = imported(client, (FOLDER / name).read_bytes(), name)
    assert run.state == "done"
    assert run.row_count == expected.get("rows", run.row_count)
    assert run.done_count == run.total_count == run.people_count
    assert run.refused_count == expected.get("refused", run.refused_count)
    assert run.row_count - run.refused_count == expected.get("accepted", run.row_count - run.refused_count)
    assert Contact.objects.count() == expected.get("contacts", run.created_count)
    for email, values in expected.get("check", {}).items():
        assert held(Contact.objects.get(email=email), values) == values


def held(contact, values):
    keys = dict(CustomField.objects.values_list("label", "key"))
    return {
        name: getattr(contact, NAMES[name]) if name in NAMES else contact.attributes[keys[name]]
        for name in values
    }


@pytest.mark.parametrize("name", [name for name in EXPECTED if "email_column" in EXPECTED[name]])
def test_the_column_of_addresses_is_guessed(sign_in, bob, name):
    client = sign_in(bob)
    upload(client, (FOLDER / name).read_bytes(), name)
    page = client.get(reverse("import_map", args=[Import.objects.get().pk]))
    columns = page.context["form"].columns
    assert [each.label for each in columns if each.guess == "email"] == [EXPECTED[name]["email_column"]]


def test_of_the_dirty_file_the_right_rows_are_refused_with_text_and_reason(sign_in, bob):
    expected = EXPECTED["dirty.csv"]
    run = imported(sign_in(bob), (FOLDER / "dirty.csv").read_bytes())
    taken = {email.lower() for email in Contact.objects.values_list("email", flat=True)}
    assert set(expected["must_accept"]) <= taken
    refusals = list(ImportRefusal.objects.filter(run=run))
    assert all(each.reason and each.row_number > 1 for each in refusals)
    texts = [each.text for each in refusals]
    for address in filter(None, expected["must_refuse"]):
        assert address not in taken
        assert any(address in text for text in texts)
    assert run.row_count == run.created_count + run.repeated_count + len(refusals)


def test_a_headerless_file_offers_its_first_row_as_a_person_and_the_choice(sign_in, bob):
    client = sign_in(bob)
    upload(client, (FOLDER / "headerless.txt").read_bytes(), "headerless.txt")
    run = Import.objects.get()
    assert offered(client, run)["header"] == "no"
    assert offered(client, run, header="yes")["header"] == "yes"


def test_ragged_rows_are_whole(sign_in, bob):
    run = imported(sign_in(bob), (FOLDER / "ragged.csv").read_bytes())
    assert (run.created_count, run.extra_count) == (3, 1)


def test_broken_bytes_are_said_by_their_line(sign_in, bob):
    run = imported(sign_in(bob), (FOLDER / "broken_bytes.csv").read_bytes())
    reasons = refused(run)
    assert "NUL" in reasons[2]
    assert "quotation mark" in reasons[4]
    assert "line 4" in reasons[4]


def test_an_empty_file_starts_no_import(sign_in, bob):
    response = upload(sign_in(bob), name="empty.csv", content=b"\n")
    assert response.status_code == 422
    assert "The file is empty" in response.text
    assert not Import.objects.exists()
