from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from contacts.actions.imports import forget_abandoned
from contacts.models import Import
from tests.builders import a_list

FILES = Path(__file__).parent / "files"


def upload(client, content, name="people.csv"):
    return client.post(reverse("import_new"), {"file": SimpleUploadedFile(name, content)})


def test_a_marketer_uploads_a_file_and_comes_to_its_columns(sign_in, bob, workspace):
    response = upload(sign_in(bob), (FILES / "mailchimp_export_utf8_bom.csv").read_bytes(), "mailchimp.csv")
    run = Import.objects.of(workspace).get()
    assert response.url == reverse("import_map", args=[run.pk])
    assert (run.file_name, run.encoding, run.delimiter, run.has_header) == (
        "mailchimp.csv",
        "utf-8-sig",
        ",",
        True,
    )


def test_a_viewer_may_not_upload(sign_in, carol):
    assert upload(sign_in(carol), b"email\na@example.com\n").status_code == 403
    assert sign_in(carol).get(reverse("import_new")).status_code == 403
    assert not Import.objects.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty"),
        (b"\xef\xbb\xbf\r\n  \n", "The file is empty"),
        (b"PK\x03\x04" + bytes(200), "The file is damaged"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "a picture"),
        (bytes(range(256)) * 8, "This is not a text file"),
        (b"email,name\n", "no rows of data"),
        (b",".join([b"x"] * 2001) + b"\n" + b",".join([b"y"] * 2001) + b"\n", "2,001 columns; at most 2,000"),
    ],
)
def test_what_is_no_file_of_people_is_refused_beside_the_field(sign_in, bob, content, message):
    response = upload(sign_in(bob), content)
    assert response.status_code == 422
    assert message in response.text
    assert not Import.objects.exists()


def test_no_file_at_all_is_said(sign_in, bob):
    response = sign_in(bob).post(reverse("import_new"))
    assert response.status_code == 422
    assert "Choose a file, or paste rows" in response.text


def test_a_file_over_the_limit_is_refused(sign_in, bob, monkeypatch):
    monkeypatch.setattr("contacts.forms.imports.FILE_LIMIT", 2**20)
    response = upload(sign_in(bob), b"email\n" + b"anna@example.com\n" * 100_000)
    assert response.status_code == 422
    assert "The file has 1.6\xa0MB; at most 1 MB" in response.text


@pytest.mark.parametrize(("limit", "is_cut"), [(8_000_000, False), (1_000_000, True)])
def test_a_request_over_the_limit_is_answered_without_keeping_its_file(
    sign_in, bob, monkeypatch, limit, is_cut
):
    monkeypatch.setattr("accounts.uploads.FILE_LIMIT", limit)
    monkeypatch.setattr("accounts.uploads.FORM_BYTES", 0)
    response = upload(sign_in(bob), b"email\n" + b"anna@example.com\n" * 600_000)
    assert response.status_code == 422
    assert "The file is too large" in response.text
    assert not response.wsgi_request.FILES
    assert bool(response.wsgi_request._stream.read(1)) is is_cut  # the rest was not read


@pytest.mark.parametrize("name", sorted(path.name for path in FILES.iterdir() if path.name != "empty.csv"))
def test_every_kind_of_file_comes_to_its_columns(sign_in, bob, name):
    client = sign_in(bob)
    response = upload(client, (FILES / name).read_bytes(), name)
    page = client.get(response.url)
    assert page.status_code == 200
    assert "Take as" in page.text


def test_an_import_begun_on_a_list_has_that_list_ticked(sign_in, bob, workspace):
    news = a_list(workspace)
    client = sign_in(bob)
    page = client.get(reverse("import_new"), {"list": news.pk})
    assert page.context["form"]["list"].value() == str(news.pk)
    file = SimpleUploadedFile("people.csv", b"email,name\nanna@example.com,Anna\n")
    mapping = client.post(reverse("import_new"), {"file": file, "list": news.pk}, follow=True)
    assert mapping.context["form"]["lists"].value() == [news.pk]


def test_a_file_that_nobody_went_on_with_is_deleted_after_a_week(sign_in, bob, workspace):
    upload(sign_in(bob), b"email\nanna@example.com\n")
    assert forget_abandoned() == 0
    run = Import.objects.of(workspace).get()
    Import.objects.update(created_at=timezone.now() - timedelta(days=8))
    assert forget_abandoned() == 1
    assert not run.file.storage.exists(run.file.name)
    assert Import.objects.get().state == "canceled"
    assert forget_abandoned() == 0
