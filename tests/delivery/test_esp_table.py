"""One table for all ESPs: what each recipient gets of a mailing is what SMTP would have brought, alone or with others,
and whatever an ESP answers, everybody ends with one fate and nobody gets two copies."""

import email
import email.policy
import time
import uuid

import pytest

from delivery.content import Content
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.providers import PROVIDERS
from delivery.transports import connect, esp, esp_bulk
from delivery.transports.base import Fate, Message
from tests.builders import an_account
from tests.fake_esp.core import Answer
from tests.fake_esp.server import Plan

ESPS = sorted(provider.name for provider in PROVIDERS.values() if provider.is_esp)
MANY = [name for name in ESPS if PROVIDERS[name].mode != "single"]
WITH_KEYS = [name for name in ESPS if PROVIDERS[name].repeat_seconds]

# Text that means something to one ESP or another, and must come out as it went in.
STRANGE = (
    "{{ contact }} {{{name}}} {{#if x}}yes{{/if}} {% if %} %recipient.name% %recipient% %unsubscribe_url% "
    "*|NAME|* [[var:name]] {{var:name}} {{params.name}} {{s0}} -s0- -name- [%name%] <%name%> $name ${name} "
    r"\{{name}} 100 % {{ {{{ }}} }} {{opening_double_curly()}}"
)
# What becomes a tag only together with a placeholder beside it.
JOINED = (
    "{{ contact.first_name }}recipient{{ contact.last_name }}X%recipient%{{ contact.city }}recipient.{% raw %}{%{% endraw %}"
    "{% raw %}{\\{{{% endraw %}{{ contact.first_name }}{% raw %}}}}{% endraw %}"
)
LITERAL = "{% raw %}" + STRANGE.replace("<", "&lt;") + "{% endraw %}"
CONTENT = Content(
    "Grüße, {{ contact.first_name }}: {% raw %}{{ x }} %recipient.x% -x- *|X|*{% endraw %}",
    "<p>Hällo {{ contact.name }} &amp; {{ contact.city }}</p>\n<p>" + LITERAL + "</p>"
    '<a href="https://acme.example/?who={{ contact.first_name }}&amp;x=1">here</a>'
    "{% raw %} {{% endraw %}{{ contact.city }}}} {% raw %}{{{% endraw %}{{ contact.city }}"
    + JOINED
    + '<a href="{{ unsubscribe_url }}">stop</a>',
    "Hällo {{ contact.name }}\n"
    + LITERAL
    + JOINED
    + "\n{{ contact.city }}{{ contact.city }}\n{{ unsubscribe_url }}",
    'Müller, "Söhne" & Co.',
    "news@acme.example",
    "desk@acme.example",
)
FRAME = Frame(7, 3, "Acme", "1 High Street", "Spring")
PEOPLE = [
    Recipient(1, "eve@example.com", "Eve", "Smith", {"city": "Köln"}),
    Recipient(2, "mia@example.com", "Mia & <b>", 'O\'Brien, "Jr."', {"city": "{{ city }} %recipient.x%"}),
    Recipient(3, "no-name@example.com", "", "", {}),
    Recipient(4, "Uwe.Gross+tag@example.com", "Ünal 🎉", "[[var:x]]", {"city": "*|CITY|* -x- {{{"}),
    Recipient(5, "liv@sub.example.org", "{{name}}", "%recipient%", {"city": "\\{{x}} $1 \\1 \\g<0>"}),
]  # fmt: skip
# ESPs that leave out what others take.
DROPPED = {
    "mailjet": {"list-id"},
    "mailersend": {
        "list-id",
        "feedback-id",
        "list-unsubscribe",
        "list-unsubscribe-post",
    },  # but on Enterprise plans
    "unisender_go": {
        "list-id",
        "feedback-id",
        "list-unsubscribe-post",
    },  # its documents name those that it keeps
}


