"""Headers, cells and names that are markup or formulas, from the upload to the exports: text everywhere."""

import csv
import io

import pytest
from django.urls import reverse

from contacts.actions import exports, segments
from contacts.jobs import run_export, run_import
from contacts.models import Contact, CustomField, ExportFormat, Import, List, Tag
from tests.contacts.importing import offered, upload
from tests.markup import MARKUP, elements_of

pytestmark = pytest.mark.django_db
FORMULA = '=HYPERLINK("http://evil.example";"x")'


def a_file(*rows):
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    return out.getvalue().encode()


@pytest.fixture
def look(sign_in, alice):
    """look(name, *arguments) asks for a page and finds no markup of anybody's in it."""
    client = sign_in(alice)

    def at(name, *arguments, shows=True, query=""):
        answer = client.get(reverse(name, args=arguments) + query)
        assert answer.status_code == 200, name
        assert not {"xss", "onx"} & elements_of(answer.text), name
        assert not shows or "&lt;xss" in answer.text, name

    at.client = client
    return at


def test_markup_in_a_file_is_text_wherever_it_is_shown(look, workspace, alice, bob):
    client = look.client
    rows = [
        ("email", MARKUP, "plan"),
        ("a@b.example", MARKUP, "x"),
        ("b@b.example", "y", MARKUP),
        (MARKUP, "", ""),
    ]
    upload(client, a_file(*rows), f"{MARKUP.replace('/', '')}.csv")
    run = Import.objects.get()
    look("import_map", run.pk)
    data = offered(client, run) | {
        "type_2": "choice",
        "new_list": MARKUP,
        "tags": MARKUP,
        "consent_note": MARKUP,
    }
    data |= {name: "new:choice" for name, value in data.items() if name == "column_2"}
    data |= {"status": "subscribed", "consent": "on"}
    answer = client.post(reverse("import_map", args=[run.pk]), data)
    assert answer.status_code == 302, answer.context["form"].errors
    run_import(import_id=run.pk)
    look("import", run.pk)
    client.post(reverse("import_start", args=[run.pk]))
    run_import(import_id=run.pk)
    run.refresh_from_db()
    assert (run.created_count, run.refused_count) == (2, 1)
    field = CustomField.objects.get(label=MARKUP)
    news, tag = List.objects.get(name=MARKUP), Tag.objects.get(name=MARKUP)
    contact = Contact.objects.get(email="a@b.example")
    rule = {"subject": f"attribute:{field.key}", "operator": "is", "value": MARKUP}
    segment = segments.create(workspace, name=MARKUP, rules={"join": "and", "rules": [rule]}, by=alice)
    frozen = segments.freeze(segment, by=alice)
    other = Contact.objects.get(email="b@b.example")
    queries = {
        "bulk_new": f"?action=add_tags&segment={segment.pk}",
        "contact_merge": f"?other={other.pk}",
    }
    for name, *arguments in (
        ("import", run.pk), ("imports",), ("import_undo", run.pk), ("contact", contact.pk), ("contacts",),
        ("contact_edit", contact.pk), ("contact_merge", contact.pk),
        ("fields",), ("field_edit", field.pk),
        ("field_delete", field.pk), ("tags",), ("tag_edit", tag.pk), ("tag_delete", tag.pk), ("lists",),
        ("list", news.pk), ("list_edit", news.pk), ("segments",), ("segment", segment.pk), ("segment_edit", segment.pk),
        ("segment", frozen.pk), ("columns", "contacts"), ("audit",), ("bulk_new",),
    ):  # fmt: skip
        query = queries.get(name, "")
        look(name, *arguments, query=query)
    export = exports.of_segment(segment, file_format=ExportFormat.CSV, by=bob)
    run_export(export_id=export.pk)
    look("exports")
    look("export_new", query=f"?segment={segment.pk}")


def test_no_formula_leaves_among_the_refused_rows(look):
    client = look.client
    upload(
        client, a_file(("email", FORMULA), ("a@b.example", "-1+1"), (FORMULA, FORMULA), (f" {FORMULA}", ""))
    )
    run = Import.objects.get()
    client.post(reverse("import_map", args=[run.pk]), offered(client, run))
    run_import(import_id=run.pk)
    content = b"".join(client.get(reverse("import_refused", args=[run.pk]))).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(content)))
    assert [FORMULA in row[2].replace('""', '"') for row in rows] == [False, True, True]
    cells = [cell.lstrip(' "') for row in rows for cell in row]
    assert [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t"))] == []
