import base64
import json
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from contacts.models import Contact, Subscription
from contacts.queries.contacts import SORT_KEYS, Finder, find
from tests.builders import a_contact, a_list

PART = {"HX-Request": "true", "HX-Target": "div#contacts-found"}


@pytest.fixture
def people(workspace):
    news = a_list(workspace)
    return {
        "anna": a_contact(
            workspace, "Anna@Acme.example", first_name="Anna", last_name="Ömer", subscribed_to=[news]
        ),
        "ben": a_contact(workspace, "ben_1@web.example", first_name="Ben"),
        "zoe": a_contact(workspace, "z.100%@web.example", last_name="Annable"),
    }


def found(client, **query):
    page = client.get(reverse("contacts"), query)
    assert page.status_code == 200
    return [contact.email for contact in page.context["page"].rows]


@pytest.mark.parametrize(
    ("search", "emails"),
    [
        ("acme", ["Anna@Acme.example"]),
        ("ANN", ["z.100%@web.example", "Anna@Acme.example"]),  # part of an address, part of a last name
        ("ömer anna", ["Anna@Acme.example"]),  # each word anywhere
        ("ben_1", ["ben_1@web.example"]),
        ("n_1", ["ben_1@web.example"]),
        ("100%", ["z.100%@web.example"]),  # no wild cards
        ("b%1", []),
        ("e\0x", []),
        ("\0", ["z.100%@web.example", "ben_1@web.example", "Anna@Acme.example"]),
        ("x" * 500, ["z.100%@web.example", "ben_1@web.example", "Anna@Acme.example"]),
    ],
)
def test_search_finds_any_part_of_an_address_or_a_name(sign_in, carol, people, search, emails):
    if search == "e\0x":  # a character that no name can hold is no search at all
        emails = [each.email for each in reversed(people.values())]
    assert found(sign_in(carol), q=search) == emails


def test_the_index_serves_the_search(workspace):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO contacts_contact"
            " (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)"
            " SELECT %s, md5(n::text) || '@example.com', '', '', '{}', now(), now()"
            " FROM generate_series(1, 20000) n",
            [workspace.pk],
        )
        cursor.execute("SELECT gin_clean_pending_list('contact_search_idx')")  # else searched row by row
        cursor.execute("ANALYZE contacts_contact")
        cursor.execute("SET LOCAL enable_seqscan = off")  # the rows are too few to make it dear
    plan = find(workspace, Finder(search="needle")).order_by("-id")[:51].explain()
    assert "contact_search_idx" in plan
    for sort, index in (("email_key", "one_contact_per_address"), ("name_key", "contact_name_idx")):
        sorted_rows = find(workspace, Finder()).annotate(**{sort: SORT_KEYS[sort]}).order_by(sort, "pk")[:51]
        assert index in sorted_rows.explain()


def test_list_and_status_narrow_it(sign_in, carol, workspace, people):
    client, news = sign_in(carol), people["anna"].subscriptions.get().list
    other = a_list(workspace, "Offers")
    Subscription.objects.create(workspace=workspace, contact=people["ben"], list=other, status="unsubscribed")
    workspace.suppressions.create(email="anna@acme.example", reason="manual")
    assert found(client, list=news.pk) == ["Anna@Acme.example"]
    assert found(client, status="unsubscribed") == ["ben_1@web.example"]
    assert found(client, list=news.pk, status="unsubscribed") == []
    assert found(client, status="suppressed") == ["Anna@Acme.example"]
    assert found(client, status="suppressed", list=other.pk) == []


def test_it_sorts_and_those_without_a_name_come_last(sign_in, carol, workspace, people):
    a_contact(workspace, "nobody@web.example")
    client = sign_in(carol)
    assert found(client, sort="newest")[0] == "nobody@web.example"
    assert found(client, sort="oldest")[0] == "Anna@Acme.example"
    assert found(client, sort="email") == [
        "Anna@Acme.example",
        "ben_1@web.example",
        "nobody@web.example",
        "z.100%@web.example",
    ]
    by_name = found(client, sort="name")
    assert by_name[-1] == "nobody@web.example"
    assert by_name.index("z.100%@web.example") < by_name.index("ben_1@web.example")


