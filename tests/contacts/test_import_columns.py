from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from contacts.actions.tags import named
from contacts.exporting.rows import statement as exported
from contacts.importing.values import guess_type
from contacts.models import Contact, CustomField, Import, ImportState, List, Suppression
from delivery.confirming.sender import Sender
from delivery.models import Confirmation
from tests.builders import a_contact, a_field, a_list, an_account
from tests.contacts.imports import carried_out

FILES = Path(__file__).parent / "files"


@pytest.fixture
def uploaded(sign_in, bob):
    """uploaded(content) gives (client of Bob, the import waiting for its columns)."""

    def make(content, name="people.csv"):
        client = sign_in(bob)
        client.post(reverse("import_new"), {"file": SimpleUploadedFile(name, content)})
        return client, Import.objects.latest("pk")

    return make


def chosen(client, run, **reading):
    """What the page offers, as the form would send it."""
    form = client.get(reverse("import_map", args=[run.pk]), reading).context["form"]
    return {field.html_name: field.value() or "" for field in form if field.html_name != "lists"}


def test_columns_are_guessed_by_header_and_by_value(uploaded):
    client, run = uploaded((FILES / "excel_semicolon_cp1252.csv").read_bytes())
    columns = client.get(reverse("import_map", args=[run.pk])).context["form"].columns
    assert [(column.label, column.guess) for column in columns] == [
        ("E-Mail", "email"),
        ("Vorname", "first_name"),
        ("Nachname", "last_name"),
        ("Stadt", "new:choice"),
        ("Umsatz", "new:number"),
        ("Kunde seit", "new:date"),
    ]
    assert columns[3].examples[:2] == ["Köln", "München"]


def test_short_words_for_names_are_understood(uploaded):
    client, run = uploaded(b"Email,First,Last\na@example.com,Ann,Lee\n")
    columns = client.get(reverse("import_map", args=[run.pk])).context["form"].columns
    assert [column.guess for column in columns] == ["email", "first_name", "last_name"]


def test_mailchimps_own_columns_are_left_out(uploaded):
    client, run = uploaded((FILES / "mailchimp_export_utf8_bom.csv").read_bytes())
    columns = client.get(reverse("import_map", args=[run.pk])).context["form"].columns
    guesses = {column.label: column.guess for column in columns}
    assert guesses["Email Address"] == "email"
    assert guesses["First Name"] == "first_name"
    assert guesses["Last Name"] == "last_name"
    assert guesses["MEMBER_RATING"] == ""
    assert guesses["Birthday"] == "new:date"


def test_what_volleys_own_exports_add_is_left_out(uploaded, workspace):
    city, people = a_field(workspace, "City"), Contact.objects.of(workspace)
    titles = exported(workspace, people, [city], a_list(workspace, "News")).titles
    filled = ",".join(["anna@example.com"] * len(titles))
    client, run = uploaded(f"{','.join(titles)}\n{filled}\n".encode())
    columns = client.get(reverse("import_map", args=[run.pk])).context["form"].columns
    guesses = {column.label: column.guess for column in columns}
    assert {label for label, guess in guesses.items() if guess} == {
        "E-mail",
        "First name",
        "Last name",
        "City",
        "Tags",
    }


def test_a_column_of_another_tool_is_taken_whatever_volleys_exports_call_it(uploaded):
    client, run = uploaded(b"email,Status,Added\nanna@example.com,gold,2024-01-31\n")
    assert chosen(client, run)["column_1"] == "new:text"
    assert chosen(client, run)["column_2"] == "new:date"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["Gold", "Silver"] * 5, "choice"),
        (["Gold", "Silver"] * 4 + ["Gold"], "text"),  # too few to tell
        (["Gold"] * 50, "text"),  # says nothing
        (["Gold", "Silver"] * 20 + ["Bronze"], "text"),  # once is no repeating
        ([f"Street {number}" for number in range(9)] * 20, "text"),
        (["yes", "no"] * 50, "boolean"),
        (["1", "2"] * 50, "number"),
        (["12/31", "01/02", ""], "date"),
        (["--12-31", "--0102", "'--02-03", "14.03.", "1980-02-14"], "date"),
        (["1/2", "3/4", "2/3"], "text"),  # as likely fractions
        (["13/32", "1/2"], "text"),
        (["12.03", "1.5"], "number"),
        ([], "text"),
    ],
)
def test_a_type_is_guessed_from_the_cells(cells, kind):
    assert guess_type(cells, "us") == kind