def by_smtp(person):
    """The finished message as its recipient reads it."""
    data = b"".join(Mold(CONTENT, FRAME).pieces(person))
    return email.message_from_bytes(data, policy=email.policy.default)


def a_letter(person):
    return Mold(CONTENT, FRAME, is_plain=True).letter(person)


def body(parsed, kind):
    return parsed.get_body((kind,)).get_content().replace("\r\n", "\n").rstrip("\n")


@pytest.fixture
def esp_account(workspace, fake_esp):
    """esp_account("mailgun") is one at the fake, with every field filled in."""

    def make(name, **more):
        fields = PROVIDERS[name].fields
        given = {each.name: each.initial or f"a-{each.name}" for each in fields if not each.secret}
        settings = {
            **given,
            "own_headers": name != "mailersend",
            "region": "eu-west-1",
            "api_url": fake_esp.url(name),
        }
        allowed = {each.name for each in fields} | {"own_headers", "api_url"}
        return an_account(
            workspace,
            provider=name,
            settings={key: value for key, value in {**settings, **more}.items() if key in allowed},
            secrets={each.name: f"s-{each.name}" for each in fields if each.secret},
        )

    return make


@pytest.fixture(autouse=True)
def quick_repeats(monkeypatch):
    monkeypatch.setattr(esp, "REPEAT_AFTER_SECONDS", 0.05)


@pytest.fixture
def impatience(monkeypatch):
    """Whoever does not answer within half a second is not waited for."""
    monkeypatch.setattr(esp, "ANSWER_SECONDS", 0.5)


def send(connection, people):
    """Everybody's outcome, by address; as many in one call as the ESP takes."""
    mold = Mold(CONTENT, FRAME, is_plain=True)
    letters = [mold.letter(person) for person in people]
    outcomes = {}
    for call in connection.cut(mold.skeleton, letters):
        answer = connection.send_letters(mold.skeleton, call, key=uuid.uuid4())
        assert len(answer.outcomes) == len(call)
        outcomes |= {letter.to: outcome for letter, outcome in zip(call, answer.outcomes, strict=True)}
    return outcomes


def send_finished(connection, person):
    """As a test message goes: one, finished."""
    mold = Mold(CONTENT, FRAME)
    return connection.send(Message(mold.sender, person.email, mold.pieces(person)))


def assert_as_by_smtp(message, person):
    expected = by_smtp(person)
    to, sender = expected["To"].addresses[0], expected["From"].addresses[0]
    assert (message.to, message.to_name) == (to.addr_spec, to.display_name)
    assert message.options["to"] == [to.addr_spec], "nobody sees another"
    assert (message.sender, message.sender_name) == (sender.addr_spec, sender.display_name)
    assert "desk@acme.example" in message.reply_to
    assert message.subject == expected["Subject"]
    assert message.html.rstrip("\n") == body(expected, "html")
    assert message.text.rstrip("\n") == body(expected, "plain")
    headers = {name.lower(): value for name, value in message.headers.items()}
    for name in {"list-unsubscribe", "list-unsubscribe-post", "list-id", "feedback-id"}:
        if name in DROPPED.get(message.dialect, ()):
            continue
        assert (expected[name] is None) or headers[name] == " ".join(expected[name].split()), name
    if PROVIDERS[message.dialect].metadata:
        assert message.metadata["volley"] == f"7-{person.number}"
    else:
        assert message.tags == ("volley-7",)


def assert_not_tracked(message):
    """Where the ESP's own tracking can be switched off with a message, it is."""
    wanted = {
        "mailersend": ("track_clicks", "track_opens"),
        "mailgun": ("o:tracking-clicks", "o:tracking-opens"),
        "mailjet": ("TrackClicks", "TrackOpens"),
        "mandrill": ("track_clicks", "track_opens"),
        "postmark": ("TrackLinks", "TrackOpens"),
        "sendgrid": ("click_tracking", "open_tracking"),
        "sparkpost": ("click_tracking", "open_tracking"),
        "unisender_go": ("track_links", "track_read"),
    }.get(message.dialect, ())
    off = (False, 0, "no", "None", "disabled", {"enable": False})
    assert all(message.options[name] in off for name in wanted)
    assert bool(wanted) is PROVIDERS[message.dialect].tracking_per_message


