"""The fake does what a provider does: it takes, refuses, delays and breaks down, each in its own words."""

import base64
import copy
import json
import subprocess
import sys
import time

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.at_once import beside, until
from tests.fake_esp import webhooks
from tests.fake_esp.asking import EVE, HTML, KEYS, PATHS, TEXT, a_call, ask, basic
from tests.fake_esp.batches import BATCHES
from tests.fake_esp.messages import Message
from tests.fake_esp.server import BEGINNINGS, Plan

ALL = sorted(BEGINNINGS)


@pytest.mark.parametrize("dialect", ALL)
def test_each_takes_the_message_of_its_documents(fake_esp, dialect):
    answer = ask(fake_esp, dialect, a_call(dialect))
    assert answer.status_code in (200, 201, 202), answer.text
    message = fake_esp.message_to(EVE)
    assert (message.dialect, message.sender, message.subject) == (dialect, "news@acme.example", "Hi")
    assert (message.html, message.text) == (HTML, TEXT)
    assert message.id
    assert fake_esp.recipient_count == fake_esp.counts[EVE] == 1


@pytest.mark.parametrize("dialect", ALL)
def test_each_refuses_a_wrong_key(fake_esp, dialect):
    fake_esp.account(dialect).key = "another"
    answer = ask(fake_esp, dialect, a_call(dialect))
    assert answer.status_code in (401, 403) or "key" in answer.text.lower() or "token" in answer.text.lower()
    assert fake_esp.recipient_count == 0


@pytest.mark.parametrize("dialect", ALL)
def test_each_refuses_a_sender_that_is_not_verified(fake_esp, dialect):
    fake_esp.account(dialect).domains = {"elsewhere.example"}
    answer = ask(fake_esp, dialect, a_call(dialect))
    assert fake_esp.recipient_count == 0
    assert answer.status_code >= 400 or dialect in ("mandrill", "postal")


@pytest.mark.parametrize("dialect", ALL)
def test_each_refuses_what_is_no_address(fake_esp, dialect):
    ask(fake_esp, dialect, a_call(dialect, to="eve at example"))
    ask(fake_esp, dialect, a_call(dialect, to="jürgen@example.com"))
    assert fake_esp.recipient_count == 0


@pytest.mark.parametrize("dialect", [each for each in ALL if each != "mailgun"])
def test_each_refuses_what_is_no_json(fake_esp, dialect):
    answer = ask(fake_esp, dialect, b"{")
    assert answer.status_code >= 400 or "JSON" in answer.text
    assert fake_esp.call_count == 1


@pytest.mark.parametrize(
    "dialect", [each for each in ALL if each not in ("amazon_ses", "mailgun", "mailjet")]
)
def test_each_refuses_a_field_that_no_document_knows(fake_esp, dialect):
    call = a_call(dialect)
    inner = call.get("message", call)
    inner["strange"] = 1
    ask(fake_esp, dialect, call)
    assert fake_esp.recipient_count == 0


def changed(dialect, *path, to):
    """The call with one value in it another, or none."""
    call = copy.deepcopy(a_call(dialect))
    place = call
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return call


def many(count, person=lambda address: {"email": address}):
    return [person(f"eve{index}@example.com") for index in range(count)]


