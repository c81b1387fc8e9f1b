"""Segments as the audience of a campaign: what counts is the launch; and those that a report's numbers make."""

import html
import re

import pytest
from django.urls import reverse

from campaigns import preflight
from campaigns.actions import lifecycle
from campaigns.models import Campaign
from campaigns.queries import audience
from contacts import segments
from contacts.actions import segments as actions
from contacts.models import CustomField, Segment
from delivery.models import Delivery, Mailing
from tests.builders import a_campaign, a_contact, a_field, a_list, a_segment, an_account

BERLIN = {"subject": "attribute:city", "operator": "is", "value": "Berlin"}
ABOUT_E_MAIL = {"subject": "email", "operator": "contains", "value": "a"}


@pytest.fixture
def news(workspace):
    a_field(workspace, "City")
    return a_list(workspace, "News")


@pytest.fixture
def berlin(workspace, news):
    return a_segment(workspace, "Berlin", BERLIN)


def a_ready_campaign(workspace, **fields):
    return a_campaign(workspace, account=an_account(workspace), **fields)


def sent_to():
    return sorted(Delivery.objects.values_list("email", flat=True))


def test_what_a_segment_holds_at_the_launch_is_what_counts(workspace, news, berlin, bob):
    anna = a_contact(workspace, "anna@example.com", subscribed_to=[news], city="Berlin")
    a_contact(workspace, "ben@example.com", subscribed_to=[news], city="Bern")
    campaign = a_ready_campaign(workspace, segments=[berlin])
    lifecycle.send_now(campaign, by=bob)
    a_contact(
        workspace, "cleo@example.com", subscribed_to=[news], city="Berlin"
    )  # since the button was pressed
    anna.attributes = {"city": "Bern"}
    anna.save()
    lifecycle.launch(campaign.pk)
    assert sent_to() == ["cleo@example.com"]


def test_a_segment_changed_after_the_launch_changes_nothing(workspace, news, berlin, bob):
    a_contact(workspace, "anna@example.com", subscribed_to=[news], city="Berlin")
    a_contact(workspace, "ben@example.com", subscribed_to=[news], city="Bern")
    campaign = a_ready_campaign(workspace, segments=[berlin])
    lifecycle.send_now(campaign, by=bob)
    lifecycle.launch(campaign.pk)
    actions.change(berlin, name="Bern", rules={"rules": [{**BERLIN, "value": "Bern"}]}, by=bob)
    a_contact(workspace, "cleo@example.com", subscribed_to=[news], city="Berlin")
    assert lifecycle.launch(campaign.pk) == 0
    assert sent_to() == ["anna@example.com"]
    assert Mailing.objects.get().total_count == 1


def test_a_snapshot_is_an_audience_and_an_exclusion(workspace, news, berlin, bob):
    a_contact(workspace, "anna@example.com", subscribed_to=[news], city="Berlin")
    snapshot = actions.freeze(berlin, by=bob)
    actions.take(snapshot.pk)
    a_contact(workspace, "ben@example.com", subscribed_to=[news], city="Berlin")
    into = a_campaign(workspace, segments=[snapshot])
    assert [each.email for each in audience.recipients(into)] == ["anna@example.com"]
    without = a_campaign(workspace, segments=[berlin], excluded_segments=[snapshot])
    assert [each.email for each in audience.recipients(without)] == ["ben@example.com"]
    assert audience.count(without) == audience.AudienceCount(people=1, left_out=1)


@pytest.mark.parametrize("role", ["segments", "excluded_segments"])
def test_a_broken_segment_stops_the_campaign_at_preflight(workspace, news, berlin, bob, role):
    """As an exclusion it would leave out nobody."""
    a_contact(workspace, "anna@example.com", subscribed_to=[news], city="Berlin")
    a_contact(workspace, "ben@example.com", subscribed_to=[news], city="Bern")
    campaign = a_ready_campaign(workspace, lists=[news], **{role: [berlin]})
    assert preflight.problems(campaign) == []
    CustomField.objects.all().delete()
    assert ["“city” was deleted" in each.text for each in preflight.problems(campaign)] == [True]
    with pytest.raises(lifecycle.NotReady, match="The segment “Berlin” cannot be used as it is"):
        lifecycle.send_now(campaign, by=bob)