def test_a_field_that_is_there_is_recognised(uploaded, workspace):
    CustomField.objects.create(workspace=workspace, key="city", label="City", type="text")
    client, run = uploaded(b"email,CITY\nanna@example.com,Paris\n")
    assert chosen(client, run)["column_1"] == "attribute:city"


@pytest.mark.parametrize(
    ("cells", "role"),
    [
        (["soon", "later"], ""),
        (["soon", "1980-02-14"], "attribute:birthday"),
        (["01/01", "02/14"], "attribute:birthday"),
        (["", ""], "attribute:birthday"),
    ],
)
def test_a_field_is_not_chosen_for_cells_that_it_would_refuse(uploaded, workspace, cells, role):
    CustomField.objects.create(workspace=workspace, key="birthday", label="Birthday", type="date")
    client, run = uploaded(
        f"email,Birthday\nanna@example.com,{cells[0]}\nben@example.com,{cells[1]}\n".encode()
    )
    assert chosen(client, run)["column_1"] == role
    page = client.get(reverse("import_map", args=[run.pk])).content.decode()
    assert ("do not fit your field “Birthday”" in page) == (role == "")


def test_a_file_without_header_is_noticed(uploaded):
    client, run = uploaded((FILES / "headerless.txt").read_bytes())
    assert not run.has_header
    assert chosen(client, run)["column_0"] == "email"


def test_correcting_how_the_file_reads_redraws_the_columns_alone(uploaded):
    client, run = uploaded(b"email;city\nanna@example.com;Paris\n")
    page = reverse("import_map", args=[run.pk])
    response = client.get(
        page,
        {"delimiter": "comma", "header": "no"},
        headers={"HX-Request": "true", "HX-Target": "div#import-columns"},
    )
    assert "<html" not in response.text
    assert "email;city" in response.text
    run.refresh_from_db()
    assert run.delimiter == ";"  # looking changes nothing


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "shift_jis", "gb18030", "mac_roman", "nonsense"])
def test_no_choice_of_encoding_breaks_the_page(uploaded, encoding):
    client, run = uploaded("email,city\nanna@example.com,München\n".encode("cp1252"))
    assert client.get(reverse("import_map", args=[run.pk]), {"encoding": encoding}).status_code == 200


def test_checking_makes_nothing_and_starting_makes_fields_and_the_list(uploaded, workspace):
    client, run = uploaded((FILES / "excel_semicolon_cp1252.csv").read_bytes())
    data = chosen(client, run) | {"new_list": "Kunden", "consent": "on", "consent_note": "Shop checkout"}
    response = client.post(reverse("import_map", args=[run.pk]), data)
    assert response.url == reverse("import", args=[run.pk])
    carried_out(run)
    assert run.state == ImportState.CHECKED
    assert not CustomField.objects.exists()
    assert not List.objects.exists()
    page = client.get(response.url).text
    assert "Import 300 people" in page
    assert "the new list “Kunden”" in page
    assert "New field “Umsatz”: Number." in page
    client.post(reverse("import_start", args=[run.pk]))
    run.refresh_from_db()
    assert run.state == ImportState.QUEUED
    assert run.mapping == [
        "email", "first_name", "last_name", "attribute:stadt", "attribute:umsatz", "attribute:kunde_seit",
    ]  # fmt: skip
    assert [each.name for each in run.lists.all()] == ["Kunden"]
    assert dict(CustomField.objects.of(workspace).values_list("key", "type")) == {
        "stadt": "choice", "umsatz": "number", "kunde_seit": "date",
    }  # fmt: skip


def test_people_who_are_all_here_can_be_put_on_a_new_list(uploaded, workspace):
    anna = a_contact(workspace, "anna@example.com")
    gone = a_contact(workspace, "gone@example.com")
    Suppression.objects.create(workspace=workspace, email=gone.email, reason="manual")
    client, run = uploaded(b"email\nanna@example.com\ngone@example.com\n")
    data = chosen(client, run) | {"new_list": "Fair", "consent": "on", "consent_note": "At the fair"}
    checked = client.post(reverse("import_map", args=[run.pk]), data).url
    carried_out(run)
    page = " ".join(client.get(checked).text.split())
    assert "the new list “Fair”: 1 new subscription," in page
    assert "1 person has unsubscribed or is suppressed, and is not subscribed again." in page
    client.post(reverse("import_start", args=[run.pk]))
    assert carried_out(run).subscribed_count == 1
    assert list(List.objects.get(name="Fair").subscriptions.values_list("contact", flat=True)) == [anna.pk]