@pytest.mark.parametrize("name", ESPS)
def test_finished_messages_arrive_as_by_smtp(fake_esp, esp_account, name):
    connection = connect(esp_account(name))
    for person in PEOPLE:
        outcome = send_finished(connection, person)
        assert outcome.fate is Fate.ACCEPTED, outcome
        message = fake_esp.message_to(person.email)
        assert_as_by_smtp(message, person)
        assert_not_tracked(message)


@pytest.mark.parametrize("name", ESPS)
def test_many_arrive_as_by_smtp(fake_esp, esp_account, name):
    outcomes = send(connect(esp_account(name)), PEOPLE)
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}, outcomes
    assert fake_esp.call_count == (1 if name in MANY else len(PEOPLE))
    assert fake_esp.connection_count == 1
    for person in PEOPLE:
        message = fake_esp.message_to(person.email)
        assert_as_by_smtp(message, person)
        assert_not_tracked(message)


def test_mailersend_says_later_what_it_refuses_and_is_asked(fake_esp, esp_account, monkeypatch):
    """Its job takes a while; where it takes too long nothing more is known than that it was taken."""
    monkeypatch.setattr(esp_bulk, "LOOK_AFTER_SECONDS", 0.01)
    fake_esp.account("mailersend").refused["mia@example.com"] = "invalid"
    fake_esp.account("mailersend").looks = 2
    outcomes = send(connect(esp_account("mailersend")), PEOPLE)
    assert outcomes["mia@example.com"].fate is Fate.REJECTED
    assert "must be a valid email address" in outcomes["mia@example.com"].server_said
    fake_esp.account("mailersend").looks = 99
    outcomes = send(connect(esp_account("mailersend")), PEOPLE)
    assert {each.fate for each in outcomes.values()} == {Fate.ACCEPTED}


def test_mailersend_brings_headers_on_enterprise_plans(fake_esp, esp_account):
    fake_esp.account("mailersend").is_enterprise = True
    send(connect(esp_account("mailersend", own_headers=True)), PEOPLE)
    for person in PEOPLE:
        headers = fake_esp.message_to(person.email).headers
        assert headers["List-Unsubscribe"] == " ".join(by_smtp(person)["List-Unsubscribe"].split())
        assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


# What names a message in the ESP's events, beside what is in its metadata.
@pytest.mark.parametrize(
    "name", [name for name in ESPS if name not in ("sendgrid", "unisender_go", "mailersend")]
)
def test_the_ledger_has_the_id_that_events_will_name(fake_esp, esp_account, name):
    outcomes = send(connect(esp_account(name)), PEOPLE)
    for message in fake_esp.messages:
        assert outcomes[message.to].provider_id == message.id


@pytest.mark.parametrize("name", MANY)
def test_calls_are_as_large_as_the_esp_takes(fake_esp, esp_account, name):
    most = PROVIDERS[name].most
    people = [Recipient(number, f"eve{number}@example.com", "Eve") for number in range(1, most + 2)]
    outcomes = send(connect(esp_account(name)), people)
    assert [len(call.to) for call in fake_esp.calls] == [most, 1]
    assert {outcome.fate for outcome in outcomes.values()} == {Fate.ACCEPTED}
    assert fake_esp.recipient_count == most + 1


@pytest.mark.parametrize("name", MANY)
def test_one_address_twice_is_two_calls(fake_esp, esp_account, name):
    people = [Recipient(1, "eve@example.com", "Eve"), Recipient(2, "EVE@example.com", "Eva"), PEOPLE[1]]
    assert {outcome.fate for outcome in send(connect(esp_account(name)), people).values()} == {Fate.ACCEPTED}
    assert (fake_esp.recipient_count, fake_esp.counts["eve@example.com"]) == (3, 2)


