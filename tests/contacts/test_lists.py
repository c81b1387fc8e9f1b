import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from contacts.models import Import, List, Subscription
from tests.builders import a_contact, a_list
from tests.test_every_page import SETTINGS


@pytest.fixture
def news(workspace):
    return a_list(workspace, "News", description="Monthly")


def names(client, **query):
    return [row["list"].name for row in client.get(reverse("lists"), query).context["rows"]]


def test_lists_show_their_counts_by_status(sign_in, carol, workspace, news):
    for number, status in enumerate(["subscribed", "subscribed", "pending", "unsubscribed"]):
        contact = a_contact(workspace, f"p{number}@example.com")
        Subscription.objects.create(workspace=workspace, contact=contact, list=news, status=status)
    a_list(workspace, "Empty")
    rows = {row["list"].name: row["counts"] for row in sign_in(carol).get(reverse("lists")).context["rows"]}
    assert (rows["News"].subscribed, rows["News"].pending, rows["News"].unsubscribed) == (2, 1, 1)
    assert (rows["News"].total, rows["Empty"].total) == (4, 0)


def test_the_number_of_queries_does_not_grow_with_the_lists(sign_in, carol, workspace):
    client, asked = sign_in(carol), []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            held = a_list(workspace, f"List {number}")
            a_contact(workspace, f"p{number}@example.com", subscribed_to=[held])
        with CaptureQueriesContext(connection) as made:
            client.get(reverse("lists"))
        asked.append(sum(not re.match(SETTINGS, each["sql"]) for each in made))
    assert asked[0] == asked[1] <= 20  # session, person, memberships, lists, counts, any archived


def test_a_lists_page_asks_no_more_than_a_page_may(sign_in, carol, workspace, news):
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    client = sign_in(carol)
    client.get(reverse("list", args=[news.pk]))
    with CaptureQueriesContext(connection) as made:
        assert "anna@example.com" in client.get(reverse("list", args=[news.pk])).text
    # session, person, membership, list, counts, days, unasked, imports, campaigns, tags twice, found, fields, held
    assert sum(not re.match(SETTINGS, each["sql"]) for each in made) <= 14


def test_a_marketer_makes_and_changes_a_list(sign_in, bob, workspace):
    client = sign_in(bob)
    response = client.post(reverse("list_new"), {"name": "News"})
    news = List.objects.of(workspace).get()
    assert response.url == reverse("list", args=[news.pk])
    client.post(reverse("list_edit", args=[news.pk]), {"name": "NEWS", "description": "Monthly"})
    news.refresh_from_db()
    assert (news.name, news.description) == ("NEWS", "Monthly")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Give the list a name."),
        ("nEWS", "There is a list “News” already."),
        ("x" * 121, "at most 120 characters"),
        ("a\0b", "Null characters are not allowed."),
    ],
)
def test_a_wrong_name_is_said_and_what_was_typed_is_kept(sign_in, bob, workspace, news, name, message):
    offers = a_list(workspace, "Offers")
    for page in (reverse("list_new"), reverse("list_edit", args=[offers.pk])):
        response = sign_in(bob).post(page, {"name": name, "description": "Typed already"})
        assert response.status_code == 422
        assert message in response.text
        assert "Typed already" in response.text
    assert List.objects.count() == 2


def test_a_name_taken_after_the_form_was_checked_is_said_beside_the_field(
    sign_in, bob, workspace, news, monkeypatch
):
    offers = a_list(workspace, "Offers")
    monkeypatch.setattr("contacts.forms.lists.ListForm.clean_name", lambda form: form.cleaned_data["name"])
    for page in (reverse("list_new"), reverse("list_edit", args=[offers.pk])):
        response = sign_in(bob).post(page, {"name": "news"})
        assert response.status_code == 422
        assert "There is a list “news” already." in response.text


def test_an_archived_list_keeps_its_people_and_comes_back(sign_in, bob, workspace, news):
    a_contact(workspace, subscribed_to=[news])
    client = sign_in(bob)
    client.post(reverse("list_archive", args=[news.pk]))
    client.post(reverse("list_archive", args=[news.pk]))
    assert names(client) == []
    assert names(client, archived="") == ["News"]
    assert "anna@example.com" in client.get(reverse("list", args=[news.pk])).text
    assert "News" not in client.get(reverse("contact_new")).text
    client.post(reverse("list_unarchive", args=[news.pk]))
    news.refresh_from_db()
    assert news.archived_at is None