def test_going_back_to_the_columns_shows_what_was_chosen(uploaded, workspace):
    news = List.objects.create(workspace=workspace, name="News", opt_in="double")
    client, run = uploaded(b"email,city\nanna@example.com,Paris\n")
    wanted = {
        "column_1": "new:choice", "label_1": "Town", "mode": "overwrite", "tags": "Fair, VIP", "lists": [news.pk],
        "status": "pending",
    }  # fmt: skip
    client.post(reverse("import_map", args=[run.pk]), chosen(client, run) | wanted)
    carried_out(run)
    form = client.get(reverse("import_map", args=[run.pk])).context["form"]
    held = {name: form[name].value() for name in ("column_1", "label_1", "mode", "tags", "status")}
    assert held == {name: wanted[name] for name in held}
    assert form["lists"].value() == [news.pk]
    client.post(reverse("import_map", args=[run.pk]), chosen(client, run) | {"column_1": ""})
    assert carried_out(run).mapping == ["email", ""]


def test_a_check_that_fails_goes_back_to_the_columns_and_says_why(uploaded):
    rows = "".join(f"u{number}@example.com,word{number}\n" for number in range(501))
    client, run = uploaded(f"email,tags\n{rows}".encode())
    client.post(reverse("import_map", args=[run.pk]), chosen(client, run))
    carried_out(run)
    part = client.get(
        reverse("import", args=[run.pk]), headers={"HX-Request": "true", "HX-Target": "div#import-run"}
    )
    assert part.headers["HX-Redirect"] == reverse("import_map", args=[run.pk])
    assert "more than 500 different ones" in client.get(reverse("import_map", args=[run.pk])).text


def test_the_unconfirmed_need_no_declared_consent(uploaded):
    client, run = uploaded(b"email\nanna@example.com\n")
    data = chosen(client, run) | {"new_list": "Fans", "status": "pending"}
    assert client.post(reverse("import_map", args=[run.pk]), data).status_code == 302
    run.refresh_from_db()
    assert (run.status, run.new_list) == ("pending", "Fans")


def test_tags_that_are_there_are_offered(uploaded, workspace, bob):
    named(workspace, ["Summer fair"], by=bob)
    client, run = uploaded(b"email\nanna@example.com\n")
    page = client.get(reverse("import_map", args=[run.pk])).text
    assert '<option value="Summer fair"></option>' in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"column_0": ""}, "Choose the column that holds the e-mail addresses."),
        ({"column_1": "email"}, "Another column is “E-mail address” already."),
        ({"column_1": "new:text", "label_1": ""}, "Name the new field"),
        ({"column_1": "attribute:nonsense"}, "Select a valid choice"),
        ({"new_list": "Fans"}, "Only people who agreed"),
        ({"new_list": "Fans", "consent": "on"}, "Say where and when they agreed"),
        ({"new_list": "NEWS", "consent": "on", "consent_note": "x"}, "A list “NEWS” is there already"),
        ({"tags": "x" * 61}, "is longer than the 60 characters of a tag"),
        ({"mode": "nonsense"}, "Select a valid choice"),
        ({"status": ""}, "This field is required"),
        ({"new_list": "a\0b"}, "Null characters are not allowed"),
    ],
)
def test_a_wrong_choice_keeps_what_was_chosen_and_starts_nothing(uploaded, workspace, change, message):
    List.objects.create(workspace=workspace, name="News")
    client, run = uploaded(b"email,city\nanna@example.com,Paris\n")
    response = client.post(
        reverse("import_map", args=[run.pk]), chosen(client, run) | {"label_1": "Town"} | change
    )
    assert response.status_code == 422
    assert message in response.text
    assert change.get("label_1", "Town") in response.text
    run.refresh_from_db()
    assert run.state == ImportState.MAPPING
    assert not CustomField.objects.exists()


def test_another_workspaces_list_cannot_be_chosen(uploaded, mallory):
    theirs = List.objects.create(workspace=mallory.workspaces.get(), name="Theirs")
    client, run = uploaded(b"email\nanna@example.com\n")
    data = chosen(client, run) | {"lists": [theirs.pk], "consent": "on", "consent_note": "x"}
    assert client.post(reverse("import_map", args=[run.pk]), data).status_code == 422


