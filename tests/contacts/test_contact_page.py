import datetime
import html
import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import record
from contacts.models import Contact, Subscription
from delivery.models import Delivery, Mailing
from tests.builders import a_contact, a_field, a_list, an_account


def a_message(workspace, contact, name, *, state="accepted", number=1, is_test=False, **fields):
    account = workspace.sending_accounts.first() or an_account(workspace)
    mailing = Mailing.objects.create(
        workspace=workspace, name=name, account=account, content={}, is_test=is_test
    )
    return Delivery.objects.create(
        mailing=mailing, number=number, contact=contact, email=contact.email, state=state,
        settled_at=timezone.now(), **fields,
    )  # fmt: skip


@pytest.fixture
def news(workspace):
    return a_list(workspace)


@pytest.fixture
def anna(workspace, news):
    return a_contact(workspace, first_name="Anna", subscribed_to=[news], city="Köln")


def left_by_link(anna, news):
    Subscription.objects.filter(contact=anna, list=news).update(
        status="unsubscribed", unsubscribed_at=timezone.now(), unsubscribe_source="The link in “May”"
    )


def text_of(client, contact):
    page = client.get(reverse("contact", args=[contact.pk]))
    assert page.status_code == 200
    return " ".join(page.text.split())


def test_it_shows_profile_lists_and_consent(sign_in, carol, workspace, anna):
    a_field(workspace)
    text = text_of(sign_in(carol), anna)
    for shown in (
        "anna@example.com",
        "City",
        "Köln",
        "News",
        "Form on the web site",
        "Added to the contacts",
    ):
        assert shown in text
    assert "Gets no campaigns" not in text
    assert reverse("contact_edit", args=[anna.pk]) not in text


def test_the_timeline_shows_messages_with_what_the_server_said(sign_in, carol, workspace, anna, news):
    a_message(workspace, anna, "March news")
    a_message(workspace, anna, "April news", state="rejected", code="550 5.1.1", server_said="No such <user>")
    a_message(workspace, anna, "Trial", is_test=True)
    left_by_link(anna, news)
    text = text_of(sign_in(carol), anna)
    for shown in ("Message “March news”", "Accepted", "550 5.1.1 No such &lt;user&gt;", "Rejected"):
        assert shown in text
    assert "Test message “Trial”" in text
    assert "Unsubscribed from “News”" in text
    assert "The link in “May”" in text
    assert text.index("April news") < text.index("March news")


def test_the_number_of_queries_does_not_grow(sign_in, carol, workspace, anna):
    client, asked = sign_in(carol), []
    for start, end in ((0, 3), (3, 30)):
        for number in range(start, end):
            a_message(workspace, anna, f"Mailing {number}")
            listed = a_list(workspace, f"List {number}")
            Subscription.objects.create(workspace=workspace, contact=anna, list=listed, status="subscribed")
            a_field(workspace, f"Field{number}")
        with CaptureQueriesContext(connection) as made:
            text_of(client, anna)
        asked.append(len(made))
    # session, person, memberships, contact, lists, suppression and that of lists, fields, lists to choose, messages
    assert asked[0] == asked[1] <= 16


def test_who_gets_no_campaigns_is_told_so(sign_in, carol, workspace, anna, news):
    left_by_link(anna, news)
    assert "Gets no campaigns" in text_of(sign_in(carol), anna)
    workspace.suppressions.create(email="anna@example.com", reason="hard_bounce", note="550 no such user")
    text = text_of(sign_in(carol), anna)
    assert "Suppressed: nothing is sent to this address" in text
    assert "550 no such user" in text
    assert "Remove from the suppression list" not in text


def test_an_admin_finds_the_way_to_remove_the_suppression(sign_in, ada, workspace, anna):
    suppressed = workspace.suppressions.create(email="anna@example.com", reason="manual")
    assert reverse("suppression_delete", args=[suppressed.pk]) in text_of(sign_in(ada), anna)


def test_a_marketer_unsubscribes_and_subscribes_again(sign_in, bob, anna, news):
    client = sign_in(bob)
    url = reverse("contact_unsubscribe", args=[anna.pk, news.pk])
    assert client.get(url).status_code == 405
    assert client.post(url).url == reverse("contact", args=[anna.pk])
    held = anna.subscriptions.get()
    assert (held.status, held.unsubscribe_source) == ("unsubscribed", "Taken off by hand by Bob")
    client.post(url)  # the second press changes nothing
    page = reverse("contact_subscribe", args=[anna.pk])
    assert "by themselves" not in client.get(page, {"list": news.pk}).text
    client.post(page, {"list": news.pk, "agreed": "on"})
    held = anna.subscriptions.get()
    assert (held.status, held.consent_source, held.unsubscribed_at) == (
        "subscribed",
        "Added by hand by Bob",
        None,
    )