PERSONALIZATIONS = [{"to": [each]} for each in many(1001)]
# dialect, path, call, status, words of its answer
REFUSALS = [
    ("sendgrid", "", changed("sendgrid", "content", to=[]), 400, "content"),
    ("sendgrid", "", changed("sendgrid", "content", 0, "value", to=""), 400, "one character"),
    ("sendgrid", "", changed("sendgrid", "subject", to=""), 400, "subject"),
    ("sendgrid", "", changed("sendgrid", "personalizations", to=[]), 400, "personalizations"),
    ("sendgrid", "", changed("sendgrid", "personalizations", to=PERSONALIZATIONS), 400, "1000"),
    ("sendgrid", "", changed("sendgrid", "personalizations", 0, "to", to=many(1) * 2), 400, "unique"),
    ("sendgrid", "", changed("sendgrid", "personalizations", 0, "custom_args", to={"a": 1}), 400, "Bad Request"),
    ("sendgrid", "", changed("sendgrid", "personalizations", 0, "substitutions", to={"-a-": "x" * 10000}), 400, "10000"),
    ("sendgrid", "", changed("sendgrid", "personalizations", 0, "headers", to={"Reply-To": "x"}), 400, "reserved"),
    ("sendgrid", "", changed("sendgrid", "categories", to=[str(n) for n in range(11)]), 400, "10 unique"),
    ("mailgun", "", changed("mailgun", "to", to=many(1001, str)), 400, "1000"),
    ("mailgun", "", changed("mailgun", "html", to="") | {"text": ""}, 400, "at least one"),
    ("mailgun", "", a_call("mailgun", **{"v:a": "x" * 16384}), 400, "16KB"),
    ("mailgun", "", a_call("mailgun", **{"recipient-variables": "{"}), 400, "JSON"),
    ("mailgun", "", a_call("mailgun", **{"o:tracking-opens": "perhaps"}), 400, "valid option"),
    ("postmark", "", a_call("postmark", HtmlBody="", TextBody=""), 422, "TextBody or HtmlBody"),
    ("postmark", "", a_call("postmark", Metadata={"a" * 21: "x"}), 422, "20 characters"),
    ("postmark", "", a_call("postmark", Metadata={"a": "x" * 81}), 422, "80 characters"),
    ("postmark", "", a_call("postmark", MessageStream="unknown"), 422, "does not exist"),
    ("postmark", "", a_call("postmark", To=", ".join(many(51, str))), 422, "50"),
    ("postmark", "email/batch", [a_call("postmark")] * 501, 422, "500"),
    ("brevo", "", a_call("brevo", htmlContent="", textContent=""), 400, "missing"),
    ("brevo", "", a_call("brevo", headers={"X-Name": "Jürgen"}), 400, "ASCII"),
    ("brevo", "", a_call("brevo", messageVersions=[{"to": many(1)}]), 400, "exclude"),
    ("mailjet", "", changed("mailjet", "Messages", to=[{"To": [{"Email": EVE}]}] * 51), 400, "50"),
    ("mailjet", "", changed("mailjet", "Globals", "Headers", to={"List-Id": "<x>"}), 400, "List-Id"),
    ("mailjet", "", changed("mailjet", "Globals", "TrackOpens", to="no"), 400, "not allowed"),
    ("sparkpost", "", changed("sparkpost", "content", "subject", to=""), 422, "subject"),
    ("sparkpost", "", changed("sparkpost", "content", "html", to="{{#if"), 422, "syntax error"),
    ("sparkpost", "", changed("sparkpost", "recipients", 0, "metadata", to={"a": "x" * 1000}), 422, "1000 bytes"),
    ("sparkpost", "", a_call("sparkpost", campaign_id="x" * 65), 422, "64 bytes"),
    ("resend", "", a_call("resend", subject=""), 422, "subject"),
    ("resend", "", changed("resend", "to", to=many(51, str)), 422, "50"),
    ("resend", "emails/batch", [a_call("resend")] * 101, 422, "100"),
    ("resend", "emails/batch", [a_call("resend", attachments=[])], 422, "attachments"),
    ("mailersend", "", a_call("mailersend", headers=[]), 422, "plan"),
    ("mailersend", "bulk-email", [a_call("mailersend")] * 501, 422, "500"),
    ("mailtrap", "batch", {"base": a_call("mailtrap"), "requests": [{}] * 501}, 400, "500"),
    ("mailtrap", "", a_call("mailtrap", custom_variables={"a": "x" * 1000}), 400, "1000"),
    ("mandrill", "", changed("mandrill", "message", "headers", to={"X-Number": 1}), 500, "strings"),
    ("unisender_go", "", changed("unisender_go", "message", "recipients", to=many(501)), 400, "500"),
    ("postal", "", changed("postal", "to", to=many(51, str)), 200, "TooManyToAddresses"),
    ("scaleway", "", a_call("scaleway", project_id=""), 400, "project_id"),
    ("amazon_ses", "", a_call("amazon_ses", Destination={"ToAddresses": many(51, str)}), 400, "50"),
    ("amazon_ses", "", a_call("amazon_ses", Content={"Raw": {"Data": "!"}}), 400, "base64"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "path", "call", "status", "words"), REFUSALS)
def test_what_the_documents_forbid_is_refused(fake_esp, dialect, path, call, status, words):
    answer = ask(fake_esp, dialect, call, path)
    assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert fake_esp.recipient_count == 0


