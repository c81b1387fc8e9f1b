"""Choosing what a table of contacts shows: for oneself alone, on each of the three tables, and with hostile input."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.html import escape

from accounts.models import Membership, Role
from contacts.actions import fields
from contacts.queries.columns import MOST
from tests.builders import a_contact, a_field, a_list, a_segment, a_tag
from tests.people import a_person, a_workspace

pytestmark = pytest.mark.django_db
ALL = ["name", "lists", "tags", "added", "changed"]


@pytest.fixture
def news(workspace):
    return a_list(workspace)


@pytest.fixture
def anna(workspace, news):
    return a_contact(workspace, "anna@gmail.com", first_name="Anna", subscribed_to=[news])


def choose(client, *names, table="contacts", **more):
    return client.post(reverse("columns", args=[table]), {"column": names, **more})


def headings(client, url=None):
    page = client.get(url or reverse("contacts")).text
    return re.findall(r"<th class=\"(?:cell-|long-)\w+\">([^<]+)</th>", page)


def row(client, url=None):
    """{heading: what stands below it} of the first contact."""
    page = client.get(url or reverse("contacts")).text
    cells = re.findall(r'<td class="(?:cell-|long-)\w+" data-label="([^"]*)">(.*?)</td>', page, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for label, cell in cells}


def kept(person, workspace):
    return Membership.objects.get(user=person, workspace=workspace).columns


@pytest.mark.parametrize(
    ("table", "usual"),
    [
        ("contacts", ["Name", "Lists", "Tags", "Added"]),
        ("list", ["Name", "Status", "Consent"]),
        ("segment", ["Name", "Added"]),
    ],
)
def test_each_table_has_its_own_choice_and_goes_back_to_what_it_came_with(
    sign_in, carol, workspace, news, anna, table, usual
):
    city, _ = a_field(workspace), a_tag(workspace, "VIP", anna)
    anna.attributes = {"city": "Ulm"}
    anna.save()
    urls = {
        "contacts": reverse("contacts"),
        "list": reverse("list", args=[news.pk]),
        "segment": reverse("segment", args=[a_segment(workspace).pk]),
    }
    client, url = sign_in(carol), urls[table]
    assert headings(client, url) == ["E-mail", *usual]
    answer = choose(client, "attribute:city", "tags", "lists", table=table, back=url)
    assert answer.url == url
    assert headings(client, url) == ["E-mail", "Lists", "Tags", "City"]
    assert row(client, url) == {"E-mail": "anna@gmail.com", "Lists": "News", "Tags": "VIP", "City": "Ulm"}
    assert kept(carol, workspace) == {table: ["lists", "tags", "attribute:city"]}
    for other in urls.keys() - {table}:
        assert "City" not in headings(client, urls[other])
    fields.delete(city, by=carol)
    assert headings(client, url) == ["E-mail", "Lists", "Tags"]
    choose(client, "name", table=table, reset="1")
    assert headings(client, url) == ["E-mail", *usual]


def test_on_a_list_lists_are_all_of_them_and_the_status_is_of_this_one(sign_in, carol, workspace, news, anna):
    club = a_list(workspace, "Club")
    anna.subscriptions.create(workspace=workspace, list=club, status="unsubscribed")
    client = sign_in(carol)
    choose(client, "lists", "status", table="list")
    for held, status in ((news, "Subscribed"), (club, "Unsubscribed")):
        shown = row(client, reverse("list", args=[held.pk]))
        assert shown == {"E-mail": "anna@gmail.com", "Lists": "Club: unsubscribed News", "Status": status}


def test_it_is_kept_for_one_member_in_one_workspace(sign_in, carol, bob, workspace, anna):
    elsewhere = a_workspace("Elsewhere")
    a_person(carol.email, workspace=elsewhere, role=Role.OWNER)
    a_contact(elsewhere, "zoe@gmail.com")
    client = sign_in(carol)
    choose(client, "changed")
    assert headings(client) == ["E-mail", "Changed"]
    assert headings(sign_in(bob)) == ["E-mail", "Name", "Lists", "Tags", "Added"]
    assert kept(bob, workspace) == {}
    client.post(reverse("workspace_switch", args=[elsewhere.pk]))
    assert headings(client) == ["E-mail", "Name", "Lists", "Tags", "Added"]
    assert sign_in(carol).get(reverse("contacts")).status_code == 200


def test_values_are_shown_by_their_type(sign_in, carol, workspace, anna):
    values = {
        "Age": ("number", 1234567, "1,234,567"),
        "Height": ("number", 1234.5, "1,234.5"),
        "Born": ("date", "1990-02-01", "1 Feb 1990"),
        "Odd": ("date", "soon", "soon"),
        "Vip": ("boolean", True, "Yes"),
        "Left": ("boolean", False, "No"),
        "Plan": ("choice", "Gold", "Gold"),
        "City": ("text", "Ulm\nDonau", "Ulm Donau"),
        "Long": ("text", "x" * 500, "x" * 79 + "…"),
        "None": ("number", None, "–"),
        "Nil": ("number", 0, "0"),
    }
    for label, (kind, value, _) in values.items():
        a_field(workspace, label, type=kind)
        anna.attributes[label.lower()] = value
    anna.save()
    client = sign_in(carol)
    choose(client, *(f"attribute:{label.lower()}" for label in values))
    shown = row(client)
    assert {label: shown[label] for label in values} == {
        label: words for label, (*_, words) in values.items()
    }


def test_what_others_wrote_is_escaped(sign_in, carol, workspace):
    evil = '"><script>alert(1)</script>'
    held = a_list(workspace, evil)
    contact = a_contact(workspace, "e@gmail.com", first_name=evil, subscribed_to=[held], evil=evil, pick=evil)
    a_tag(workspace, evil[:60], contact)
    a_field(workspace, evil, key="evil")
    for key, kind in (("pick", "choice"), ("number", "number"), ("date", "date"), ("boolean", "boolean")):
        a_field(workspace, key, key=key, type=kind)
        contact.attributes[key] = evil
    contact.save()
    client = sign_in(carol)
    names = ["evil", "pick", "number", "date", "boolean"]
    choose(client, *ALL, *(f"attribute:{name}" for name in names))
    back = reverse("columns", args=["contacts"]) + f"?back=/{evil}"
    for page in (client.get(reverse("contacts"), {"q": "e@gmail"}).text, client.get(back).text):
        assert "<script>alert" not in page
        assert escape(evil) in page


@pytest.mark.parametrize(
    "names",
    [
        ["attribute:secret"],  # another workspace's
        ["nonsense", "email", "attribute:", "\0", "name\0", "é" * 5000, "__class__", "workspace_id"],
        [f"attribute:x{number}" for number in range(4000)],
    ],
)
def test_names_of_no_column_are_passed_over(sign_in, carol, mallory, workspace, anna, names):
    a_field(mallory.memberships.get().workspace, "Secret")
    client = sign_in(carol)
    assert choose(client, *names, "added").status_code == 302
    assert kept(carol, workspace) == {"contacts": ["added"]}
    assert headings(client) == ["E-mail", "Added"]


def test_ten_thousand_names_are_no_form(sign_in, carol, workspace, anna):
    client = sign_in(carol)
    assert choose(client, *map(str, range(10_000))).status_code == 413
    assert kept(carol, workspace) == {}


def test_what_was_kept_and_makes_no_sense_any_more_shows_nothing(sign_in, carol, workspace, anna):
    Membership.objects.filter(user=carol).update(
        columns={"contacts": ["gone", "attribute:gone"], "x": ["name"]}
    )
    assert headings(sign_in(carol)) == ["E-mail"]


def test_no_more_than_a_table_holds(sign_in, carol, workspace, anna):
    keys = [f"f{number}" for number in range(MOST + 1)]
    for key in keys:
        a_field(workspace, key.upper(), key=key)
    client = sign_in(carol)
    refused = choose(client, *(f"attribute:{key}" for key in keys), back="/contacts/?q=anna")
    assert refused.status_code == 422
    assert "at most 12 columns" in refused.text
    assert refused.text.count(" checked") == MOST + 1  # what was ticked is still ticked
    assert 'name="back" value="/contacts/?q=anna"' in refused.text
    assert kept(carol, workspace) == {}
    assert choose(client, *(f"attribute:{key}" for key in keys[:MOST])).status_code == 302
    assert len(headings(client)) == 1 + MOST


@pytest.mark.parametrize(
    "back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\0", ""]
)
def test_it_leads_to_no_other_place(sign_in, carol, anna, back):
    client, url = sign_in(carol), reverse("columns", args=["contacts"])
    assert choose(client, "name", back=back).url == reverse("contacts")
    assert f'href="{reverse("contacts")}">Back' in client.get(url, {"back": back}).text


def test_it_works_without_scripts_and_leads_back_to_the_search(sign_in, carol, anna):
    client = sign_in(carol)
    page = client.get(reverse("contacts"), {"q": "anna", "sort": "email"}).text
    way = re.search(r'href="(/contacts/columns/contacts/[^"]*)"', page)[1]
    asked = client.get(way).text
    back = re.search(r'name="back" value="([^"]*)"', asked)[1].replace("&amp;", "&")
    assert choose(client, "name", back=back).url == "/contacts/?q=anna&sort=email"


def test_there_is_no_such_table(sign_in, carol):
    assert sign_in(carol).get(reverse("columns", args=["x"])).status_code == 404


@pytest.mark.parametrize("table", ["contacts", "list", "segment"])
def test_the_number_of_queries_does_not_grow_with_rows_and_columns(sign_in, carol, workspace, news, table):
    url = {
        "contacts": reverse("contacts"),
        "list": reverse("list", args=[news.pk]),
        "segment": reverse("segment", args=[a_segment(workspace).pk]),
    }[table]
    client, tag, asked = sign_in(carol), a_tag(workspace), []
    clubs = [a_list(workspace, f"Club {number}") for number in range(3)]
    for rows, columns in ((2, 1), (30, 7)):
        for number in range(rows):
            contact = a_contact(workspace, f"{rows}-{number}@gmail.com", subscribed_to=[news, *clubs])
            contact.tag_ids = [tag.pk]
            contact.save()
        for number in range(columns):
            a_field(workspace, f"F{rows}-{number}", key=f"f{columns}{number}")
        choose(client, *ALL, *(f"attribute:f{columns}{number}" for number in range(columns)), table=table)
        with CaptureQueriesContext(connection) as made:
            assert len(headings(client, url)) == 6 + columns
        asked.append(len(made))
    assert asked[0] == asked[1]