def test_whoever_left_by_themselves_comes_back_only_when_they_asked(sign_in, bob, anna, news):
    left_by_link(anna, news)
    client, page = sign_in(bob), reverse("contact_subscribe", args=[anna.pk])
    assert "They unsubscribed from “News” by themselves" in client.get(page).text
    refused = client.post(page, {"list": news.pk, "agreed": "on"})
    assert refused.status_code == 422
    assert "Confirm that they asked to get it again." in refused.text
    assert anna.subscriptions.get().status == "unsubscribed"
    client.post(page, {"list": news.pk, "agreed": "on", "asked_again": "on"})
    assert anna.subscriptions.get().status == "subscribed"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"list": ""}, "Choose a list."),
        ({"list": "x"}, "Choose one of these lists."),
        ({"list": "9" * 30}, "Choose one of these lists."),
        ({"agreed": ""}, "Only people who agreed may be subscribed."),
    ],
)
def test_a_subscription_needs_a_list_and_consent(sign_in, bob, workspace, anna, change, message):
    data = {"list": a_list(workspace, "Offers").pk, "agreed": "on"} | change
    response = sign_in(bob).post(reverse("contact_subscribe", args=[anna.pk]), data)
    assert response.status_code == 422
    assert message in response.text
    assert anna.subscriptions.count() == 1


def test_a_viewer_may_not_unsubscribe_and_for_mallory_nobody_is_there(sign_in, carol, mallory, anna, news):
    url = reverse("contact_unsubscribe", args=[anna.pk, news.pk])
    assert sign_in(carol).post(url).status_code == 403
    assert sign_in(mallory).post(url).status_code == 404
    assert sign_in(mallory).get(reverse("contact", args=[anna.pk])).status_code == 404


def test_deleting_a_contact_leaves_its_messages_in_the_ledger(sign_in, bob, workspace, anna):
    sent = a_message(workspace, anna, "March news")
    Mailing.objects.update(sample_contact=anna)
    sign_in(bob).post(reverse("contact_delete", args=[anna.pk]))
    sent.refresh_from_db()
    assert (sent.contact_id, sent.email) == (None, "anna@example.com")
    assert not Contact.objects.exists()


def test_the_timeline_is_in_order_and_goes_on_to_its_end(sign_in, carol, workspace, anna):
    for number in range(120):
        sent = a_message(workspace, anna, f"Mailing {number:03}")
        Delivery.objects.filter(pk=sent.pk).update(
            settled_at=timezone.now()
            - datetime.timedelta(minutes=number // 3)  # three at a time, torn apart nowhere
        )
    client, seen, url = sign_in(carol), [], reverse("contact", args=[anna.pk]) + "?kind=message"
    while url:
        page = client.get(url).text
        seen += re.findall(r"Mailing \d{3}", page)
        older = re.search(r'rel="next" href="([^"]+)#', page)
        url = html.unescape(older[1]) if older else ""
        assert len(re.findall("timeline-event-icon", page)) <= 50
    assert len(seen) == len(set(seen)) == 120
    minutes = [int(name[-3:]) // 3 for name in seen]
    assert minutes == sorted(minutes)


def test_a_cursor_that_makes_no_sense_shows_the_newest(sign_in, carol, anna):
    for cursor in ("x", "2020-13-45", "2020-01-01", "9" * 300):
        page = sign_in(carol).get(reverse("contact", args=[anna.pk]), {"older": cursor, "kind": "colour"})
        assert "Added to the contacts" in page.text


def test_the_timeline_shows_one_kind(sign_in, carol, workspace, anna):
    a_message(workspace, anna, "March news")
    record(None, "contact.changed", anna)
    for kind, shown, hidden in (
        ("message", "March news", "Agreed to get"),
        ("consent", "Agreed to get", "March news"),
        ("change", "Changed", "March news"),
    ):
        text = sign_in(carol).get(reverse("contact", args=[anna.pk]), {"kind": kind}).text
        timeline = text[text.index('id="timeline"') :]
        assert shown in timeline
        assert hidden not in timeline
