"""Many messages in one call: through every ESP each recipient reads what SMTP would have brought, byte for byte."""

import email
import email.policy
import uuid

import pytest

from delivery.content import Content
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.providers import PROVIDERS
from delivery.transports import connect
from delivery.transports.base import Fate
from tests.builders import an_account
from tests.fake_esp.core import decoded
from tests.fake_esp.server import FakeEsp

ESPS = [provider for provider in PROVIDERS.values() if provider.is_esp]
BATCHING = [provider for provider in ESPS if provider.most > 1]
FRAME = Frame(7, 3, "Acme", "1 High Street", "Spring")
# Text that each ESP could take for a tag of its own, next to tags of ours.
CONTENT = Content(
    "Grüße,  {{ contact.first_name }}!",
    "<style>@media print{.a{color:red}}</style>\n"
    "<p>{% raw %}{{name}} {{{x}}} \\{{y}} {% if %}{% endraw %} %recipient.name% *|NAME|* [[var:x]] -v0- %unsubscribe_url%"
    "{% raw %}{{% endraw %}{{ contact.first_name }}}} \\{{ contact.last_name }} "
    "{% raw %}{{{% endraw %}{{ contact.last_name }}</p>\n"
    "{% for n in (1..2) %}<p>{{ n }} {{ contact.last_name | upcase }}</p>{% endfor %}\n"
    "<p>.\n.. Hällo {{ contact.name }}, {{ unsubscribe_url }} and again {{ unsubscribe_url }} 100% off</p>\n",
    "Hällo {{ contact.first_name }} %recipient_email% {{ contact.last_name }}\r\n{{ unsubscribe_url }}\r\n",
    "Müller & Co., “Acme”",
    "news@acme.example",
    "desk@acme.example",
)
PEOPLE = [
    Recipient(1, "eve@example.com", "Eve", "Smith"),
    Recipient(2, "Zoe@Example.org", "Zoë", "{{{v0}}} %recipient.x% -v0- *|X|*"),
    Recipient(3, "o.brien@example.net", 'O"Brien, <x@y.example>', "\\{{/if}} <b>&amp; 'quoted'"),
    Recipient(4, "nobody@example.com"),
    Recipient(5, "anna@xn--mller-kva.example", "Anna\nMaria", "日本語 \U0001f600"),
]
# Headers that an ESP does not let others set.
LEFT_OUT = {"mailjet": {"List-Id"}, "unisender_go": {"List-Unsubscribe-Post", "List-Id", "Feedback-Id"}}


@pytest.fixture
def fake():
    with FakeEsp() as server:
        yield server


def an_esp_account(workspace, fake, name, **settings):
    """Every field filled in, at the fake server."""
    fields = PROVIDERS[name].fields
    given = {
        field.name: field.initial or f"a-{field.name}"
        for field in fields
        if not field.secret and field.name not in ("sender_domain", "subaccount", "configuration_set_name")
        and field.kind != "boolean" and field.name != "sandbox_id"
    }  # fmt: skip
    return an_account(
        workspace,
        provider=name,
        settings={**given, "api_url": fake.url(name), "region": "eu-west-1", **settings}
        if name == "amazon_ses"
        else {**given, "api_url": fake.url(name), **settings},
        secrets={field.name: f"s-{field.name}" for field in fields if field.secret},
    )


def letters_of(people=PEOPLE, content=CONTENT):
    mold = Mold(content, FRAME, is_plain=True)
    return mold.skeleton, [mold.letter(each) for each in people]


def by_smtp(recipient, content=CONTENT):
    """What SMTP would have brought: subject, HTML and text as they are read, and the headers."""
    parsed = email.message_from_bytes(Mold(content, FRAME).fill(recipient), policy=email.policy.default)
    bodies = [parsed.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("html", "plain")]
    return str(parsed["Subject"]), *bodies, parsed


def send(connection, skeleton, letters):
    """All of them, in as many calls as it takes; outcomes by address."""
    outcomes = {}
    for call in connection.cut(skeleton, letters):
        answer = connection.send_letters(skeleton, call, key=uuid.uuid4())
        outcomes |= {letter.to: each for letter, each in zip(call, answer.outcomes, strict=True)}
    return outcomes


def assert_as_by_smtp(fake, name, people=PEOPLE, content=CONTENT, *, own_headers=True):
    assert len(fake.messages) == len(people)
    assert not fake.unfilled - {"x"}  # Mailgun's is in a contact's name, as it is typed there
    for recipient in people:
        message = fake.message_to(recipient.email)
        subject, html, text, parsed = by_smtp(recipient, content)
        assert message.subject == subject
        assert message.html == html
        assert message.text == text
        assert message.sender == "news@acme.example"
        assert decoded(message.sender_name) == "Müller & Co., “Acme”"
        assert "desk@acme.example" in message.reply_to
        if own_headers:
            headers = {key.title(): " ".join(value.split()) for key, value in message.headers.items()}
            for header in ("List-Unsubscribe", "List-Unsubscribe-Post", "List-Id", "Feedback-Id"):
                if header not in LEFT_OUT.get(name, ()):
                    assert headers[header] == " ".join(str(parsed[header]).split()), header
        if PROVIDERS[name].metadata:
            assert message.metadata["volley"] == f"7-{recipient.number}"
        else:
            assert "volley-7" in message.tags


@pytest.mark.parametrize("provider", ESPS, ids=lambda each: each.name)
def test_each_reads_what_smtp_would_have_brought(workspace, fake, provider):
    settings = {"own_headers": True} if provider.name == "mailersend" else {}
    fake.account("mailersend").is_enterprise = True
    connection = connect(an_esp_account(workspace, fake, provider.name, **settings))
    outcomes = send(connection, *letters_of())
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}, outcomes
    assert len(fake.calls) == (1 if provider.most > 1 else len(PEOPLE))
    assert_as_by_smtp(fake, provider.name)


@pytest.mark.parametrize("provider", BATCHING, ids=lambda each: each.name)
def test_one_alone_goes_as_a_finished_message(workspace, fake, provider):
    settings = {"own_headers": True} if provider.name == "mailersend" else {}
    fake.account("mailersend").is_enterprise = True
    connection = connect(an_esp_account(workspace, fake, provider.name, **settings))
    for recipient in PEOPLE:
        send(connection, *letters_of([recipient]))
    assert_as_by_smtp(fake, provider.name)
    assert fake.connection_count == 1
