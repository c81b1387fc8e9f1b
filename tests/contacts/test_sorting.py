"""Every list page can be sorted, and goes on page by page in that order."""

import base64
import json

import pytest
from django.urls import reverse

from contacts.models import Import, Suppression
from tests.builders import a_list, a_segment

pytestmark = pytest.mark.django_db


def make(kind, workspace, name):
    match kind:
        case "lists":
            a_list(workspace, name)
        case "segments":
            a_segment(workspace, name)
        case "suppressions":
            Suppression.objects.create(
                workspace=workspace, email=f"{name}@example.com".lower(), reason="manual"
            )
        case "imports":
            Import.objects.create(
                workspace=workspace,
                file="imports/x",
                file_name=f"{name}.csv",
                encoding="utf-8",
                delimiter=",",
            )


def order(page: str, names) -> list[str]:
    body = page.partition("<tbody>")[2]
    return sorted(names, key=lambda name: body.lower().index(name.lower()))


@pytest.mark.parametrize(
    ("kind", "sort", "expected"),
    [
        ("lists", "", ["Alder", "birch", "Cedar"]),
        ("lists", "newest", ["Alder", "Cedar", "birch"]),
        ("lists", "oldest", ["birch", "Cedar", "Alder"]),
        ("segments", "newest", ["Alder", "Cedar", "birch"]),
        ("suppressions", "", ["Alder", "Cedar", "birch"]),
        ("suppressions", "email", ["Alder", "birch", "Cedar"]),
        ("imports", "oldest", ["birch", "Cedar", "Alder"]),
        ("imports", "nonsense", ["Alder", "Cedar", "birch"]),
    ],
)
def test_a_list_page_is_sorted_as_asked(sign_in, carol, workspace, kind, sort, expected):
    for name in ("birch", "Cedar", "Alder"):
        make(kind, workspace, name)
    page = sign_in(carol).get(reverse(kind), {"sort": sort}).content.decode()
    assert order(page, expected) == expected


@pytest.mark.parametrize(
    "value", ["x", 1.5, 10**30, float("nan"), "2026-01-01"], ids=["word", "half", "huge", "nan", "day"]
)
def test_a_cursor_of_another_kind_of_column_gives_a_page(sign_in, carol, workspace, value):
    make("imports", workspace, "cedar")
    run = Import.objects.get()
    Import.objects.update(state="done")
    cursor = "n" + base64.urlsafe_b64encode(json.dumps([value, 1]).encode()).decode()
    for address in (
        reverse("import", args=[run.pk]),
        reverse("imports"),
        reverse("segments"),
        reverse("lists"),
    ):
        assert sign_in(carol).get(address, {"cursor": cursor}).status_code == 200
