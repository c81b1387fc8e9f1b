"""Who is asked to confirm by a marketer: one by one, again, and all of a list."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from contacts.models import Subscription
from tests.builders import a_campaign, a_contact, a_list

pytestmark = pytest.mark.django_db


@pytest.fixture
def news(workspace):
    return a_list(workspace, "News", opt_in="double")


@pytest.fixture
def anna(workspace):
    return a_contact(workspace)


def pending(workspace, contact, held, *, asked=None, times=1):
    return Subscription.objects.create(
        workspace=workspace,
        contact=contact,
        list=held,
        status="pending",
        confirmation_asked_at=timezone.now() - asked if asked else None,
        confirmation_count=times if asked else 0,
    )


def test_somebody_is_asked_first_or_subscribed_at_once(sign_in, bob, workspace, news, anna):
    client, page = sign_in(bob), reverse("contact_subscribe", args=[anna.pk])
    assert client.post(page, {"list": news.pk}).status_code == 422
    answer = client.post(page, {"list": news.pk, "how": "ask"}, follow=True)
    assert "anna@example.com is asked to confirm “News”." in answer.text
    held = Subscription.objects.get()
    assert (held.status, held.consent_source) == ("pending", f"Asked to confirm by {bob}")
    assert "Waits to be asked" in answer.text
    client.post(page, {"list": news.pk, "how": "declare"})
    held.refresh_from_db()
    assert (held.status, held.consent_source) == ("subscribed", f"Added by hand by {bob}")


def test_a_single_list_asks_nobody(sign_in, bob, workspace, news, anna):
    offers = a_list(workspace, "Offers")
    page = reverse("contact_subscribe", args=[anna.pk])
    answer = sign_in(bob).post(page, {"list": offers.pk, "how": "ask"})
    assert answer.status_code == 422
    assert "“Offers” is single opt-in" in answer.text
    assert not Subscription.objects.exists()


def test_without_a_double_list_the_form_is_as_plain_as_ever(sign_in, bob, workspace, anna):
    a_list(workspace, "Offers")
    page = sign_in(bob).get(reverse("contact_subscribe", args=[anna.pk])).text
    assert "Ask them to confirm" not in page
    assert "They agreed to get these mails" in page


def test_who_left_by_themselves_is_not_even_asked_without_their_asking(sign_in, bob, workspace, news, anna):
    Subscription.objects.create(
        workspace=workspace,
        contact=anna,
        list=news,
        status="unsubscribed",
        unsubscribe_source="The link in “Spring”",
    )
    client, page = sign_in(bob), reverse("contact_subscribe", args=[anna.pk])
    answer = client.post(page, {"list": news.pk, "how": "ask"})
    assert "unsubscribed from “News” by themselves" in answer.text
    assert Subscription.objects.get().status == "unsubscribed"
    client.post(page, {"list": news.pk, "how": "ask", "asked_again": "on"})
    assert Subscription.objects.get().status == "pending"


@pytest.mark.parametrize(
    ("asked", "times", "said", "is_asked"),
    [
        (timedelta(hours=2), 1, "is asked again to confirm “News”", True),
        (timedelta(minutes=10), 1, "less than an hour ago", False),
        (timedelta(days=9), 3, "asked 3 times", False),
        (None, 0, "about to be asked", True),
    ],
)
def test_asking_again_is_neither_too_soon_nor_too_often(
    sign_in, bob, workspace, news, anna, asked, times, said, is_asked
):
    pending(workspace, anna, news, asked=asked, times=times)
    answer = sign_in(bob).post(reverse("contact_ask_again", args=[anna.pk, news.pk]), follow=True)
    assert said in answer.text
    assert (Subscription.objects.get().confirmation_asked_at is None) == is_asked


def test_asking_again_who_has_confirmed_says_so(sign_in, bob, workspace, news):
    ben = a_contact(workspace, "ben@example.com", subscribed_to=[news])
    answer = sign_in(bob).post(reverse("contact_ask_again", args=[ben.pk, news.pk]), follow=True)
    assert "subscribed by now" in answer.text


def test_all_of_a_list_are_asked_again_who_had_time_to_answer(sign_in, bob, workspace, news):
    ages = {"old": (timedelta(days=4), 1), "new": (timedelta(days=2), 1), "often": (timedelta(days=9), 3)}
    for name, (asked, times) in ages.items():
        pending(workspace, a_contact(workspace, f"{name}@example.com"), news, asked=asked, times=times)
    client = sign_in(bob)
    assert "Ask 1 unconfirmed person again" in client.get(reverse("list_health", args=[news.pk])).text
    answer = client.post(reverse("list_ask_again", args=[news.pk]), follow=True)
    assert "1 person is asked again." in answer.text
    again = Subscription.objects.filter(confirmation_asked_at=None)
    assert [held.contact.email for held in again] == ["old@example.com"]
    assert "Nobody is left" in client.post(reverse("list_ask_again", args=[news.pk]), follow=True).text


@pytest.mark.parametrize("name", ["contact_ask_again", "list_ask_again", "list_health"])
def test_roles_and_other_workspaces(sign_in, carol, mallory, workspace, news, anna, name):
    pending(workspace, anna, news, asked=timedelta(days=4))
    url = reverse(name, args=[anna.pk, news.pk] if name == "contact_ask_again" else [news.pk])
    assert sign_in(mallory).post(url).status_code == 404
    if name != "list_health":
        assert sign_in(carol).post(url).status_code == 403
        assert sign_in(carol).get(url).status_code in (403, 405)
    assert Subscription.objects.get().confirmation_asked_at


def test_a_list_is_made_double_opt_in_and_says_who_waits(sign_in, bob, workspace, anna):
    client = sign_in(bob)
    client.post(reverse("list_new"), {"name": "Roasts", "opt_in": "double"})
    roasts = anna.workspace.lists.get()
    assert roasts.opt_in == "double"
    client.post(reverse("list_edit", args=[roasts.pk]), {"name": "Roasts", "opt_in": "single"})
    pending(workspace, anna, roasts)
    assert "since it is single opt-in" in client.get(reverse("list", args=[roasts.pk])).text
    assert (
        client.post(reverse("list_edit", args=[roasts.pk]), {"name": "x", "opt_in": "triple"}).status_code
        == 422
    )


def test_the_health_of_a_list(sign_in, carol, workspace, news):
    from contacts.models import Suppression

    for number in range(4):
        a_contact(workspace, f"p{number}@example.com", subscribed_to=[news])
    Suppression.objects.create(workspace=workspace, email="p1@example.com", reason="hard_bounce")
    Suppression.objects.create(workspace=workspace, email="stranger@example.com", reason="complaint")
    Subscription.objects.filter(contact__email="p0@example.com").update(status="unsubscribed")
    text = sign_in(carol).get(reverse("list_health", args=[news.pk])).text
    assert "Suppressed: hard bounce" in text
    assert "complaint" not in text
    assert text.count("25.0 %") == 2


def test_a_campaign_begins_with_the_list_it_is_sent_from(sign_in, bob, workspace, news, mallory):
    from campaigns.models import Campaign

    client, page = sign_in(bob), reverse("list", args=[news.pk])
    link = f"{reverse('campaign_new')}?list={news.pk}"
    assert link in client.get(page).text
    assert link in client.get(reverse("lists")).text
    assert f'value="{news.pk}"' in client.get(link).text
    client.post(reverse("campaign_new"), {"name": "Spring", "list": news.pk})
    assert list(Campaign.objects.get().lists.all()) == [news]
    strange = a_list(mallory.workspaces.get(), "Strange")
    assert client.post(reverse("campaign_new"), {"name": "Autumn", "list": strange.pk}).status_code == 422


def test_archiving_a_list_that_a_scheduled_campaign_goes_to(sign_in, bob, workspace, news):
    from campaigns import preflight

    a_contact(workspace, subscribed_to=[news])
    campaign = a_campaign(workspace, "Spring sale", lists=[news], state="scheduled")
    client, page = sign_in(bob), reverse("list", args=[news.pk])
    assert "“Spring sale” would no longer leave" in client.get(page).text
    client.post(reverse("list_archive", args=[news.pk]))
    assert "The list “News” is archived" in " ".join(each.text for each in preflight.problems(campaign))
    client.post(reverse("list_unarchive", args=[news.pk]))
    assert "archived" not in " ".join(each.text for each in preflight.problems(campaign))


def test_the_growth_of_a_list_is_on_its_page_and_on_the_first_one(sign_in, carol, workspace, news, anna):
    from contacts.actions import growth

    a_contact(workspace, "ben@example.com", subscribed_to=[news])
    growth.fold()
    client, page = sign_in(carol), reverse("list", args=[news.pk])
    for query in ({}, {"days": "30"}, {"days": "365"}, {"days": "12"}, {"days": "²"}):
        shown = client.get(page, query)
        assert shown.context["growth"].joined == 1
        assert shown.context["growth"].days == {"30": 30, "365": 365}.get(query.get("days"), 90)
    assert "Lists in the last 30 days" in client.get(reverse("home")).text
    assert "+1" in client.get(reverse("lists")).text
