"""A field's default stands in messages for the value of whoever has none."""

from email import message_from_bytes, policy

import pytest
from django.urls import reverse

from campaigns.actions import lifecycle
from contacts.models import CustomField
from delivery.content import Content
from delivery.models import Mailing
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.pipeline.molds import mold_of
from delivery.preview import preview
from tests.builders import a_campaign, a_contact, a_field, a_list, an_account


def a_mold(text, **defaults):
    content = Content(
        subject="Hi", html="<p>.</p>", text=text, from_name="Acme", from_email="news@acme.example"
    )
    return Mold(content, Frame(7, 3, "Acme", "1 High Street", "Spring", defaults=defaults))


def text_for(mold, attributes):
    recipient = Recipient(1, "anna@example.com", attributes=attributes)
    shown = mold.render(recipient).text.strip()
    assert sent_text(mold, recipient) == shown  # the preview says what is sent
    return shown


def sent_text(mold, recipient):
    message = message_from_bytes(mold.fill(recipient), policy=policy.default)
    return message.get_body(("plain",)).get_content().strip()


@pytest.mark.parametrize(
    ("text", "attributes", "shown"),
    [
        ("In {{ contact.city }}", {"city": "Bonn"}, "In Bonn"),
        ("In {{ contact.city }}", {}, "In your town"),
        ("In {{ contact.city }}", {"city": None}, "In your town"),
        ("In {{ contact.city | upcase }}", None, "In YOUR TOWN"),
        ('In {{ contact.city | default: "x" }}', {}, "In your town"),
        ("{% if contact.city %}yes{% endif %}", {}, "yes"),
        ("{{ contact.points | plus: 1 }}", {}, "11"),
        ("{{ contact.points }}", {"points": 0}, "0"),
        ("{% if contact.member %}in{% else %}out{% endif %}", {}, "out"),
        ("{% if contact.member %}in{% else %}out{% endif %}", {"member": True}, "in"),
        ("{{ contact['city'] }}", {}, "your town"),
        ("{% assign key = 'city' %}{{ contact[key] }}", {}, "your town"),
        ("{{ contact.email }}", {}, "anna@example.com"),
        ("{{ contact.other }}.", {}, "."),
    ],
)
def test_it_stands_for_a_value_that_is_missing(text, attributes, shown):
    mold = a_mold(text, city="your town", points=10, member=False, email="nobody@example.com")
    assert text_for(mold, attributes) == shown


def test_one_persons_value_is_not_the_next_ones():
    mold = a_mold("{{ contact.city }}", city="your town")
    assert [text_for(mold, each) for each in ({}, {"city": "Bonn"}, {}, {"city": "Köln"})] == [
        "your town", "Bonn", "your town", "Köln",
    ]  # fmt: skip


def test_it_is_text_in_html():
    content = Content("Hi", "<p>{{ contact.city }}</p>", "x", "Acme", "news@acme.example")
    mold = Mold(content, Frame(7, 3, "Acme", "1", "Spring", defaults={"city": "<b>&"}))
    assert "&lt;b&gt;&amp;" in mold.render(Recipient(1, "a@example.com")).html


@pytest.fixture
def launched(workspace, bob):
    a_field(workspace, "Points", type="number", default="10")
    a_field(workspace, "City", default="your town")
    news = a_list(workspace)
    a_contact(workspace, subscribed_to=[news])
    text = "<mj-text>In {{ contact.city }}</mj-text>"
    content = f"<mjml><mj-body><mj-section><mj-column>{text}</mj-column></mj-section></mj-body></mjml>"
    campaign = a_campaign(workspace, lists=[news], account=an_account(workspace), content=content)
    lifecycle.send_now(campaign, by=bob)
    lifecycle.launch(campaign.pk)
    return campaign


def test_a_mailing_keeps_what_the_defaults_were_when_it_left(workspace, launched):
    CustomField.objects.update(default="")
    mailing = Mailing.objects.get()
    assert mailing.frame["defaults"] == {"city": "your town", "points": 10}
    assert "In your town" in sent_text(mold_of(mailing), Recipient(1, "anna@example.com", attributes={}))


def test_a_mailing_of_before_there_were_defaults_has_none(workspace, launched):
    mailing = Mailing.objects.get()
    del mailing.frame["defaults"]
    assert "your town" not in sent_text(mold_of(mailing), Recipient(1, "anna@example.com", attributes={}))


def test_the_preview_shows_it(sign_in, bob, workspace, launched):
    anna = workspace.contacts.get()
    for query in ("", f"&contact={anna.pk}"):
        page = sign_in(bob).get(reverse("campaign_preview", args=[launched.pk]) + f"?part=html{query}")
        assert "In your town" in page.text


def test_a_default_that_fits_no_more_is_none(workspace):
    field = a_field(workspace, "Age", type="number", default="30", limits={"max": 20})
    content = Content("Hi", "<p>.</p>", "[{{ contact.age }}]", "Acme", "news@acme.example")
    assert "[]" in preview(content, workspace=workspace, name="x", contact=None).text
    CustomField.objects.filter(pk=field.pk).update(limits={})
    assert "[30]" in preview(content, workspace=workspace, name="x", contact=None).text