def test_sigv4_is_looked_at(fake_esp):
    answer = ask(
        fake_esp, "amazon_ses", a_call("amazon_ses"), headers={"Authorization": "AWS4-HMAC-SHA256 no"}
    )
    assert answer.status_code == 403
    answer = ask(fake_esp, "amazon_ses", a_call("amazon_ses"), headers={"X-Amz-Date": "20200101T000000Z"})
    assert "expired" in answer.text


# ---- Many in one call ------------------------------------------------------------------------------------------

TRICKY = '<b>&"{{name}}%recipient.x%'


ESCAPED = "&lt;b&gt;&amp;&quot;{{name}}%recipient.x%"
# dialect, what stands for x in HTML, what in the subject, what becomes of TRICKY in HTML
PLACEHOLDERS = [
    ("mailgun", "%recipient.x%", "%recipient.x%", TRICKY),
    ("sendgrid", "-x-", "-x-", TRICKY),
    ("sparkpost", "{{x}}", "{{x}}", ESCAPED),
    ("sparkpost", "{{{ x }}}", "{{{x}}}", TRICKY),
    ("postmark", "{{x}}", "{{x}}", ESCAPED),
    ("postmark", "{{{x}}}", "{{x}}", TRICKY),
    ("amazon_ses", "{{x}}", "{{x}}", TRICKY),
    ("amazon_ses", "{{{x}}}", "{{{x}}}", TRICKY),
    ("mandrill", "*|X|*", "*|x|*", TRICKY),
    ("mandrill", "*|HTML:X|*", "*|x|*", ESCAPED),
    ("mailjet", "{{var:x}}", "{{var:x}}", TRICKY),
    ("mailersend", "{{ x }}", "{{x}}", TRICKY),
    ("brevo", "{{params.x}}", "{{ params.x }}", TRICKY),
    ("unisender_go", "{{x}}", "{{x}}", TRICKY),
]


@pytest.mark.parametrize(("dialect", "in_html", "in_subject", "expected"), PLACEHOLDERS)
def test_placeholders_are_filled_in_as_the_provider_does(fake_esp, dialect, in_html, in_subject, expected):
    values = {"eve@example.com": {"x": TRICKY}, "mia@example.com": {"x": "Mia"}}
    path, call = BATCHES[dialect](f"<p>Dear {in_html}!</p>", f"Hi {in_subject}", values)
    answer = ask(fake_esp, dialect, call, path)
    assert answer.ok, answer.text
    eve, mia = fake_esp.messages
    assert (eve.to, eve.subject, eve.html) == ("eve@example.com", f"Hi {TRICKY}", f"<p>Dear {expected}!</p>")
    assert (mia.to, mia.subject, mia.html) == ("mia@example.com", "Hi Mia", "<p>Dear Mia!</p>")
    assert [each.options["to"] for each in (eve, mia)] == [[eve.to], [mia.to]], "neither sees the other"


@pytest.mark.parametrize(
    ("dialect", "template"),
    [row[:2] for row in PLACEHOLDERS if row[0] != "sendgrid" and "HTML:" not in row[1]],
)
def test_a_placeholder_that_somebody_has_no_value_for_is_noticed(fake_esp, dialect, template):
    values = {"eve@example.com": {"x": "Eve"}, "mia@example.com": {"y": "Mia"}}
    ask(fake_esp, dialect, *reversed(BATCHES[dialect](template, "Hi", values)))
    assert {each.lower() for each in fake_esp.unfilled} == {"x"}
    fake_esp.unfilled.clear()


@pytest.mark.parametrize("dialect", ["sparkpost", "amazon_ses", "postmark"])
def test_braces_that_nobody_escaped_are_refused(fake_esp, dialect):
    values = {"eve@example.com": {"x": "Eve"}}
    answer = ask(fake_esp, dialect, *reversed(BATCHES[dialect]("<p>{{ user name }}</p>", "Hi", values)))
    assert answer.status_code in (400, 422)


def test_sparkpost_has_macros_for_braces(fake_esp):
    literal = "{{opening_double_curly()}}name{{ closing_double_curly() }}"
    values = {"eve@example.com": {"x": "Eve"}}
    ask(fake_esp, "sparkpost", *reversed(BATCHES["sparkpost"](literal + "{{x}}", "Hi", values)))
    assert fake_esp.message_to(EVE).html == "{{name}}Eve"