# ---- Bad days --------------------------------------------------------------------------------------------------

# Providers whose 429 says when to come again.
SAYS_WHEN = [name for name in ESPS if name not in ("amazon_ses", "mandrill", "postal", "postmark")]


@pytest.mark.parametrize("name", ESPS)
def test_too_many_is_for_later(fake_esp, esp_account, name):
    fake_esp.plan(*[Plan(status=429, retry_after=7)] * len(PEOPLE))
    outcomes = send(connect(esp_account(name)), PEOPLE)
    assert {(each.fate, each.throttled) for each in outcomes.values()} == {(Fate.DEFERRED, True)}
    for outcome in outcomes.values():
        assert (
            outcome.retry_after == pytest.approx(7, abs=2)
            if name in SAYS_WHEN
            else outcome.retry_after is None
        )
    assert fake_esp.recipient_count == 0


@pytest.mark.parametrize("name", ESPS)
def test_its_own_trouble_is_for_later(fake_esp, esp_account, name):
    fake_esp.plan(*[Plan(status=503)] * len(PEOPLE))
    outcomes = send(connect(esp_account(name)), PEOPLE)
    assert {each.fate for each in outcomes.values()} == {Fate.DEFERRED}
    assert not any(each.throttled for each in outcomes.values())


@pytest.mark.parametrize("name", ESPS)
def test_a_wrong_key_stops_the_account(fake_esp, esp_account, name):
    fake_esp.account(name).key = "another"
    outcomes = send(connect(esp_account(name)), PEOPLE[:2])
    assert {each.fate for each in outcomes.values()} == {Fate.ACCOUNT_STOPPED}


@pytest.mark.parametrize("name", ESPS)
def test_a_sender_that_is_not_verified_is_refused_and_the_account_is_not(fake_esp, esp_account, name):
    fake_esp.account(name).domains = {"elsewhere.example"}
    outcomes = send(
        connect(esp_account(name, **({"sender_domain": ""} if name == "mailgun" else {}))), PEOPLE[:2]
    )
    assert {each.fate for each in outcomes.values()} == {Fate.SENDER_REFUSED}
    assert fake_esp.recipient_count == 0


@pytest.mark.parametrize(
    "plan", [Plan(answer="none"), Plan(answer="half")], ids=["silence", "half an answer"]
)
@pytest.mark.parametrize("name", [name for name in ESPS if name not in WITH_KEYS])
def test_what_was_taken_without_an_answer_is_in_doubt(fake_esp, esp_account, impatience, name, plan):
    fake_esp.plan(plan)
    people = PEOPLE if name in MANY else PEOPLE[:1]
    connection = connect(esp_account(name))
    outcomes = send(connection, people)
    assert {each.fate for each in outcomes.values()} == {Fate.IN_DOUBT}
    assert not connection.usable
    assert fake_esp.recipient_count == len(people), "they were sent, once"


@pytest.mark.parametrize(
    "plan", [Plan(answer="none"), Plan(answer="half")], ids=["silence", "half an answer"]
)
@pytest.mark.parametrize("name", WITH_KEYS)
def test_with_a_key_the_call_is_repeated_and_nobody_gets_two(fake_esp, esp_account, impatience, name, plan):
    fake_esp.plan(plan)
    outcomes = send(connect(esp_account(name)), PEOPLE)
    assert {each.fate for each in outcomes.values()} == {Fate.ACCEPTED}
    assert (fake_esp.call_count, fake_esp.recipient_count) == (2, len(PEOPLE))
    assert set(fake_esp.counts.values()) == {1}


