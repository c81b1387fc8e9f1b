"""Calls to ESPs are as large as they may be and no larger, and the traps that each ESP sets are walked round."""

import dataclasses
import json
import re
import uuid

import botocore.exceptions
import pytest
import requests
from anymail.exceptions import AnymailAPIError

from config.settings import BASE_DIR
from delivery.content import Content
from delivery.pipeline import connections
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.providers import MEGABYTE, PROVIDERS
from delivery.transports import connect, esp
from delivery.transports.base import Fate, Letter, Skeleton
from delivery.transports.esp_answers import outcome_of_error
from tests.builders import an_account
from tests.fake_esp.server import FakeEsp

ESPS = [provider for provider in PROVIDERS.values() if provider.is_esp]
BATCHING = [provider for provider in ESPS if provider.most > 1]
FRAME = Frame(7, 3, "Acme", "1 High Street", "Spring")
CONTENT = Content(
    "Hi {{ contact.first_name }}", "<p>Hi {{ contact.name }}</p>", "Hi", "Acme", "news@acme.example"
)
PEOPLE = [Recipient(number, f"p{number}@example.com", f"P{number}", "Smith") for number in range(1, 6)]


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


def send(connection, skeleton, letters):
    """All of them, in as many calls as it takes; outcomes by number."""
    outcomes = {}
    for call in connection.cut(skeleton, letters):
        answer = connection.send_letters(skeleton, call, key=uuid.uuid4())
        outcomes |= {letter.number: each for letter, each in zip(call, answer.outcomes, strict=True)}
    return outcomes


def at(workspace, fake, name, **limits):
    """A connection, whose provider has other limits than it really has."""
    connection = connect(an_esp_account(workspace, fake, name))
    connection._provider = dataclasses.replace(connection._provider, **limits)
    return connection


# --- Sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["postmark", "mailtrap", "brevo"])
def test_finished_messages_are_split_by_what_they_weigh_together(workspace, fake, name):
    content = dataclasses.replace(CONTENT, html="<p>{{ contact.name }}</p>" + "x" * 10_000)
    connection = at(workspace, fake, name, call_bytes=35_000)
    outcomes = send(connection, *letters_of(content=content))
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}
    assert [len(call.to) for call in fake.calls] == [2, 2, 1]
    assert max(len(call.request.body) for call in fake.calls) <= 35_000


@pytest.mark.parametrize("name", ["mailgun", "sparkpost", "unisender_go", "amazon_ses"])
def test_the_body_counts_once_where_it_travels_once(workspace, fake, name):
    content = dataclasses.replace(CONTENT, html="<p>{{ contact.name }}</p>" + "x" * 10_000)
    send(at(workspace, fake, name, call_bytes=35_000), *letters_of(content=content))
    assert len(fake.calls) == 1


def test_whose_own_part_is_too_long_goes_alone(workspace, fake):
    """SendGrid takes 10,000 bytes of substitutions for each recipient."""
    long = Recipient(9, "long@example.com", "L" * 6_000, "Smith")
    outcomes = send(connect(an_esp_account(workspace, fake, "sendgrid")), *letters_of([*PEOPLE, long]))
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}
    assert sorted(len(call.to) for call in fake.calls) == [1, 5]
    assert "L" * 6_000 in fake.message_to("long@example.com").html


def test_a_message_too_large_for_an_inline_template_goes_alone(workspace, fake):
    """A call to SES with one may have a megabyte."""
    content = dataclasses.replace(CONTENT, html="<p>{{ contact.name }}</p>" + "x\n" * 500_000)
    outcomes = send(connect(an_esp_account(workspace, fake, "amazon_ses")), *letters_of(PEOPLE[:2], content))
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}
    assert len(fake.calls) == 2


def test_no_limit_is_above_what_a_batch_holds_or_an_api_takes():
    assert all(1000 % provider.most == 0 for provider in ESPS), "else calls would not be full"
    assert all(provider.call_bytes <= 50 * MEGABYTE for provider in ESPS)


# --- Traps ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provider", BATCHING, ids=lambda each: each.name)
def test_each_message_has_metadata_of_its_own_that_names_nobody(workspace, fake, provider):
    """Some put it where everybody reads it; anymail's bulk calls to Postmark gave all the last one's."""
    send(connect(an_esp_account(workspace, fake, provider.name, own_headers=False)), *letters_of())
    if provider.metadata:
        seen = {message.to: message.metadata["volley"] for message in fake.messages}
        assert seen == {f"p{number}@example.com": f"7-{number}" for number in range(1, 6)}
    else:
        assert {message.tags for message in fake.messages} == {("volley-7",)}


def test_mailjet_gets_all_headers_in_each_message(workspace, fake):
    """Whether it joins those of the call with a message's own is not documented."""
    send(connect(an_esp_account(workspace, fake, "mailjet")), *letters_of())
    for message in json.loads(fake.calls[0].request.body)["Messages"]:
        assert {"List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"} <= set(message["Headers"])


