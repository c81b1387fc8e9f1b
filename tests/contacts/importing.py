"""An import from the upload to its end, as a person does it: the page's own guesses, sent as they are."""

import io
import zipfile

import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from contacts.jobs import run_import
from contacts.models import Import, ImportRefusal


def upload(client, content=b"", name="people.csv", **fields):
    file = {"file": SimpleUploadedFile(name, content)} if content else {}
    return client.post(reverse("import_new"), {**file, **fields})


def offered(client, run, **reading):
    """What the page of columns offers, as its form would send it."""
    context = client.get(reverse("import_map", args=[run.pk]), reading).context
    form, how = context["form"], context["reading"]
    data = {field.html_name: field.value() or "" for field in form if field.html_name != "lists"}
    return data | {field.html_name: field.value() for field in how}


def imported(
    client, content=b"", name="people.csv", *, reading=None, pasted="", checked_only=False, **chosen
):
    """The import, carried out, or checked only; chosen: what the page of columns is told besides its guesses."""
    response = upload(client, content, name, pasted=pasted)
    assert response.status_code == 302, response.context["form"].errors
    run = Import.objects.latest("pk")
    data = offered(client, run, **(reading or {})) | chosen
    started = client.post(reverse("import_map", args=[run.pk]), data)
    assert started.status_code == 302, started.context["form"].errors
    run_import(import_id=run.pk)  # the check
    if checked_only:
        run.refresh_from_db()
        return run
    client.post(reverse("import_start", args=[run.pk]))
    run_import(import_id=run.pk)
    run.refresh_from_db()
    return run


def refused(run):
    """{row number: reason}"""
    return dict(ImportRefusal.objects.filter(run=run).values_list("row_number", "reason"))


def a_workbook(*sheets):
    """sheets: (name, rows); a cell that is a date is written as one."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd"})
    for name, rows in sheets:
        sheet = book.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    book.close()
    return out.getvalue()


def a_zip(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()