def test_a_segment_that_breaks_between_the_button_and_the_launch_stops_it_too(workspace, news, berlin, bob):
    a_contact(workspace, "ben@example.com", subscribed_to=[news], city="Bern")
    campaign = a_ready_campaign(workspace, lists=[news], excluded_segments=[berlin])
    lifecycle.send_now(campaign, by=bob)
    CustomField.objects.all().delete()
    lifecycle.launch(campaign.pk)
    campaign.refresh_from_db()
    assert campaign.state == "failed"
    assert "“city” was deleted" in campaign.state_reason
    assert sent_to() == []


@pytest.fixture
def sent(workspace, news, bob):
    for name in ("anna", "ben", "cleo", "dora"):
        a_contact(workspace, f"{name}@example.com", subscribed_to=[news])
    campaign = a_ready_campaign(workspace, lists=[news])
    lifecycle.send_now(campaign, by=bob)
    lifecycle.launch(campaign.pk)
    for number, state in enumerate(("accepted", "accepted", "rejected", "skipped"), start=1):
        Delivery.objects.filter(number=number).update(state=state)
    Delivery.objects.filter(number=2).update(unsubscribed_at=campaign.created_at)
    Mailing.objects.update(
        accepted_count=2, rejected_count=1, skipped_count=1, unsubscribed_count=1, state="finished"
    )
    Campaign.objects.update(state="sent")
    return Campaign.objects.get()


@pytest.mark.parametrize(
    ("label", "name", "people"),
    [
        ("Accepted", "Was sent Spring roast", ["anna@example.com", "ben@example.com"]),
        ("Rejected", "Rejected in Spring roast", ["cleo@example.com"]),
        ("Skipped", "Skipped in Spring roast", ["dora@example.com"]),
        ("Unsubscribed", "Unsubscribed by Spring roast", ["ben@example.com"]),
    ],
)
def test_a_reports_number_becomes_the_segment_of_those_people(sign_in, bob, sent, label, name, people):
    client = sign_in(bob)
    report = client.get(reverse("campaign_report", args=[sent.pk])).text
    found = re.search(
        rf'href="([^"]+)">Make a segment<span class="visually-hidden"> of {label}</span>', report
    )
    builder = client.get(html.unescape(found[1]))
    assert builder.context["form"]["name"].value() == name
    fields = {"name": name, "rule.join": "and"}
    for row in builder.context["group"].rows:
        fields |= {f"rule.{row.path}.subject": row.subject, f"rule.{row.path}.operator": row.operator}
        fields |= {each.name: each.values for each in row.inputs}
    client.post(reverse("segment_new"), fields)
    segment = Segment.objects.get(name=name)
    assert sorted(each.email for each in segments.matching(segment, segment.workspace)) == people


def test_the_page_of_recipients_leads_to_a_segment_of_an_outcome_alone(sign_in, bob, carol, sent):
    page = reverse("campaign_recipients", args=[sent.pk])
    assert "Make a segment of these" in sign_in(bob).get(page, {"state": "rejected"}).text
    for query in ({}, {"state": "rejected", "code": "550"}, {"state": "rejected", "search": "anna"}):
        assert "Make a segment of these" not in sign_in(bob).get(page, query).text
    assert "Make a segment" not in sign_in(carol).get(page, {"state": "rejected"}).text


def test_a_campaign_is_begun_from_the_page_of_its_segment(workspace, berlin, sign_in, bob, carol):
    page, way = reverse("segment", args=[berlin.pk]), f"{reverse('campaign_new')}?segment={berlin.pk}"
    client = sign_in(bob)
    assert f'href="{way}"' in client.get(page).text
    assert f'name="segment" value="{berlin.pk}"' in client.get(way).text
    client.post(way, {"name": "Berlin, in spring", "segment": berlin.pk})
    campaign = Campaign.objects.get(name="Berlin, in spring")
    assert (list(campaign.segments.all()), list(campaign.lists.all())) == ([berlin], [])
    assert way not in sign_in(carol).get(page).text


def test_no_campaign_is_begun_with_anothers_segment(workspace, sign_in, bob, mallory):
    theirs = a_segment(mallory.memberships.get().workspace, "Theirs", ABOUT_E_MAIL)
    answer = sign_in(bob).post(reverse("campaign_new"), {"name": "Spring", "segment": theirs.pk})
    assert answer.status_code == 422
    assert not Campaign.objects.exists()
