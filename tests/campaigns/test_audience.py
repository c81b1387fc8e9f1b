"""Whom a campaign goes to."""

from datetime import timedelta

import pytest
from django.utils import timezone

from campaigns.queries import audience
from contacts.actions import segments
from contacts.models import Contact, Subscription, Suppression
from tests.builders import a_campaign, a_contact, a_list, a_segment
from tests.people import a_workspace


def addresses(campaign):
    return sorted(contact.email for contact in audience.recipients(campaign))


@pytest.fixture
def news(workspace):
    return a_list(workspace, "News")


def test_subscribers_of_the_chosen_lists_get_it_once(workspace, news):
    offers = a_list(workspace, "Offers")
    a_contact(workspace, "anna@example.com", subscribed_to=[news, offers])
    a_contact(workspace, "ben@example.com", subscribed_to=[offers])
    a_contact(workspace, "cleo@example.com", subscribed_to=[a_list(workspace, "Other")])
    assert addresses(a_campaign(workspace, lists=[news, offers])) == ["anna@example.com", "ben@example.com"]


def test_without_a_choice_nobody_gets_it(workspace, news):
    a_contact(workspace, subscribed_to=[news])
    assert audience.count(a_campaign(workspace)) == audience.AudienceCount(people=0, left_out=0)


@pytest.mark.parametrize("status", ["pending", "unsubscribed"])
def test_whoever_is_not_subscribed_is_left_out(workspace, news, status):
    a_contact(workspace, subscribed_to=[news])
    Subscription.objects.update(status=status)
    assert audience.count(a_campaign(workspace, lists=[news])) == audience.AudienceCount(0, 1)


def test_a_segment_reaches_those_who_are_subscribed_to_something(workspace, news):
    a_contact(workspace, "anna@gmail.com", subscribed_to=[news])
    a_contact(workspace, "ben@gmail.com")
    a_contact(workspace, "cleo@example.com", subscribed_to=[news])
    campaign = a_campaign(workspace, segments=[a_segment(workspace)])
    assert addresses(campaign) == ["anna@gmail.com"]
    assert audience.count(campaign) == audience.AudienceCount(people=1, left_out=1)


def test_lists_and_segments_add_up(workspace, news):
    other = a_list(workspace, "Other")
    a_contact(workspace, "anna@gmail.com", subscribed_to=[other])
    a_contact(workspace, "ben@example.com", subscribed_to=[news])
    a_contact(workspace, "cleo@gmail.com", subscribed_to=[news])
    campaign = a_campaign(workspace, lists=[news], segments=[a_segment(workspace)])
    assert addresses(campaign) == ["anna@gmail.com", "ben@example.com", "cleo@gmail.com"]


def test_exclusions_win(workspace, news):
    vips = a_list(workspace, "VIPs")
    a_contact(workspace, "anna@example.com", subscribed_to=[news])
    a_contact(workspace, "ben@gmail.com", subscribed_to=[news])
    a_contact(workspace, "cleo@example.com", subscribed_to=[news, vips])
    campaign = a_campaign(
        workspace, lists=[news], excluded_lists=[vips], excluded_segments=[a_segment(workspace)]
    )
    assert addresses(campaign) == ["anna@example.com"]
    assert audience.count(campaign) == audience.AudienceCount(people=1, left_out=2)


def test_an_excluded_segment_without_rules_excludes_nobody(workspace, news):
    a_contact(workspace, subscribed_to=[news])
    empty = a_segment(workspace, "Broken", {"subject": "attribute:gone", "operator": "is", "value": "x"})
    assert len(addresses(a_campaign(workspace, lists=[news], excluded_segments=[empty]))) == 1


def test_suppressed_addresses_are_left_out_whatever_their_case(workspace, news):
    a_contact(workspace, "Anna@Example.com", subscribed_to=[news])
    Suppression.objects.create(workspace=workspace, email="anna@example.com", reason="complaint")
    assert audience.count(a_campaign(workspace, lists=[news])) == audience.AudienceCount(0, 1)


def test_whoever_left_a_chosen_list_does_not_get_it_by_a_segment(workspace, news):
    a_contact(workspace, "anna@gmail.com", subscribed_to=[news, a_list(workspace, "Other")])
    Subscription.objects.filter(list=news).update(status="unsubscribed")
    campaign = a_campaign(workspace, lists=[news], segments=[a_segment(workspace)])
    assert audience.count(campaign) == audience.AudienceCount(people=0, left_out=1)


def test_a_segment_in_use_is_not_deleted(workspace, bob):
    segment = a_segment(workspace)
    a_campaign(workspace, "Gone", segments=[segment], state="sent")
    segments.delete(a_segment(workspace, "Free"), by=bob)
    a_campaign(workspace, "Draft", excluded_segments=[segment], segments=[segment])
    a_campaign(workspace, "Soon", segments=[segment], state="scheduled")
    with pytest.raises(segments.InUse, match="“Draft”, “Soon” still"):
        segments.delete(segment, by=bob)


def test_another_workspace_is_never_reached(workspace, news):
    elsewhere = a_workspace("Elsewhere")
    a_contact(elsewhere, "mallory@gmail.com", subscribed_to=[a_list(elsewhere)])
    Suppression.objects.create(workspace=elsewhere, email="anna@gmail.com", reason="manual")
    a_contact(workspace, "anna@gmail.com", subscribed_to=[news])
    campaign = a_campaign(workspace, lists=[news], segments=[a_segment(workspace)])
    assert addresses(campaign) == ["anna@gmail.com"]


def test_counting_costs_the_same_for_few_and_many(workspace, news, django_assert_num_queries):
    campaign = a_campaign(workspace, lists=[news], segments=[a_segment(workspace)])
    for n in range(30):
        a_contact(workspace, f"anna{n}@gmail.com", subscribed_to=[news])
    with django_assert_num_queries(
        6
    ):  # what is chosen, fields, list suppressions, two counts, who wants less
        assert audience.count(campaign).people == 30
    assert Contact.objects.count() == 30


def test_it_says_how_many_chose_a_pause_or_less(workspace):
    news = a_list(workspace)
    a_contact(workspace, "all@example.com", subscribed_to=[news])
    for email, chosen in (
        ("weekly@example.com", {"frequency": "weekly"}),
        ("paused@example.com", {"paused_until": timezone.now() + timedelta(days=1)}),
        ("back@example.com", {"paused_until": timezone.now() - timedelta(days=1)}),
    ):
        Contact.objects.filter(pk=a_contact(workspace, email, subscribed_to=[news]).pk).update(**chosen)
    assert audience.count(a_campaign(workspace, lists=[news])) == audience.AudienceCount(4, 0, wants_less=2)