def test_checking_or_starting_twice_is_refused(uploaded):
    client, run = uploaded(b"email\nanna@example.com\n")
    data = chosen(client, run)
    assert client.post(reverse("import_start", args=[run.pk])).status_code == 409
    client.post(reverse("import_map", args=[run.pk]), data)
    assert client.post(reverse("import_map", args=[run.pk]), data).status_code in (409, 422)
    assert client.get(reverse("import_map", args=[run.pk])).url == reverse("import", args=[run.pk])
    assert client.post(reverse("import_start", args=[run.pk])).status_code == 409
    carried_out(run)
    assert client.post(reverse("import_start", args=[run.pk])).status_code == 302
    assert client.post(reverse("import_start", args=[run.pk])).status_code == 409


def test_the_viewer_may_not_and_mallory_finds_nothing(uploaded, sign_in, carol, mallory):
    _client, run = uploaded(b"email\nanna@example.com\n")
    page = reverse("import_map", args=[run.pk])
    assert sign_in(carol).get(page).status_code == 403
    assert sign_in(mallory).get(page).status_code == 404
    assert sign_in(mallory).post(page).status_code == 404


def test_no_column_of_addresses_is_said(uploaded):
    client, run = uploaded(b"city,country\nParis,France\n")
    assert "No column looks like e-mail addresses" in client.get(reverse("import_map", args=[run.pk])).text


def test_unconfirmed_people_come_to_lists_that_ask_them(uploaded, workspace):
    news = List.objects.create(workspace=workspace, name="News")
    client, run = uploaded(b"email\nanna@example.com\n")
    wanted = {"lists": [news.pk], "status": "pending"}
    answer = client.post(reverse("import_map", args=[run.pk]), chosen(client, run) | wanted)
    assert answer.status_code == 422
    assert "“News” is single opt-in, so it asks nobody to confirm." in answer.text
    client.post(
        reverse("import_map", args=[run.pk]), chosen(client, run) | {"new_list": "Fair", "status": "pending"}
    )
    carried_out(run)
    client.post(reverse("import_start", args=[run.pk]))
    assert List.objects.get(name="Fair").opt_in == "double"


def test_it_is_said_before_the_import_that_nobody_can_be_asked_to_confirm(uploaded, workspace):
    """Without an address to ask from, the mail that the check speaks of would not leave."""
    news = a_list(workspace, "Garden news", opt_in="double")
    client, run = uploaded(b"email\nanna@example.com\n")
    client.post(
        reverse("import_map", args=[run.pk]),
        chosen(client, run) | {"lists": [news.pk], "status": "pending"},
    )
    carried_out(run)
    checked = client.get(reverse("import", args=[run.pk])).text
    assert "“Garden news”: Nobody can be asked to confirm." in checked
    assert reverse("list_confirmation", args=[news.pk]) in checked
    an_account(workspace, is_default=True)
    Confirmation.objects.create(
        list=news, subject="Hi", body="{{ confirm_url }}", from_email="a@acme.example"
    )
    assert "Nobody can be asked" not in client.get(reverse("import", args=[run.pk])).text


def test_that_nobody_can_be_asked_is_said_of_a_list_that_the_import_makes(uploaded, workspace, monkeypatch):
    client, run = uploaded(b"email\nanna@example.com\n")
    client.post(
        reverse("import_map", args=[run.pk]), chosen(client, run) | {"new_list": "Fair", "status": "pending"}
    )
    carried_out(run)
    page = reverse("import", args=[run.pk])
    assert "“Fair”: Nobody can be asked to confirm yet." in client.get(page).text
    an_account(workspace, is_default=True)
    latest = Sender("Acme", "a@acme.example", "")
    monkeypatch.setattr("delivery.confirming.sender.usual_sender", lambda _workspace: latest)
    assert "Nobody can be asked" not in client.get(page).text


def test_a_file_of_which_no_row_is_taken_says_where_to_look(uploaded):
    client, run = uploaded(b"name,email\nAnna,anna@example.com\n")
    wrong = chosen(client, run) | {"column_0": "email", "column_1": ""}
    client.post(reverse("import_map", args=[run.pk]), wrong)
    carried_out(run)
    checked = client.get(reverse("import", args=[run.pk])).text
    assert "No row can be imported" in checked
    assert "change what each is taken as" in checked
    assert reverse("import_start", args=[run.pk]) not in checked