def test_of_mailgun_without_variables_everybody_sees_everybody(fake_esp):
    ask(fake_esp, "mailgun", a_call("mailgun", to=EVE) | {"to": ["eve@example.com", "mia@example.com"]})
    assert fake_esp.message_to(EVE).options["to"] == ["eve@example.com", "mia@example.com"]


def test_a_form_may_have_either_encoding(fake_esp):
    fields = {**a_call("mailgun", subject="Grüße = 100 % + „mehr“\nzwei"), "h:X-Tab": "a\tb "}
    ask(fake_esp, "mailgun", fields)
    files = [(name, (None, value if isinstance(value, str) else value[0])) for name, value in fields.items()]
    requests.post(
        fake_esp.url("mailgun") + PATHS["mailgun"], files=files, headers=basic("api", "k"), timeout=5
    )
    assert len({(each.subject, each.html, each.headers["X-Tab"]) for each in fake_esp.messages}) == 1
    assert fake_esp.messages[1].subject == fields["subject"]
    assert fake_esp.messages[1].headers["X-Tab"] == "a\tb "


# ---- Some of them refused --------------------------------------------------------------------------------------


def test_postmark_answers_for_each_message_within_a_200(fake_esp):
    fake_esp.account("postmark").refused["mia@example.com"] = "suppressed"
    batch = [a_call("postmark", to=each) for each in (EVE, "Mia@example.com", "nobody")]
    answers = ask(fake_esp, "postmark", batch, "email/batch").json()
    assert [each["ErrorCode"] for each in answers] == [0, 406, 300]
    assert "inactive addresses: mia@example.com." in answers[1]["Message"]
    assert [each.to for each in fake_esp.messages] == [EVE]
    assert fake_esp.calls[0].refused == {"Mia@example.com": "suppressed", "nobody": "invalid"}


def test_mailjet_sends_the_good_ones_of_a_400(fake_esp):
    messages = [{"To": [{"Email": each}]} for each in (EVE, "nobody")]
    answer = ask(fake_esp, "mailjet", changed("mailjet", "Messages", to=messages))
    assert (answer.status_code, [each["Status"] for each in answer.json()["Messages"]]) == (
        400,
        ["success", "error"],
    )
    assert [each.to for each in fake_esp.messages] == [EVE]


def test_ses_answers_for_each_entry_of_a_bulk(fake_esp):
    fake_esp.account("amazon_ses").refused[EVE] = "suppressed"
    values = {EVE: {"x": "Eve"}, "nobody": {"x": "N"}, "mia@example.com": {"x": "Mia"}}
    answer = ask(fake_esp, "amazon_ses", *reversed(BATCHES["amazon_ses"]("{{x}}", "Hi", values)))
    told = [each["Status"] for each in answer.json()["BulkEmailEntryResults"]]
    assert told == ["MESSAGE_REJECTED", "INVALID_PARAMETER", "SUCCESS"]
    assert [each.html for each in fake_esp.messages] == ["Mia"]


def test_sparkpost_only_counts_the_bad_ones(fake_esp):
    people = [{"address": {"email": each}} for each in (EVE, "nobody")]
    results = ask(fake_esp, "sparkpost", changed("sparkpost", "recipients", to=people)).json()["results"]
    assert (results["total_accepted_recipients"], results["total_rejected_recipients"]) == (1, 1)


def test_one_bad_address_fails_resends_whole_batch_but_a_permissive_one(fake_esp):
    batch = [a_call("resend", to=each) for each in (EVE, "nobody")]
    assert ask(fake_esp, "resend", batch, "emails/batch").status_code == 422
    assert fake_esp.recipient_count == 0
    answer = ask(fake_esp, "resend", batch, "emails/batch", headers={"x-batch-validation": "permissive"})
    assert (len(answer.json()["data"]), answer.json()["errors"][0]["index"]) == (1, 1)


