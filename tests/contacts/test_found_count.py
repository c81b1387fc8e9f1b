"""How many were found, told above the contacts: bounded, in time or not at all, and only of one's own workspace."""

import html
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.pages import PAGE_SIZE
from contacts.models import Contact, Subscription
from contacts.queries import bulk as queries
from tests.builders import a_contact, a_list
from tests.contacts.test_contacts import PART

pytestmark = pytest.mark.django_db
MANY = PAGE_SIZE + 10


@pytest.fixture
def news(workspace):
    return a_list(workspace)


@pytest.fixture
def many(workspace, news):
    made = Contact.objects.bulk_create(
        Contact(workspace=workspace, email=f"p{number}@{'web' if number % 2 else 'gmail'}.example")
        for number in range(2 * MANY)
    )
    Subscription.objects.bulk_create(
        Subscription(workspace=workspace, contact=each, list=news, status="subscribed")
        for each in made[: MANY + 1]
    )


def told(client, page, **query):
    """What stands above the table, asked for as the page asks: "" where nothing does."""
    text = client.get(page, query).text
    asked = re.search(r'data-found-count hx-get="([^"]*)"', text)
    if asked is None:
        shown = re.search(r'<span class="text-secondary">(\d+ contacts?)</span>', text)
        return shown[1] if shown else ""
    answer = client.get(html.unescape(asked[1]))
    assert answer.status_code == 200
    return answer.text.strip()


def test_it_is_told_for_all_for_a_search_and_for_a_list(sign_in, carol, many, news):
    client = sign_in(carol)
    everybody, people = reverse("contacts"), reverse("list", args=[news.pk])
    assert told(client, everybody) == f"{2 * MANY} contacts"
    assert told(client, everybody, q="gmail") == f"{MANY} contacts"
    assert told(client, everybody, list=news.pk) == f"{MANY + 1} contacts"
    assert told(client, everybody, q="gmail", list=news.pk) == f"{MANY // 2 + 1} contacts"
    assert told(client, people) == f"{MANY + 1} contacts"
    assert told(client, people, q="web") == f"{MANY // 2} contacts"
    assert told(client, everybody, q="p1@") == "1 contact"
    assert told(client, everybody, q="nobody") == ""


def test_a_far_page_tells_the_same(sign_in, carol, many):
    client = sign_in(carol)
    cursor = client.get(reverse("contacts")).context["page"].next
    assert told(client, reverse("contacts"), cursor=cursor) == f"{2 * MANY} contacts"


def test_each_search_brings_its_own(sign_in, carol, many):
    part = sign_in(carol).get(reverse("contacts"), {"q": "gmail"}, headers=PART).text
    assert "q=gmail" in re.search(r'data-found-count hx-get="([^"]*)"', part)[1]
    assert 'hx-trigger="load' in part


def test_counting_ends_where_it_helps_nobody(sign_in, carol, many, monkeypatch):
    monkeypatch.setattr(queries, "FOUND_MOST", MANY)
    client = sign_in(carol)
    with CaptureQueriesContext(connection) as made:
        answer = told(client, reverse("contacts"))
    assert answer.startswith(f"Over {MANY} contacts")
    [counted] = [each["sql"] for each in made if "COUNT(" in each["sql"].upper()]
    assert f"LIMIT {MANY + 1}" in counted
    assert told(client, reverse("contacts"), q="gmail") == f"{MANY} contacts"
    exactly = html.unescape(re.search(r'hx-get="([^"]*)"[^>]*>Count exactly', answer)[1])
    assert client.get(exactly).text.strip() == f"{2 * MANY} contacts"


def test_what_takes_too_long_or_makes_no_sense_is_not_told(sign_in, carol, many, monkeypatch):
    client = sign_in(carol)
    assert client.get(reverse("bulk_count"), {"found": 1, "list": "x"}).status_code == 404
    page = client.get(reverse("contacts")).text
    assert 'hx-status:4xx="swap:none" hx-status:5xx="swap:none"' in page
    monkeypatch.setattr(queries, "COUNT_SECONDS", 0.001)
    monkeypatch.setattr(queries.chosen_people, "people", lambda *_: (slow(), None))
    assert told(client, reverse("contacts")) == ""


def slow():
    return Contact.objects.extra(where=["pg_sleep(0.01) IS NOT NULL"])


def test_strangers_count_their_own(sign_in, mallory, many, news):
    client = sign_in(mallory)
    a_contact(mallory.memberships.get().workspace, "m@gmail.example")
    assert client.get(reverse("bulk_count"), {"found": 1}).text.strip() == "1 contact"
    assert client.get(reverse("bulk_count"), {"found": 1, "list": news.pk}).status_code == 404


def test_the_bar_below_still_counts_all(sign_in, bob, many, monkeypatch):
    monkeypatch.setattr(queries, "FOUND_MOST", 5)
    assert sign_in(bob).get(reverse("bulk_count")).text.strip() == str(2 * MANY)