@pytest.mark.parametrize("status", [500, 502, 504, 524])
@pytest.mark.parametrize("name", ESPS)
def test_an_error_behind_a_call_that_was_taken_makes_no_second_copy(fake_esp, esp_account, name, status):
    """A gateway has handed the call over before it gives up, and an API may fail when it is half through."""
    fake_esp.plan(Plan(says=Answer(status, "<html>Gateway</html>")))
    people = PEOPLE if name in MANY else PEOPLE[:1]
    outcomes = send(connect(esp_account(name)), people)
    fates = {each.fate for each in outcomes.values()}
    assert fates == ({Fate.ACCEPTED} if name in WITH_KEYS else {Fate.IN_DOUBT})
    assert fake_esp.recipient_count == len(people)
    assert set(fake_esp.counts.values()) == {1}


@pytest.mark.parametrize("drop", ["before", "body"])
@pytest.mark.parametrize("name", ESPS)
def test_a_dropped_connection_leaves_nobody_sure(fake_esp, esp_account, name, drop):
    """The ESP took nothing, which only it knows: but a key makes sure, and the call is repeated."""
    fake_esp.plan(Plan(drop=drop))
    outcomes = send(connect(esp_account(name)), PEOPLE if name in MANY else PEOPLE[:1])
    fates = {each.fate for each in outcomes.values()}
    assert fates == ({Fate.ACCEPTED} if name in WITH_KEYS else {Fate.IN_DOUBT})
    assert not set(fake_esp.counts.values()) - {1}


@pytest.mark.parametrize("name", ESPS)
def test_a_connection_that_the_esp_closes_when_idle_costs_nothing(fake_esp, esp_account, monkeypatch, name):
    monkeypatch.setattr(esp, "IDLE_SECONDS", 0.05)
    fake_esp.idle_seconds = 0.1
    connection = connect(esp_account(name))
    for person in PEOPLE[:2]:
        assert send(connection, [person])[person.email].fate is Fate.ACCEPTED
        time.sleep(0.12)
    assert fake_esp.connection_count == 2
    assert connection.usable


# ---- Some of them refused --------------------------------------------------------------------------------------

# How each treats an address that it will not write to: names it in the answer, refuses the whole call, takes it and
# tells of it later.
NAMED = ["amazon_ses", "mailtrap", "mandrill", "postmark", "unisender_go"]
SUPPRESSED = {"amazon_ses", "mandrill", "postmark", "unisender_go"}  # told at once; elsewhere by an event


@pytest.mark.parametrize("name", MANY)
def test_a_suppressed_address_is_its_own_matter(fake_esp, esp_account, name):
    fake_esp.account(name).refused["mia@example.com"] = "suppressed"
    outcomes = send(connect(esp_account(name)), PEOPLE)
    refused = outcomes.pop("mia@example.com")
    assert refused.fate is (Fate.REJECTED if name in SUPPRESSED else Fate.ACCEPTED)
    assert {each.fate for each in outcomes.values()} == {Fate.ACCEPTED}
    assert fake_esp.recipient_count == len(PEOPLE) - 1


@pytest.mark.parametrize("name", MANY)
def test_a_bad_address_never_takes_others_with_it_for_good(fake_esp, esp_account, name):
    """Where the call is refused as one, that is said, so that it can be cut in two; else the others went out."""
    fake_esp.account(name).refused["mia@example.com"] = "invalid"
    connection = connect(esp_account(name))
    mold = Mold(CONTENT, FRAME, is_plain=True)
    answer = connection.send_letters(mold.skeleton, list(map(mold.letter, PEOPLE)), key=uuid.uuid4())
    if fake_esp.recipient_count == 0:
        assert answer.is_refused
        assert {each.fate for each in answer.outcomes} == {Fate.REJECTED}
        return
    fates = [each.fate for each in answer.outcomes]
    assert fake_esp.recipient_count == len(PEOPLE) - 1
    assert not answer.is_refused
    told = name != "sparkpost"  # which only counts them
    assert fates == [Fate.ACCEPTED, Fate.REJECTED if told else Fate.ACCEPTED, *[Fate.ACCEPTED] * 3]
