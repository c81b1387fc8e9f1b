"""Leaving by the link in a message: a GET only shows, a POST acts at once, and a mistake can be undone."""

import threading
from urllib.parse import urlencode

import pytest
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from config.fast import in_front_of
from contacts.actions.subscriptions import unsubscribe_by_hand
from contacts.models import Contact, List, Subscription, Suppression
from delivery.content import Content
from delivery.links import unsubscribe_token
from delivery.models import Delivery, Mailing
from tests.at_once import beside, until_waited_for
from tests.builders import an_account


@pytest.fixture
def client():
    """A mail program or a phone: no session, and the CSRF check is on."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def news(workspace):
    return List.objects.create(workspace=workspace, name="News")


@pytest.fixture
def offers(workspace):
    return List.objects.create(workspace=workspace, name="Offers")


@pytest.fixture
def eve(workspace, news, offers):
    eve = Contact.objects.create(workspace=workspace, email="Eve@example.com")
    for each in (news, offers):
        Subscription.objects.create(
            workspace=workspace, contact=eve, list=each, status="subscribed", consent_source="Import"
        )
    return eve


def a_token(workspace, contact, *, lists=(), email="", **fields) -> str:
    """The link of a message that the contact got."""
    content = Content("Hi", "<p>Hi</p>", "Hi", "Acme", "news@acme.example")
    mailing = Mailing.objects.create(
        workspace=workspace,
        name="Spring sale",
        account=an_account(workspace, name=f"Account {Mailing.objects.count()}"),
        content=content.as_dict(),
        list_ids=[each.pk for each in lists],
        **fields,
    )
    Delivery.objects.create(mailing=mailing, number=3, contact=contact, email=email or contact.email)
    return unsubscribe_token(mailing.pk, 3)


def page(token: str) -> str:
    return reverse("unsubscribe", args=[token])


def one_click(token: str) -> str:
    return reverse("unsubscribe_one_click", args=[token])


def statuses(contact) -> dict[str, str]:
    return dict(Subscription.objects.filter(contact=contact).values_list("list__name", "status"))


def test_a_get_shows_and_changes_nothing(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    for url in (page(token), one_click(token)):
        for ask in (client.get, client.head):
            answer = ask(url, follow=True)
            assert answer.status_code == 200
    shown = client.get(page(token)).content.decode()
    assert "E…@example.com" in shown
    assert "Eve@example.com" not in shown
    assert "Unsubscribe from “News”" in shown
    assert "“Offers”" not in shown
    assert "Unsubscribe from everything from Acme" in shown
    assert statuses(eve) == {"News": "subscribed", "Offers": "subscribed"}
    assert Mailing.objects.get().unsubscribed_count == 0


def test_leaving_the_lists_of_the_mailing_keeps_the_others(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    answer = client.post(page(token), {"do": "lists"}, follow=True)
    assert "You are unsubscribed" in answer.content.decode()
    assert "“News”" in answer.content.decode()
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "subscribed"}
    left = Subscription.objects.get(contact=eve, list=news)
    assert left.unsubscribed_at
    assert "Spring sale" in left.unsubscribe_source
    assert not Suppression.objects.exists()


def test_leaving_everything_suppresses_the_address(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    answer = client.post(page(token), {"do": "everything"}, follow=True)
    assert "sends nothing more" in answer.content.decode()
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "unsubscribed"}
    assert Suppression.objects.get().email == "eve@example.com"
    assert Suppression.objects.get().reason == "unsubscribed"


def test_one_click_needs_no_cookie_no_token_and_no_page(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    answer = client.post(
        one_click(token), "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert not answer.cookies
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "subscribed"}


def test_it_works_under_the_workspaces_own_domain(client, workspace, eve, news, settings):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = "https://volley.example", ["volley.example"]
    token = a_token(workspace, eve, lists=[news])

    def ask(path, **form):
        """Through what stands in front of Django."""
        own = {"host": "t.brand.com", "origin": "https://t.brand.com"}
        request = RequestFactory(headers=own).generic(
            "POST" if form else "GET", path, urlencode(form), content_type="application/x-www-form-urlencoded"
        )
        answers = []
        in_front_of(lambda environ, _start: answers.append(client.handler(environ)) or [])(
            request.environ, None
        )
        return answers[0]

    for path in (page(token), reverse("preferences", args=[token])):
        assert ask(path).status_code == 200
    assert ask(one_click(token), **{"List-Unsubscribe": "One-Click"}).status_code == 200
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "subscribed"}
    assert ask(page(token), do="undo")["Location"] == f"{page(token)}?back", "it stays under that name"
    assert statuses(eve) == {"News": "subscribed", "Offers": "subscribed"}
    assert ask("/campaigns/").status_code == 400


def test_one_click_also_takes_multipart_and_is_safe_to_repeat(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    for _ in range(3):
        assert client.post(one_click(token), {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "subscribed"}
    assert Mailing.objects.get().unsubscribed_count == 1


def test_a_mailing_to_no_list_in_particular_is_left_altogether(client, workspace, eve):
    token = a_token(workspace, eve)
    assert "“News”" not in client.get(page(token)).content.decode()
    client.post(one_click(token))
    assert set(statuses(eve).values()) == {"unsubscribed"}
    assert Suppression.objects.exists()


def test_a_person_is_counted_once_whatever_they_press(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    for do in ("lists", "everything", "everything", "lists"):
        client.post(page(token), {"do": do})
    assert Mailing.objects.get().unsubscribed_count == 1
    client.post(page(token), {"do": "undo"})
    client.post(page(token), {"do": "undo"})
    assert Mailing.objects.get().unsubscribed_count == 0
    assert statuses(eve) == {"News": "subscribed", "Offers": "subscribed"}
    assert not Suppression.objects.exists()


def test_undoing_gives_back_only_what_this_link_took(client, workspace, eve, news, offers):
    Subscription.objects.filter(list=offers).update(status="unsubscribed", unsubscribe_source="By phone")
    token = a_token(workspace, eve, lists=[news, offers])
    client.post(page(token), {"do": "everything"})
    answer = client.post(page(token), {"do": "undo"}, follow=True)
    assert "You are subscribed again." in answer.content.decode()
    assert "Unsubscribe from “News”" in answer.content.decode()
    assert statuses(eve) == {"News": "subscribed", "Offers": "unsubscribed"}
    back = Subscription.objects.get(list=news)
    assert "Spring sale" in back.consent_source
    assert back.consent_at
    assert back.unsubscribed_at is None


@pytest.mark.parametrize("reason", ["hard_bounce", "complaint", "manual"])
def test_undoing_never_lifts_a_suppression_of_another_kind(client, workspace, eve, news, reason):
    Suppression.objects.create(workspace=workspace, email="eve@example.com", reason=reason)
    token = a_token(workspace, eve, lists=[news])
    client.post(page(token), {"do": "everything"})
    client.post(page(token), {"do": "undo"})
    assert Suppression.objects.get().reason == reason


def test_an_undo_by_somebody_who_never_left_does_nothing(client, workspace, eve, news):
    Subscription.objects.filter(list=news).update(status="unsubscribed")
    token = a_token(workspace, eve, lists=[news])
    assert client.post(page(token), {"do": "undo"}).status_code == 302
    assert statuses(eve)["News"] == "unsubscribed"
    assert Mailing.objects.get().unsubscribed_count == 0


def test_the_link_of_a_test_message_says_so_and_changes_nothing(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news], is_test=True)
    assert "test message" in client.get(page(token)).content.decode()
    for do in ("lists", "everything", "undo", "nonsense", ""):
        client.post(page(token), {"do": do})
    assert client.post(one_click(token)).status_code == 200
    assert set(statuses(eve).values()) == {"subscribed"}
    assert not Suppression.objects.exists()


def test_somebody_erased_is_told_so(client, workspace, eve, news):
    token = a_token(workspace, eve, lists=[news])
    eve.delete()
    assert "not in our records" in client.get(page(token)).content.decode()
    assert client.post(one_click(token)).status_code == 200
    assert client.post(page(token), {"do": "everything"}, follow=True).status_code == 200


def test_somebody_imported_again_still_leaves_by_an_old_link(client, workspace, eve, news):
    token = a_token(workspace, None, lists=[news], email="eve@EXAMPLE.com")
    client.post(one_click(token))
    assert statuses(eve)["News"] == "unsubscribed"


def test_the_same_address_elsewhere_is_untouched(client, workspace, eve, news, mallory):
    elsewhere = mallory.memberships.get().workspace
    other = Contact.objects.create(workspace=elsewhere, email="eve@example.com")
    theirs = List.objects.create(workspace=elsewhere, name="Theirs")
    Subscription.objects.create(workspace=elsewhere, contact=other, list=theirs, status="subscribed")
    client.post(page(a_token(workspace, eve, lists=[news])), {"do": "everything"})
    assert statuses(other) == {"Theirs": "subscribed"}
    assert not Suppression.objects.filter(workspace=elsewhere).exists()


@pytest.mark.parametrize("ask", ["get", "post"])
def test_a_forged_or_cut_link_is_a_404_in_words(client, workspace, eve, ask):
    token = a_token(workspace, eve)
    for bad in (token[:-3], "x" + token[1:], "nonsense", "ü\0", unsubscribe_token(10**9, 1)):
        for url in (page(bad), one_click(bad)):
            answer = getattr(client, ask)(url)
            assert answer.status_code == 404
            assert "This link does not work" in answer.content.decode()


def test_the_page_is_quick_and_never_kept_by_a_cache(
    client, workspace, eve, news, django_assert_max_num_queries
):
    token = a_token(workspace, eve, lists=[news])
    with django_assert_max_num_queries(6):
        answer = client.get(page(token))
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies


def test_whoever_left_gets_nothing_of_a_batch_not_yet_sent(client, workspace, eve, news):
    from delivery.pipeline.lease import Lease
    from delivery.pipeline.load import load

    mailing_token = a_token(workspace, eve, lists=[news])
    mailing = Mailing.objects.get()
    lease = Lease.__new__(Lease)
    for name, value in {"first": 1, "last": 10}.items():
        object.__setattr__(lease, name, value)
    assert [each.number for each in load(mailing, lease).recipients] == [3]
    client.post(one_click(mailing_token))
    assert load(mailing, lease).skipped == {3: "unsubscribed"}


def test_behind_a_proxy_the_record_names_the_visitor_and_not_the_proxy(
    client, workspace, eve, news, settings
):
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    token = a_token(workspace, eve, lists=[news])
    for deed in ("lists", "undo"):
        client.post(page(token), {"do": deed}, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"})
    assert Subscription.objects.get(contact=eve, list=news).consent_ip == "198.51.100.7"


def test_one_click_of_somebody_whom_a_segment_reached_takes_them_off_everything(client, workspace, eve, news):
    other = List.objects.create(workspace=workspace, name="Other")
    token = a_token(workspace, eve, lists=[other])
    assert client.post(one_click(token)).status_code == 200
    assert statuses(eve)["News"] == "unsubscribed"
    assert Suppression.objects.filter(workspace=workspace, email=eve.email.lower()).exists()


def test_one_click_in_a_second_message_of_a_list_already_left_takes_nothing_more(
    client, workspace, eve, news
):
    offers = List.objects.create(workspace=workspace, name="Special offers")
    Subscription.objects.create(workspace=workspace, contact=eve, list=offers, status="subscribed")
    first, second = (a_token(workspace, eve, lists=[news]) for _ in range(2))
    client.post(one_click(first))
    client.post(one_click(second))
    assert statuses(eve) == {"News": "unsubscribed", "Offers": "subscribed", "Special offers": "subscribed"}
    assert not Suppression.objects.exists()


def test_a_click_after_being_taken_off_by_hand_makes_it_their_own_wish(
    client, workspace, eve, news, offers, bob
):
    """Else whoever took many off a list by mistake would put back, with them, those who had asked to leave."""
    token = a_token(workspace, eve, lists=[news])
    unsubscribe_by_hand(eve, lists=[news, offers], by=bob)
    client.post(one_click(token), {"List-Unsubscribe": "One-Click"})
    left = Subscription.objects.get(contact=eve, list=news)
    assert left.left_by_themselves
    assert left.unsubscribe_source.startswith("The link in “Spring sale”")
    assert not Subscription.objects.get(contact=eve, list=offers).left_by_themselves


@pytest.mark.django_db(transaction=True)
def test_a_click_that_meets_a_merge_is_done_all_the_same(client, workspace, eve, news):
    """Each waits for the other's row, and PostgreSQL ends the click."""
    token = a_token(workspace, eve, lists=[news])
    holds = threading.Event()

    def merge():
        with transaction.atomic():
            list(Subscription.objects.select_for_update().filter(contact=eve))
            holds.set()
            until_waited_for()
            list(Delivery.objects.select_for_update())

    merging = beside(merge)
    assert holds.wait(10)
    assert client.post(one_click(token), {"List-Unsubscribe": "One-Click"}).status_code == 200
    merging.result(10)
    assert Subscription.objects.get(contact=eve, list=news).status == "unsubscribed"
    assert Mailing.objects.get().unsubscribed_count == 1