def test_one_id_for_all_is_told_apart_by_the_metadata(workspace, fake):
    outcomes = send(connect(an_esp_account(workspace, fake, "mailgun")), *letters_of())
    assert len({outcome.provider_id for outcome in outcomes.values()}) == 1
    assert len({message.metadata["volley"] for message in fake.messages}) == len(PEOPLE)


def test_no_extra_of_anymail_holds_cryptography_back():
    named = (BASE_DIR / "requirements.in").read_text() + (BASE_DIR / "requirements.txt").read_text()
    assert "amazon-s3-encryption" not in named
    assert not re.search(r"django-anymail\[", named)


def test_a_client_of_ses_is_made_once_and_kept(workspace, fake, monkeypatch):
    """It takes 75 ms to make, twenty times a message."""
    made, connects = [], esp.connect
    monkeypatch.setattr(esp, "connect", lambda *given: made.append(1) or connects(*given))
    account = an_esp_account(workspace, fake, "amazon_ses")
    for _ in range(3):
        connection, _ = connections.borrow(account)
        send(connection, *letters_of())
        connections.give_back(account, connection)
    connections.close_all()
    assert len(made) == fake.connection_count == 1


def test_brevo_gets_ascii_headers_and_always_html(workspace, fake):
    frame = dataclasses.replace(FRAME, workspace_name="Müller")
    content = dataclasses.replace(CONTENT, html="", text="Grüße & <so>, {{ contact.first_name }}")
    mold = Mold(content, frame, is_plain=True)
    outcomes = send(
        connect(an_esp_account(workspace, fake, "brevo")),
        mold.skeleton,
        [mold.letter(each) for each in PEOPLE],
    )
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}, outcomes
    message = fake.message_to("p1@example.com")
    assert "Grüße &amp; &lt;so&gt;, P1" in message.html
    assert all(value.isascii() for value in message.headers.values())


def test_one_address_twice_is_never_in_one_call(workspace, fake):
    """Anymail's answers are kept by address."""
    twice = [PEOPLE[0], Recipient(8, "P1@Example.com", "Other"), PEOPLE[1]]
    outcomes = send(connect(an_esp_account(workspace, fake, "postmark")), *letters_of(twice))
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}
    assert len({outcome.provider_id for outcome in outcomes.values()}) == 3


def test_a_session_that_idled_is_connected_anew(workspace, fake, monkeypatch):
    """Where an ESP hangs up just then, whether it took the call would not be known."""
    connection = connect(an_esp_account(workspace, fake, "mailgun"))
    send(connection, *letters_of())
    send(connection, *letters_of())
    assert fake.connection_count == 1
    monkeypatch.setattr(esp, "IDLE_SECONDS", -1.0)
    send(connection, *letters_of())
    assert fake.connection_count == 2


@pytest.mark.parametrize("name", ["resend", "brevo"])
def test_the_same_call_under_its_key_is_taken_once(workspace, fake, name):
    connection, key = connect(an_esp_account(workspace, fake, name)), uuid.uuid4()
    skeleton, letters = letters_of()
    first, second = (connection.send_letters(skeleton, letters, key=key) for _ in range(2))
    assert {outcome.fate for outcome in (*first.outcomes, *second.outcomes)} == {Fate.ACCEPTED}
    assert set(fake.counts.values()) == {1}


def test_an_address_of_any_kind_stays_one_recipient(workspace, fake):
    """Names and addresses are no text that is read again."""
    skeleton = letters_of()[0]
    assert isinstance(skeleton, Skeleton)
    name = 'Eve" <mallory@example.org>, "x'
    letter = Letter(1, "eve@example.com", name, ("Eve", "Eve"), {})
    send(connect(an_esp_account(workspace, fake, "postmark")), skeleton, [letter])
    assert [message.to for message in fake.messages] == ["eve@example.com"]


@pytest.mark.parametrize(
    ("cause", "fate"),
    [
        (
            requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"),
            Fate.DEFERRED,
        ),
        (requests.exceptions.SSLError("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE]"), Fate.DEFERRED),
        (requests.exceptions.SSLError("[SSL: DECRYPTION_FAILED_OR_BAD_RECORD_MAC]"), Fate.IN_DOUBT),
        (requests.exceptions.ProxyError("Unable to connect to proxy"), Fate.DEFERRED),
        (requests.exceptions.ConnectTimeout("timed out"), Fate.DEFERRED),
        (requests.exceptions.ReadTimeout("timed out"), Fate.IN_DOUBT),
        (botocore.exceptions.ConnectTimeoutError(endpoint_url="https://email.example"), Fate.DEFERRED),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="https://email.example"), Fate.IN_DOUBT),
    ],
    ids=lambda each: str(each)[:30],
)
def test_only_where_no_connection_was_made_it_is_certain_that_nothing_was_taken(cause, fate):
    error = AnymailAPIError("Error posting")
    error.__cause__ = cause
    assert outcome_of_error("mailgun", error).fate is fate


def test_an_error_that_nobody_foresaw_is_in_doubt():
    assert outcome_of_error("mailgun", KeyError("x")).fate is Fate.IN_DOUBT
