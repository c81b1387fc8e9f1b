"""Tracked messages through each ESP's calls: everybody gets what SMTP would have brought, whether or not they agreed."""

import email
import email.policy

import pytest

from campaigns.content import compile_content
from contacts.models import Contact
from delivery.actions import launch
from delivery.content import Content
from delivery.models import Call, Tracking
from delivery.pipeline import calls
from delivery.pipeline.mold import Mold, Recipient
from delivery.pipeline.molds import frame_of
from delivery.providers import PROVIDERS
from tests.builders import a_campaign, a_field
from tests.delivery.test_esp_pipeline import (  # noqa: F401  (fixtures)
    REPEATING,
    account,
    die_in_the_call,
    fake,
    key_of,
    name,
    names,
)
from tests.delivery.test_pipeline import work_all

pytestmark = pytest.mark.django_db
COUNT = 9
PAGE = """<html><body><p>Hällo {{ contact.first_name }}</p>
<a href="https://shop.example/spring?a=1&amp;b=2">Spring</a>
<a href="https://shop.example/{{ contact.city | url_encode }}?of={{ contact.email }}">Yours</a>
<a href="{{ contact.site }}">Your site</a> {% raw %}{{ x }} %recipient.x% -x- *|X|*{% endraw %}
<a href="{{ unsubscribe_url }}">Leave</a></body></html>"""


@pytest.fixture
def mailing(workspace, account, news, people):  # noqa: F811
    """Of nine people each third has agreed to be watched, each third has said no, and the others nothing."""
    workspace.postal_address = "Street 1, Town"
    workspace.save()
    for key in ("city", "site"):
        a_field(workspace, key)
    field = a_field(workspace, "May track", key="may_track", type="boolean")
    Tracking.objects.create(workspace=workspace, needs_consent=True, consent_field=field)
    for number, contact in enumerate(people(COUNT)):
        own = {"city": f"Köln {number}", "site": f"https://p{number}.example/?a=1&b=%7B"}
        said = ({"may_track": True}, {"may_track": False}, {})[number % 3]
        Contact.objects.filter(pk=contact.pk).update(attributes=own | said)
    campaign = a_campaign(workspace, content_kind="html", content=PAGE)
    return launch(
        workspace=workspace,
        name=campaign.name,
        account=account,
        content=compile_content(campaign),
        recipients=Contact.objects.filter(workspace=workspace),
        list_ids=[news.pk],
        opens=True,
        clicks=True,
    )


def by_smtp(mailing):
    """{address: (HTML, text, List-Unsubscribe)} as a mail server would have got it."""
    mold = Mold(Content(**mailing.content), frame_of(mailing))
    found = {}
    for each in mailing.deliveries.select_related("contact"):
        person = each.contact
        names_ = person.first_name, person.last_name, person.attributes
        data = mold.fill(Recipient(each.number, each.email, *names_))
        message = email.message_from_bytes(data, policy=email.policy.default)
        html, text = (
            message.get_body((kind,)).get_content().replace("\r\n", "\n").rstrip("\n")
            for kind in ("html", "plain")
        )
        found[each.email] = html, text, " ".join(message["List-Unsubscribe"].split())
    return found


@names
def test_who_agreed_is_watched_and_nobody_else(mailing, fake, name):  # noqa: F811
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    expected = by_smtp(mailing)
    watched = set()
    for message in fake.messages:
        html, text, leave = expected[message.to]
        assert message.html.rstrip("\n") == html
        assert message.text.rstrip("\n") == text
        headers = {key.lower(): value for key, value in message.headers.items()}
        assert headers.get("list-unsubscribe", leave) == leave
        if "/o/" in message.html:
            assert "/c/" in message.html
            assert "https://shop.example/spring" not in message.html
            watched.add(message.to)
        else:
            assert "/c/" not in message.html + message.text
    assert watched == {f"p{number}@example.com" for number in (1, 4, 7)}
    assert len(fake.messages) == len(fake.counts) == COUNT
    most = PROVIDERS[name].most
    assert len(fake.calls) == -(-3 // most) + -(-6 // most), "one skeleton a call, and full calls of each"
    assert not Call.objects.exists()


@pytest.mark.parametrize("name", REPEATING)
def test_a_repeated_call_has_the_same_parts_under_the_same_keys(mailing, fake, name, monkeypatch):  # noqa: F811
    """The dead worker had made the first part's call: the ESP knows it, and sends the rest alone."""
    keys = []
    real = calls.key_of
    monkeypatch.setattr("delivery.pipeline.chunks.key_of", lambda *of: keys.append(real(*of)) or keys[-1])
    die_in_the_call(mailing, monkeypatch)
    work_all(mailing)
    assert (mailing.state, mailing.accepted_count) == ("finished", COUNT)
    assert [key_of(call) for call in fake.calls] == [key.hex for key in keys]
    watched, others = (
        sorted(mailing.deliveries.filter(email__in=call.to).values_list("number", flat=True))
        for call in fake.calls
    )
    assert (len(watched), len(others)) == (3, 6)
    lease = type("", (), {"batch_key": mailing.batches.get().key})
    assert keys == [real(lease, watched), real(lease, others)], "whoever repeats it makes the same keys"