def test_archiving_says_which_import_it_stops(sign_in, bob, workspace, news):
    run = Import.objects.create(workspace=workspace, file_name="fair.csv", state="running", task="import")
    run.lists.add(news)
    page = reverse("list", args=[news.pk])
    assert "This stops the import of “fair.csv”" in sign_in(bob).get(page).text
    Import.objects.update(state="done")
    assert "fair.csv" not in sign_in(bob).get(page).text


def test_a_lists_page_searches_its_people_by_status(sign_in, bob, workspace, news):
    anna = a_contact(workspace, "anna@example.com", subscribed_to=[news])
    a_contact(workspace, "ben@example.com", subscribed_to=[news])
    a_contact(workspace, "zoe@example.com", subscribed_to=[a_list(workspace, "Other")])
    anna.subscriptions.update(status="unsubscribed")
    client, page = sign_in(bob), reverse("list", args=[news.pk])

    def found(**query):
        return [contact.email for contact in client.get(page, query).context["page"].rows]

    assert found() == ["ben@example.com", "anna@example.com"]
    assert found(status="unsubscribed") == ["anna@example.com"]
    assert found(q="BEN") == ["ben@example.com"]
    assert found(q="zoe") == []
    assert found(q="\0", cursor="nonsense", list="x") == ["ben@example.com", "anna@example.com"]
    text = client.get(page).text
    assert f"{reverse('import_new')}?list={news.pk}" in text
    assert f"{reverse('contact_new')}?list={news.pk}" in text


def test_a_lists_page_asks_the_same_number_of_queries(sign_in, carol, workspace, news):
    client, asked = sign_in(carol), []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            a_contact(workspace, f"p{number}@example.com", subscribed_to=[news])
        with CaptureQueriesContext(connection) as made:
            client.get(reverse("list", args=[news.pk]))
        asked.append(sum(not re.match(SETTINGS, each["sql"]) for each in made))
    assert asked[0] == asked[1] <= 20  # session, person, memberships, list, contacts, subscriptions, counts


def test_adding_a_contact_from_a_list_has_it_ticked(sign_in, bob, news):
    page = sign_in(bob).get(reverse("contact_new"), {"list": news.pk}).text
    assert "checked" in page
    assert sign_in(bob).get(reverse("contact_new"), {"list": "\0x"}).status_code == 200


def test_search_finds_lists_by_part_of_their_name(sign_in, carol, workspace, news):
    a_list(workspace, "Offers")
    client = sign_in(carol)
    assert names(client, q="eW") == ["News"]
    assert "No list found" in client.get(reverse("lists"), {"q": "zz\0", "cursor": "x"}).text


@pytest.mark.parametrize("name", ["list_edit", "list_archive", "list_unarchive"])
def test_a_viewer_may_not_and_for_mallory_it_does_not_exist(sign_in, carol, mallory, news, name):
    url = reverse(name, args=[news.pk])
    assert sign_in(carol).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert sign_in(carol).post(reverse("list_new")).status_code == 403
    assert sign_in(mallory).get(reverse("list", args=[news.pk])).status_code == 404


def test_a_list_that_nobody_was_on_tells_what_to_do_and_shows_no_flat_chart(
    sign_in, bob, carol, workspace, news
):
    page = sign_in(bob).get(reverse("list", args=[news.pk])).text
    assert "Nobody is on this list yet" in page
    assert f"{reverse('import_new')}?list={news.pk}" in page
    assert "growth-title" not in page
    assert 'role="search"' not in page
    assert reverse("import_new") not in sign_in(carol).get(reverse("list", args=[news.pk])).text
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    page = sign_in(bob).get(reverse("list", args=[news.pk])).text
    assert "growth-title" in page
    assert 'role="search"' in page


def test_a_list_that_all_have_left_keeps_its_chart(sign_in, bob, workspace, news):
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    Subscription.objects.update(status="unsubscribed", unsubscribed_at=timezone.now())
    assert "growth-title" in sign_in(bob).get(reverse("list", args=[news.pk])).text


def test_an_empty_page_teaches(sign_in, bob):
    assert "Make a list" in sign_in(bob).get(reverse("lists")).text
    assert "Nothing archived" in sign_in(bob).get(reverse("lists"), {"archived": ""}).text