def test_mandrill_mailtrap_and_unisender_say_for_each(fake_esp):
    for dialect in ("mandrill", "mailtrap", "unisender_go"):
        fake_esp.account(dialect).refused["mia@example.com"] = "suppressed"
    people = [{"email": each} for each in (EVE, "mia@example.com", "nobody")]
    told = ask(fake_esp, "mandrill", changed("mandrill", "message", "to", to=people)).json()
    assert [each["status"] for each in told] == ["sent", "rejected", "invalid"]
    batch = {"base": a_call("mailtrap"), "requests": [{"to": [each]} for each in people]}
    told = ask(fake_esp, "mailtrap", batch, "batch").json()["responses"]
    assert [each["success"] for each in told] == [True, True, False]
    told = ask(fake_esp, "unisender_go", changed("unisender_go", "message", "recipients", to=people)).json()
    assert told["failed_emails"] == {"mia@example.com": "permanent_unavailable", "nobody": "invalid"}
    assert fake_esp.recipient_count == 3


def test_mailersend_tells_of_a_bulk_later(fake_esp):
    batch = [a_call("mailersend", to=each) for each in (EVE, "nobody")]
    job = ask(fake_esp, "mailersend", batch, "bulk-email").json()["bulk_email_id"]
    url = f"{fake_esp.url('mailersend')}bulk-email/{job}"
    told = requests.get(url, headers=KEYS["mailersend"], timeout=5).json()["data"]
    assert (told["state"], told["validation_errors_count"]) == ("completed", 1)
    assert told["messages_id"] == [fake_esp.message_to(EVE).id]


@pytest.mark.parametrize("dialect", ALL)
def test_all_refused_takes_nobody(fake_esp, dialect):
    fake_esp.account(dialect).refused[EVE] = "suppressed"
    ask(fake_esp, dialect, a_call(dialect))
    assert (fake_esp.messages, fake_esp.calls[0].refused) == (
        [],
        {EVE: "permanent_unavailable" if dialect == "unisender_go" else "suppressed"},
    )


# ---- Idempotency -----------------------------------------------------------------------------------------------


def test_brevo_and_resend_honour_idempotency_keys(fake_esp):
    def brevo(**more):
        return ask(fake_esp, "brevo", a_call("brevo", headers={"idempotencyKey": "k-1"}, **more))

    def resend(**more):
        return ask(fake_esp, "resend", a_call("resend", **more), headers={"Idempotency-Key": "k-1"})

    for send, conflict in ((brevo, 400), (resend, 409)):
        first, again, other = send(), send(), send(subject="Other")
        assert (first.text, other.status_code) == (again.text, conflict)
    assert fake_esp.recipient_count == 2
    assert "idempotencyKey" not in fake_esp.messages[0].headers


# ---- Plans -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dialect", ALL)
def test_too_many_and_out_of_order_are_said_in_its_own_words(fake_esp, dialect):
    fake_esp.plan(Plan(status=429, retry_after=7), Plan(status=503))
    first, second = (ask(fake_esp, dialect, a_call(dialect)) for _ in range(2))
    assert (first.status_code, second.status_code, fake_esp.recipient_count) == (429, 503, 0)
    names = {"brevo": "x-sib-ratelimit-reset", "sendgrid": "X-RateLimit-Reset", "resend": "ratelimit-reset"}
    silent = ("amazon_ses", "mandrill", "postal", "postmark")
    assert (names.get(dialect, "Retry-After") in first.headers) is (dialect not in silent)
    assert ask(fake_esp, dialect, a_call(dialect)).ok, "the plan was for two calls"


def test_a_plan_may_be_for_one_dialect(fake_esp):
    fake_esp.plan(Plan(status=500), dialect="mailgun")
    assert ask(fake_esp, "postmark", a_call("postmark")).ok
    assert ask(fake_esp, "mailgun", a_call("mailgun")).status_code == 500


def test_it_answers_late(fake_esp):
    fake_esp.plan(Plan(delay=0.2))
    began = time.monotonic()
    assert ask(fake_esp, "postmark", a_call("postmark")).ok
    assert time.monotonic() - began >= 0.2


def test_it_takes_and_then_says_nothing(fake_esp):
    fake_esp.plan(Plan(answer="none"))
    with pytest.raises(requests.ReadTimeout):
        ask(fake_esp, "postmark", a_call("postmark"), timeout=0.3)
    until(lambda: fake_esp.messages)
    assert fake_esp.message_to(EVE)


def test_it_takes_and_resets_in_mid_answer(fake_esp):
    fake_esp.plan(Plan(answer="half"))
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(fake_esp, "postmark", a_call("postmark"))
    assert fake_esp.message_to(EVE)


