"""Anymail's own views take what the fake posts, in every provider's name, and refuse what was signed otherwise."""

import importlib
import itertools

import pytest
from anymail.exceptions import AnymailWebhookValidationFailure
from anymail.signals import EventType
from django.test import RequestFactory

from tests.fake_esp import webhooks
from tests.fake_esp.webhooks import Message, What, event

# What anymail makes of each; where it folds several into one, or a provider has no such thing, below.
NORMAL = {
    What.DELIVERED: EventType.DELIVERED,
    What.DEFERRED: EventType.DEFERRED,
    What.BOUNCED: EventType.BOUNCED,
    What.SOFT_BOUNCED: EventType.BOUNCED,
    What.BLOCKED: EventType.BOUNCED,
    What.COMPLAINED: EventType.COMPLAINED,
    What.OPENED: EventType.OPENED,
    What.CLICKED: EventType.CLICKED,
    What.UNSUBSCRIBED: EventType.UNSUBSCRIBED,
    What.REJECTED: EventType.REJECTED,
}
OTHERWISE = {
    ("amazon_ses", What.DEFERRED): EventType.UNKNOWN,
    ("amazon_ses", What.UNSUBSCRIBED): EventType.UNKNOWN,
    ("brevo", What.UNSUBSCRIBED): EventType.UNKNOWN,
    ("mailjet", What.BLOCKED): EventType.REJECTED,
    ("mailtrap", What.SOFT_BOUNCED): EventType.DEFERRED,
    ("postal", What.BOUNCED): EventType.FAILED,
    ("postal", What.BLOCKED): EventType.FAILED,
    ("postal", What.OPENED): EventType.UNKNOWN,
    ("postal", What.REJECTED): EventType.QUEUED,
    ("postmark", What.BLOCKED): EventType.REJECTED,
    ("unisender_go", What.SOFT_BOUNCED): EventType.DEFERRED,
    ("unisender_go", What.REJECTED): EventType.BOUNCED,
}
# Anymail looks at its settings before it looks at what a view is given.
pytestmark = pytest.mark.filterwarnings("ignore::anymail.exceptions.AnymailInsecureWebhookWarning")
TOLD = [(provider, what) for provider in webhooks.PROVIDERS for what in webhooks.kinds(provider)]
URL = "http://testserver/hooks/x/"


def a_message(provider):
    name = (
        "4711"
        if provider in ("mailjet", "postal")
        else "<mg-1@acme.example>"
        if provider == "mailgun"
        else "m-1"
    )
    return Message(
        provider,
        name,
        "Eve@example.com",
        metadata={"volley": "7-5"},
        headers={"X-Metadata": '{"volley": "7-5"}'},
    )


def the_view(provider, known):
    module = importlib.import_module(f"anymail.webhooks.{provider}")
    part = "Combined" if provider == "mandrill" else "Tracking"
    name = next(each for each in dir(module) if each.endswith(f"{part}WebhookView") and "Base" not in each)
    return getattr(module, name)(**known)


def parsed(provider, post, known):
    given = post.as_django()
    request = RequestFactory().post(URL, given["data"], given["content_type"], headers=given["headers"])
    view = the_view(provider, known)
    view.setup(request)
    view.run_validators(request)
    return view.parse_events(request)


@pytest.mark.parametrize(("provider", "what"), TOLD)
def test_anymail_takes_each_event_for_what_it_is(provider, what):
    key = webhooks.new_key(provider)
    [post] = webhooks.posts(provider, [event(what, a_message(provider))], key, URL)
    [told] = parsed(provider, post, key.known)
    assert told.event_type == OTHERWISE.get((provider, what), NORMAL[what])
    assert told.recipient.lower() == "eve@example.com"
    assert provider == "sendgrid" or str(told.message_id) == a_message(provider).id
    if provider not in ("mailersend", "postal", "brevo"):
        assert told.metadata["volley"] == "7-5"


@pytest.mark.parametrize("provider", webhooks.PROVIDERS)
def test_another_key_is_refused(provider):
    key, other = webhooks.new_key(provider), webhooks.new_key(provider)
    [post] = webhooks.posts(provider, [event("clicked", a_message(provider))], other, URL)
    if key.private and provider != "amazon_ses":  # made once: spoil the body instead
        post = post._replace(body=post.body.replace(b"acme", b"evil"))
    with pytest.raises(AnymailWebhookValidationFailure):
        parsed(provider, post, key.known)


def test_an_event_posted_twice_has_one_name():
    for provider in webhooks.PROVIDERS:
        key, told = webhooks.new_key(provider), event("opened", a_message(provider))
        posts = [webhooks.posts(provider, [told], key, URL, told.at)[0] for _ in range(2)]
        twice = [parsed(provider, post, key.known)[0] for post in posts]
        assert twice[0].event_id == twice[1].event_id, provider
        assert twice[0].timestamp == twice[1].timestamp, provider


def test_a_thousand_events_make_few_calls_where_the_provider_groups_them():
    events = [event(what, a_message("sendgrid")) for what in itertools.islice(itertools.cycle(What), 1000)]
    assert len(webhooks.posts("sendgrid", events, webhooks.new_key("sendgrid"), URL)) == 2
    assert len(webhooks.posts("mailgun", events, webhooks.new_key("mailgun"), URL)) == 1000
