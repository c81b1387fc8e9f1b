"""A page of who fits is read by indexes, whatever is looked for; and it is the same page however it is read."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.pages import PAGE_SIZE
from contacts.models import Suppression
from contacts.queries import contacts as queries
from contacts.queries import finding
from contacts.queries.contacts import SORT_KEYS, SORTS, Finder
from tests.builders import a_contact, a_list

pytestmark = pytest.mark.django_db
CONTACTS = """
INSERT INTO contacts_contact (workspace_id, email, first_name, last_name, attributes, created_at, updated_at)
SELECT %s, md5(n::text) || '@' || CASE n %% 3 WHEN 0 THEN 'gmail.com' ELSE 'example.com' END, 'N' || n, '', '{}', now(), now()
  FROM generate_series(1, 15000) n
"""  # noqa: E501
SUBSCRIPTIONS = """
INSERT INTO contacts_subscription (workspace_id, contact_id, list_id, status, consent_source, unsubscribe_source, created_at)
SELECT workspace_id, id, %s, 'subscribed', '', '', now() FROM contacts_contact WHERE workspace_id = %s AND id %% %s = 0
"""


@pytest.fixture
def many(workspace, mallory):
    """A workspace where some plans are dear, and as many people beside it: mallory's."""
    lists = {"huge": a_list(workspace, "Huge"), "tiny": a_list(workspace, "Tiny")}
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE contacts_contact CASCADE"
        )  # what other tests left makes its indexes look large
        for each in (workspace, mallory.memberships.get().workspace):
            cursor.execute(CONTACTS, [each.pk])
        for name, every in (("huge", 1), ("tiny", 750)):
            cursor.execute(SUBSCRIPTIONS, [lists[name].pk, workspace.pk, every])
        cursor.execute("SELECT gin_clean_pending_list('contact_search_idx')")  # else searched row by row
        for email in workspace.contacts.values_list("email", flat=True)[:20]:
            Suppression.objects.create(workspace=workspace, email=email, reason="manual")
        cursor.execute("ANALYZE contacts_contact, contacts_subscription, contacts_suppression")
    return lists


def plans(workspace, finder) -> list[str]:
    """How PostgreSQL reads contacts for the page, statement by statement."""
    with CaptureQueriesContext(connection) as made:
        queries.page(workspace, finder)
    reads = [each["sql"] for each in made if re.match(r'SELECT "contacts_contact"', each["sql"])]
    with finding.quickly(), connection.cursor() as cursor:
        return [_plan(cursor, sql) for sql in reads]


def _plan(cursor, sql) -> str:
    cursor.execute(f"EXPLAIN {sql}")
    return "\n".join(line for (line,) in cursor.fetchall())


WALKED_BY = {
    "newest": "contact_newest_idx",
    "oldest": "contact_newest_idx",
    "email": "one_contact_per_address",
    "name": "contact_name_idx",
}
FEW = {
    "a rare word": ({"search": "c4ca4238a0b9"}, "contact_search_idx"),
    "two words": ({"search": "N14999 example"}, "contact_search_idx"),
    "a small list": ({"in_list": "tiny"}, "subscription_list_i"),  # either of the two that know a list
    "a status that few have": ({"status": "unsubscribed"}, "subscription_list_idx"),
    "suppressed": (
        {"status": "suppressed"},
        "one_contact_per_address",
    ),  # from the few of suppression to contacts
}
MANY = {
    "everybody": {},
    "a frequent word": {"search": "gmail"},
    "a large list": {"in_list": "huge"},
    "a frequent word on it": {"search": "gmail", "in_list": "huge", "status": "subscribed"},
}


@pytest.mark.parametrize("sort", SORTS)
def test_few_are_gathered_by_what_they_have_in_common(workspace, many, sort):
    for name, (looked_for, index) in FEW.items():
        walk, _is_there_more, gather = plans(workspace, a_finder(looked_for, many, sort))
        assert f"Index Scan using {WALKED_BY[sort]}" in walk.replace(" Backward", ""), name
        assert index in gather, name
        assert "Seq Scan on contacts_contact" not in walk + gather, name
        assert "Seq Scan on contacts_subscription" not in walk + gather, name


@pytest.mark.parametrize("sort", SORTS)
def test_many_are_met_on_the_way_along_the_sort_s_index_which_is_left_when_the_page_is_full(
    workspace, many, sort
):
    for name, looked_for in MANY.items():
        (walk,) = plans(workspace, a_finder(looked_for, many, sort))
        assert f"Index Scan using {WALKED_BY[sort]}" in walk.replace(" Backward", ""), name
        for reads_all_first in ("Seq Scan", "Hash", "Bitmap"):
            assert reads_all_first not in walk, name
        assert not re.search(r"^(  )?->  Sort", walk), name  # it would read the walk to its end


def a_finder(looked_for, lists, sort):
    chosen = {"in_list": lists[looked_for["in_list"]]} if "in_list" in looked_for else {}
    return Finder(**looked_for | chosen, sort=sort)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("walk", [1, 7, 70, 1_000])
def test_each_who_fits_is_on_one_page_in_order_however_far_the_walk_goes(workspace, monkeypatch, sort, walk):
    monkeypatch.setattr(finding, "WALK_ROWS", walk)
    news = a_list(workspace)
    for number in range(160):
        on = [news] if number % 4 else []
        a_contact(
            workspace, f"p{number % 9}.{number}@example.com", first_name=f"N{number % 5}", subscribed_to=on
        )
        a_contact(workspace, f"x{number}@example.com", first_name="P" * (number % 2))
    for finder in (
        Finder("P", news, sort=sort),
        Finder("n1 p", sort=sort),
        Finder(status="subscribed", sort=sort),
    ):
        assert walked_through(workspace, finder) == all_in_order(workspace, finder)


def walked_through(workspace, finder):
    page = queries.page(workspace, finder)
    found = [each.pk for each in page.rows]
    while page.next:
        page = queries.page(workspace, finder, cursor=page.next)
        found += [each.pk for each in page.rows]
    return found


def all_in_order(workspace, finder):
    rows, order = queries.find(workspace, finder), SORTS[finder.sort]
    if key := SORT_KEYS.get(order):
        rows = rows.annotate(**{order: key})
    found = list(rows.order_by(order, "pk").values_list("pk", flat=True))
    assert len(found) > PAGE_SIZE / 2
    return found


def test_a_search_that_takes_too_long_says_what_helps(sign_in, carol, workspace, many, monkeypatch):
    monkeypatch.setattr(finding, "SECONDS", 0.001)
    for page in (reverse("contacts"), reverse("list", args=[many["huge"].pk])):
        answer = sign_in(carol).get(page, {"q": "zz"})
        assert answer.status_code == 200
        assert "Type three letters or more" in answer.text


def test_what_was_set_for_a_search_ends_with_it(workspace, many):
    queries.page(workspace, Finder(search="zz"))
    with connection.cursor() as cursor:
        for name, usual in (("enable_hashjoin", "on"), ("jit", "on"), ("statement_timeout", "0")):
            cursor.execute(f"SHOW {name}")
            assert cursor.fetchone()[0] == usual