@pytest.mark.parametrize("when", ["before", "body"])
def test_it_drops_the_connection_and_takes_nothing(fake_esp, when):
    fake_esp.plan(Plan(drop=when))
    with pytest.raises(requests.ConnectionError):
        ask(fake_esp, "postmark", a_call("postmark", HtmlBody="x" * 3_000_000))
    assert (fake_esp.call_count, fake_esp.recipient_count) == (0, 0)
    assert ask(fake_esp, "postmark", a_call("postmark")).ok


def test_a_kept_connection_is_one_connection(fake_esp):
    with requests.Session() as session:
        for _ in range(3):
            url = fake_esp.url("postmark") + "email"
            assert session.post(url, json=a_call("postmark"), headers=KEYS["postmark"], timeout=5).ok
    assert (fake_esp.connection_count, len(fake_esp.messages)) == (1, 3)


def test_many_connections_at_once_are_answered_side_by_side(fake_esp):
    fake_esp.delay = 0.5
    began = time.monotonic()
    for each in [beside(ask, fake_esp, "postmark", a_call("postmark")) for _ in range(10)]:
        assert each.result(10).ok
    assert time.monotonic() - began < 4, "not one after the other"
    assert fake_esp.recipient_count == 10


def test_it_counts_and_another_process_may_ask(fake_esp):
    fake_esp.keeps = False
    ask(fake_esp, "postmark", a_call("postmark"))
    told = requests.get(f"http://127.0.0.1:{fake_esp.port}/", timeout=5).json()
    assert (told["calls"], told["recipients"], fake_esp.calls) == (1, 1, [])


def test_it_runs_in_a_process_of_its_own():
    command = [sys.executable, "-m", "tests.fake_esp", "--delay", "0.01"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        answer = requests.post(
            url + "postmark/email", json=a_call("postmark"), headers=KEYS["postmark"], timeout=5
        )
        process.terminate()
        counted = json.loads(process.stdout.readline())
    assert answer.ok
    assert counted["recipients"] == 1


# ---- Webhooks --------------------------------------------------------------------------------------------------


def test_events_come_of_the_messages_that_were_taken(fake_esp):
    heard = []
    key = webhooks.new_key("sendgrid")
    fake_esp.webhooks("sendgrid", heard.append, key, twice=True, shuffles=True)
    personalization = {"to": [{"email": EVE}], "custom_args": {"volley": "7-5"}}
    ask(fake_esp, "sendgrid", a_call("sendgrid", personalizations=[personalization]))
    assert fake_esp.tell("sendgrid", "delivered", "opened", "clicked") == 1
    told = json.loads(heard[0].body)
    assert sorted(each["event"] for each in told) == [
        "click",
        "click",
        "delivered",
        "delivered",
        "open",
        "open",
    ]
    assert len({each["sg_event_id"] for each in told}) == 3, "what comes twice keeps its name"
    assert {(each["email"], each["volley"]) for each in told} == {(EVE, "7-5")}
    assert [each["event"] for each in told] != sorted(each["event"] for each in told)


def test_events_may_come_before_the_answer(fake_esp):
    order = []
    fake_esp.webhooks(
        "mailgun",
        lambda post: (time.sleep(0.1), order.append("event")),
        webhooks.new_key("mailgun"),
        when="before",
    )
    ask(fake_esp, "mailgun", a_call("mailgun"))
    order.append("answer")
    assert order == ["event", "answer"]


def test_events_go_to_an_address(fake_esp):
    teller = fake_esp.webhooks("postmark", fake_esp.url("resend"), webhooks.new_key("postmark"))
    ask(fake_esp, "postmark", a_call("postmark"))
    fake_esp.tell("postmark", "bounced")
    assert teller.statuses == [401], "whatever is there"


def test_sns_certificate_is_served(fake_esp):
    key = webhooks.new_key("amazon_ses")
    answer = requests.get(fake_esp.url("amazon_ses") + "SimpleNotificationService-fake.pem", timeout=5)
    assert answer.content == key.certificate
    certificate = x509.load_pem_x509_certificate(answer.content)
    [post] = webhooks.posts("amazon_ses", [webhooks.event("opened", Message("amazon_ses", "m-1", EVE))], key)
    told = json.loads(post.body)
    names = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")
    signed = "".join(f"{name}\n{told[name]}\n" for name in names).encode()
    certificate.public_key().verify(
        base64.b64decode(told["Signature"]), signed, padding.PKCS1v15(), hashes.SHA1()
    )