def cursor_of(value, direction="n"):
    return direction + base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize("sort", ["newest", "email", "name"])
@pytest.mark.parametrize(
    "cursor",
    [
        "nonsense", "n", "né", "n" + "A" * 4000, cursor_of([1, 2, 3]), cursor_of(["a\0", 1]),
        cursor_of(["\ud800", 1]), cursor_of([10**40, 10**40]), cursor_of([float("inf"), 1]),
        cursor_of([float("nan"), 1]), cursor_of(["x", 1]),
        cursor_of([{}, 1]), cursor_of([1, "x"]), "n" + base64.urlsafe_b64encode(b"[" * 3000).decode(),
    ],
)  # fmt: skip
def test_a_cursor_that_makes_no_sense_gives_a_page(sign_in, carol, people, cursor, sort):
    assert sign_in(carol).get(reverse("contacts"), {"cursor": cursor, "sort": sort}).status_code == 200


@pytest.mark.parametrize(
    "query", [{"list": "x"}, {"list": 10**30}, {"list": "\0"}, {"status": "x"}, {"sort": "x"}]
)
def test_a_filter_that_makes_no_sense_is_left_out(sign_in, carol, people, query):
    assert len(found(sign_in(carol), **query)) == 3


@pytest.mark.parametrize("sort", ["newest", "oldest", "email", "name"])
def test_pages_go_there_and_back_without_a_gap(sign_in, carol, workspace, sort, monkeypatch):
    for number in range(120):
        a_contact(workspace, f"p{number}@example.com", first_name=f"N{number % 7}" if number % 3 else "")
    client, seen, cursor, pages = sign_in(carol), [], "", []
    while True:
        page = client.get(reverse("contacts"), {"sort": sort, "cursor": cursor}).context["page"]
        pages.append(page)
        seen += [row.pk for row in page.rows]
        if not page.next:
            break
        cursor = page.next
    assert len(pages) == 3
    assert sorted(seen) == sorted(Contact.objects.values_list("pk", flat=True))
    back = client.get(reverse("contacts"), {"sort": sort, "cursor": pages[-1].previous}).context["page"]
    assert [row.pk for row in back.rows] == [row.pk for row in pages[1].rows]


def test_the_number_of_queries_does_not_grow_with_the_rows(sign_in, carol, workspace):
    client, lists, asked = sign_in(carol), [a_list(workspace, name) for name in ("A", "B", "C")], []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            a_contact(workspace, f"p{number}@example.com", subscribed_to=lists)
        with CaptureQueriesContext(connection) as made:
            client.get(reverse("contacts"), {"q": "example"})
        asked.append(len(made))
    assert asked[0] == asked[1] <= 15  # session, person, memberships, contacts, subscriptions, lists


def test_the_part_is_what_the_page_includes(sign_in, carol, people):
    client = sign_in(carol)
    part = client.get(reverse("contacts"), {"q": "ben"}, headers=PART)
    assert "<html" not in part.text
    assert "ben_1@web.example" in part.text
    whole = client.get(reverse("contacts"), {"q": "ben"}).text
    assert _without_tokens(part.text).strip() in _without_tokens(whole)


def _without_tokens(text):
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", text)


def test_an_empty_page_teaches(sign_in, bob, carol):
    assert reverse("import_new") in sign_in(bob).get(reverse("contacts")).text
    assert "No contacts yet" in sign_in(carol).get(reverse("contacts")).text
    assert reverse("import_new") not in sign_in(carol).get(reverse("contacts")).text


def test_mallory_sees_only_her_own(sign_in, mallory, people):
    assert found(sign_in(mallory)) == []


def test_nobody_gets_in_without_signing_in(client, db):
    assert client.get(reverse("contacts")).status_code == 302
