"""Every ESP takes a finished message through one door, and its answers become outcomes in its own words."""

# ruff: noqa: E501  (a table of answers is read by its rows)

import base64
import email
import email.policy
import json
import urllib.parse

import pytest

from delivery.content import Content
from delivery.links import unsubscribe_token
from delivery.pipeline.mold import Frame, Mold, Recipient
from delivery.providers import PROVIDERS
from delivery.transports import connect
from delivery.transports.base import CannotConnect, Fate, Message
from tests.builders import an_account
from tests.delivery.servers import a_free_port, an_esp

ESPS = [provider for provider in PROVIDERS.values() if provider.is_esp]
SENT = {
    "To": "eve@example.com",
    "SubmittedAt": "2026-01-01T00:00:00Z",
    "MessageID": "pm-1",
    "ErrorCode": 0,
    "Message": "OK",
}
# What each answers to a message that it takes: its own documented answer.
TAKEN = {
    "amazon_ses": ({"MessageId": "ses-1"}, {}, "ses-1"),
    "brevo": ({"messageId": "<b-1@brevo>"}, {}, "<b-1@brevo>"),
    "mailersend": ("", {"X-Message-Id": "ms-1", "Content-Type": "text/html"}, "ms-1"),
    "mailgun": ({"id": "<mg-1@acme.example>", "message": "Queued. Thank you."}, {}, "<mg-1@acme.example>"),
    "mailjet": (
        {
            "Messages": [
                {
                    "Status": "success",
                    "To": [{"Email": "eve@example.com", "MessageID": 11}],
                    "Cc": [],
                    "Bcc": [],
                }
            ]
        },
        {},
        "11",
    ),
    "mailtrap": ({"success": True, "message_ids": ["mt-1"]}, {}, "mt-1"),
    "mandrill": ([{"email": "eve@example.com", "status": "sent", "_id": "md-1"}], {}, "md-1"),
    "postal": (
        {"status": "success", "data": {"messages": {"eve@example.com": {"id": 5, "token": "t"}}}},
        {},
        "5",
    ),
    "postmark": (SENT, {}, "pm-1"),
    "resend": ({"id": "re-1"}, {}, "re-1"),
    "scaleway": (
        {"emails": [{"id": "sw-1", "mail_rcpt": "eve@example.com", "status": "sending"}]},
        {},
        "sw-1",
    ),
    "sendgrid": ("", {"X-Message-Id": "sg-1"}, None),  # anymail makes the id
    "sparkpost": (
        {"results": {"total_accepted_recipients": 1, "total_rejected_recipients": 0, "id": "sp-1"}},
        {},
        "sp-1",
    ),
    "unisender_go": ({"status": "success", "job_id": "ug-1", "emails": ["eve@example.com"]}, {}, None),
}


@pytest.fixture
def esp():
    with an_esp() as server:
        yield server


def an_esp_account(workspace, esp, provider="postmark", **settings):
    """An account with every field of the provider filled in, at the test's server."""
    fields = PROVIDERS[provider].fields
    given = {
        field.name: field.initial or f"a-{field.name}"
        for field in fields
        if not field.secret and field.kind != "boolean"
    }
    return an_account(
        workspace,
        provider=provider,
        settings={**given, "api_url": esp.url, "region": "eu-west-1", **settings}
        if any(field.name == "region" for field in fields)
        else {**given, "api_url": esp.url, **settings},
        secrets={field.name: f"s-{field.name}" for field in fields if field.secret},
    )


def a_message(to="eve@example.com", *, first_name="Eve", subject="Grüße, {{ contact.first_name }}"):
    content = Content(
        subject,
        "<p>Hällo {{ contact.name }}</p>",
        "Hällo",
        "Müller & Co.",
        "news@acme.example",
        "desk@acme.example",
    )
    mold = Mold(content, Frame(7, 3, "Acme", "1 High Street", "Spring"))
    return Message(mold.sender, to, mold.pieces(Recipient(5, to, first_name, "Smith")))


def test_every_esp_has_a_documented_answer_here():
    assert set(TAKEN) == {provider.name for provider in ESPS}


@pytest.mark.parametrize("provider", ESPS, ids=lambda provider: provider.name)
def test_every_esp_takes_a_message_over_a_kept_session(workspace, esp, provider):
    body, headers, expected_id = TAKEN[provider.name]
    esp.answers.append((200 if provider.name != "sendgrid" else 202, headers, body))
    connection = connect(an_esp_account(workspace, esp, provider.name))
    outcomes = [connection.send(a_message()) for _ in range(3)]
    connection.close()
    assert {outcome.fate for outcome in outcomes} == {Fate.ACCEPTED}, outcomes
    assert outcomes[0].provider_id == expected_id if expected_id else outcomes[0].provider_id
    assert len(esp.requests) == 3
    assert len(esp.connections) == 1, "one connection for all three"


@pytest.mark.parametrize("provider", ESPS, ids=lambda provider: provider.name)
def test_a_wrong_key_stops_the_account_at_every_esp(workspace, esp, provider):
    esp.answer(401, {"message": "The key is wrong."})
    outcome = connect(an_esp_account(workspace, esp, provider.name)).send(a_message())
    assert outcome.fate is Fate.ACCOUNT_STOPPED
    assert "The key is wrong." in outcome.server_said or provider.name == "amazon_ses"


def test_postmark_gets_the_message_as_it_was_made(workspace, esp):
    esp.answer(200, SENT)
    connect(an_esp_account(workspace, esp)).send(a_message())
    sent = json.loads(esp.requests[0]["body"])
    assert esp.requests[0]["headers"]["X-Postmark-Server-Token"] == "s-server_token"
    assert sent["Subject"] == "Grüße, Eve"
    assert sent["From"] == '"Müller & Co." <news@acme.example>'
    assert sent["To"] == "Eve Smith <eve@example.com>"
    assert sent["ReplyTo"] == "desk@acme.example"
    assert sent["HtmlBody"].strip() == "<p>Hällo Eve Smith</p>"
    assert sent["TextBody"].strip() == "Hällo"
    assert sent["MessageStream"] == "broadcast"
    assert sent["TrackOpens"] is False
    assert sent["TrackLinks"] == "None"
    assert sent["Metadata"] == {"volley": "7-5"}
    headers = {each["Name"]: each["Value"] for each in sent["Headers"]}
    assert unsubscribe_token(7, 5) in headers["List-Unsubscribe"]
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["Feedback-ID"] == "7:3:campaign:volley"
    assert "Message-ID" not in headers


def test_mailgun_gets_it_as_a_form_for_its_own_domain(workspace, esp):
    esp.answer(200, TAKEN["mailgun"][0])
    connect(an_esp_account(workspace, esp, "mailgun", sender_domain="mg.acme.example")).send(a_message())
    request = esp.requests[0]
    assert request["path"] == "/mg.acme.example/messages"
    assert request["headers"]["Authorization"] == "Basic " + base64.b64encode(b"api:s-api_key").decode()
    sent = _form(request)
    assert sent["subject"] == "Grüße, Eve"
    assert sent["o:tracking-opens"] == sent["o:tracking-clicks"] == "no"
    assert sent["h:List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def _form(request):
    """A form's fields, urlencoded or multipart."""
    kind = request["headers"]["Content-Type"]
    if "multipart" not in kind:
        return dict(urllib.parse.parse_qsl(request["body"].decode()))
    parsed = email.message_from_bytes(
        b"Content-Type: " + kind.encode() + b"\r\n\r\n" + request["body"], policy=email.policy.HTTP
    )
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True).decode()
        for part in parsed.iter_parts()
    }


def test_mailersend_sends_headers_of_our_own_only_where_the_plan_allows_them(workspace, esp):
    body, headers, _ = TAKEN["mailersend"]
    esp.answers.append((202, headers, body))
    connect(an_esp_account(workspace, esp, "mailersend", own_headers=False)).send(a_message())
    connect(an_esp_account(workspace, esp, "mailersend", own_headers=True)).send(a_message())
    without, with_them = [json.loads(request["body"]) for request in esp.requests]
    assert "headers" not in without
    assert "List-Unsubscribe" in {each["name"] for each in with_them["headers"]}


# provider, status, answer, fate, words that must be kept
ANSWERS = [
    ("postmark", 422, {"ErrorCode": 406, "Message": "Found inactive addresses: eve@example.com. Inactive recipients are ones"}, Fate.REJECTED, "inactive"),
    ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'eve@example.com'."}, Fate.REJECTED, "Invalid 'To'"),
    ("postmark", 422, {"ErrorCode": 400, "Message": "The 'From' address is not a Sender Signature."}, Fate.SENDER_REFUSED, "Sender Signature"),
    ("postmark", 500, {"ErrorCode": 0, "Message": "Internal trouble"}, Fate.IN_DOUBT, "500 Internal trouble"),
    ("postmark", 503, "<html>nginx</html>", Fate.DEFERRED, "503"),
    ("sendgrid", 503, "upstream connect error or disconnect/reset before headers. reset reason: connection termination", Fate.IN_DOUBT, "503"),
    ("sendgrid", 503, "upstream connect error or disconnect/reset before headers. reset reason: connection failure", Fate.DEFERRED, "503"),
    ("mailgun", 502, "<html>Bad gateway</html>", Fate.IN_DOUBT, "No clear answer: 502"),
    ("mailgun", 520, "<html>Web server is returning an unknown error</html>", Fate.IN_DOUBT, "520"),
    ("mailgun", 523, "<html>Origin is unreachable</html>", Fate.DEFERRED, "523"),
    ("mandrill", 500, {"status": "error", "code": -99, "name": "GeneralError", "message": "An unexpected error"}, Fate.IN_DOUBT, "unexpected"),
    ("mandrill", 500, {"status": "error", "code": -99, "name": "ServiceUnavailable", "message": "Down for maintenance"}, Fate.DEFERRED, "maintenance"),
    ("postmark", 200, "no JSON at all", Fate.IN_DOUBT, "no JSON"),
    ("mailgun", 400, {"message": "'to' parameter is not a valid address. please check documentation"}, Fate.REJECTED, "not a valid address"),
    ("mailgun", 403, {"message": "Domain acme.example is not allowed to send"}, Fate.ACCOUNT_STOPPED, "not allowed"),
    ("mailgun", 403, {"message": "Domain acme.example is not allowed to send: The domain is unverified and requires DNS configuration."}, Fate.SENDER_REFUSED, "unverified"),
    ("sendgrid", 403, {"errors": [{"message": "The from address does not match a verified Sender Identity.", "field": "from"}]}, Fate.SENDER_REFUSED, "Sender Identity"),
    ("sendgrid", 403, {"errors": [{"message": "access forbidden", "field": None}]}, Fate.ACCOUNT_STOPPED, "forbidden"),
    ("postmark", 422, {"ErrorCode": 412, "Message": "While your account is pending approval, all recipients must share the same domain."}, Fate.ACCOUNT_STOPPED, "pending"),
    ("mandrill", 200, [{"email": "eve@example.com", "status": "rejected", "reject_reason": "unsigned", "_id": "1"}], Fate.SENDER_REFUSED, "unsigned"),
    ("mailgun", 404, {"message": "Domain not found: acme.example"}, Fate.SENDER_REFUSED, "Domain not found"),
    ("brevo", 400, {"code": "invalid_parameter", "message": "Sending has been rejected because the sender you used is not valid."}, Fate.SENDER_REFUSED, "sender you used"),
    ("brevo", 400, {"code": "invalid_parameter", "message": "email is not valid in to"}, Fate.REJECTED, "email is not valid"),
    ("mandrill", 500, {"status": "error", "code": -1, "name": "Invalid_Key", "message": "Invalid API key"}, Fate.ACCOUNT_STOPPED, "Invalid API key"),
    ("mandrill", 200, [{"email": "eve@example.com", "status": "rejected", "reject_reason": "hard-bounce", "_id": "1"}], Fate.REJECTED, "hard-bounce"),
    ("mailjet", 400, {"Messages": [{"Status": "error", "Errors": [{"ErrorCode": "send-0008", "ErrorMessage": "“news@acme.example” is not an authorized sender address", "ErrorRelatedTo": ["From"]}]}]}, Fate.SENDER_REFUSED, "authorized sender"),
    ("mailjet", 400, {"Messages": [{"Status": "error", "Errors": [{"ErrorCode": "mj-0013", "ErrorMessage": "“eve” is an invalid email address.", "ErrorRelatedTo": ["To[0].Email"]}]}]}, Fate.REJECTED, "invalid email"),
    ("postal", 200, {"status": "error", "data": {"code": "UnauthenticatedFromAddress", "message": "The From address is not authorised"}}, Fate.SENDER_REFUSED, "not authorised"),
    ("sparkpost", 420, {"errors": [{"message": "Exceed Sending Limit (daily)"}]}, Fate.DEFERRED, "Sending Limit"),
    ("sparkpost", 400, {"errors": [{"message": "Unconfigured Sending Domain <acme.example>", "code": "7001"}]}, Fate.SENDER_REFUSED, "Unconfigured"),
    ("unisender_go", 200, {"status": "success", "emails": [], "failed_emails": {"eve@example.com": "unsubscribed"}}, Fate.REJECTED, "unsubscribed"),
    ("unisender_go", 200, {"status": "strange"}, Fate.IN_DOUBT, "could not be read"),
    ("resend", 403, {"statusCode": 403, "name": "validation_error", "message": "The acme.example domain is not verified."}, Fate.SENDER_REFUSED, "not verified"),
    ("amazon_ses", 400, {"__type": "MessageRejected", "message": "Email address is not verified."}, Fate.SENDER_REFUSED, "not verified"),
    ("amazon_ses", 400, {"__type": "BadRequestException", "message": "Invalid domain name: ''."}, Fate.REJECTED, "Invalid domain name"),
    ("amazon_ses", 429, {"__type": "TooManyRequestsException", "message": "Rate exceeded"}, Fate.DEFERRED, "Rate exceeded"),
    ("amazon_ses", 400, {"__type": "ThrottlingException", "message": "Maximum sending rate exceeded."}, Fate.DEFERRED, "rate exceeded"),
    ("amazon_ses", 400, {"__type": "LimitExceededException", "message": "Too many instances"}, Fate.DEFERRED, "Too many"),
    ("amazon_ses", 400, {"__type": "RequestExpired", "message": "The request is too old."}, Fate.ACCOUNT_STOPPED, "too old"),
    ("amazon_ses", 400, {"__type": "MailFromDomainNotVerifiedException", "message": "It is not."}, Fate.SENDER_REFUSED, "It is not"),
    ("amazon_ses", 503, {"__type": "ServiceUnavailable", "message": "Failed"}, Fate.DEFERRED, "Failed"),
    ("amazon_ses", 500, {"__type": "InternalFailure", "message": "Failed"}, Fate.IN_DOUBT, "Failed"),
]  # fmt: skip


@pytest.mark.parametrize(("provider", "status", "answer", "fate", "words"), ANSWERS)
def test_an_answer_has_one_fate_and_keeps_its_words(workspace, esp, provider, status, answer, fate, words):
    headers = {"x-amzn-ErrorType": answer["__type"]} if provider == "amazon_ses" else {}
    esp.answers.append((status, headers, answer))
    outcome = connect(an_esp_account(workspace, esp, provider)).send(a_message())
    assert (outcome.fate, words in outcome.server_said) == (fate, True), outcome
    assert len(esp.requests) == 1, "nothing is repeated behind our back"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("17", 17),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("soon", None),
        ("999999999", 86_400),
        ("999999999999999", 86_400),
        ("Wed, 21 Oct 99999999999999 07:28:00 GMT", None),
    ],
)
def test_too_many_requests_are_deferred_for_as_long_as_it_asks(workspace, esp, header, seconds):
    esp.answer(429, {"message": "Too many"}, Retry_After=header)
    outcome = connect(an_esp_account(workspace, esp)).send(a_message())
    assert outcome.fate is Fate.DEFERRED
    assert outcome.retry_after == seconds


@pytest.mark.parametrize(
    ("words", "seconds"), [("Maximum sending rate exceeded.", None), ("Daily message quota exceeded.", 600)]
)
def test_amazon_says_too_fast_by_a_400_and_a_used_up_quota_is_asked_again_in_ten_minutes(
    workspace, esp, words, seconds
):
    esp.answers.append((400, {"x-amzn-ErrorType": "ThrottlingException"}, {"message": words}))
    outcome = connect(an_esp_account(workspace, esp, "amazon_ses")).send(a_message())
    assert (outcome.fate, outcome.throttled, outcome.retry_after) == (Fate.DEFERRED, True, seconds)


def test_a_dropped_answer_is_in_doubt_and_ends_the_connection(workspace, esp):
    esp.answer(0, "")
    connection = connect(an_esp_account(workspace, esp))
    outcome = connection.send(a_message())
    assert (outcome.fate, outcome.code, connection.usable) == (Fate.IN_DOUBT, "in doubt", False)
    assert outcome.server_said == "No answer: Remote end closed connection without response"


@pytest.mark.parametrize("provider", ["postmark", "amazon_ses"])
def test_a_closed_port_defers_without_doubt(workspace, esp, provider):
    esp.url = f"http://127.0.0.1:{a_free_port()}/"
    connection = connect(an_esp_account(workspace, esp, provider))
    outcome = connection.send(a_message())
    assert (outcome.fate, outcome.code, connection.usable) == (Fate.DEFERRED, "dropped", False)
    if provider == "postmark":
        assert outcome.server_said == "No answer: Connection refused"


def test_a_redirect_is_not_followed(workspace, esp):
    esp.answer(302, "", Location="http://169.254.169.254/latest/meta-data/")
    outcome = connect(an_esp_account(workspace, esp, "postal")).send(a_message())
    assert outcome.fate is Fate.ACCOUNT_STOPPED
    assert "redirects" in outcome.server_said


@pytest.mark.parametrize("typed", ["", "/", "/api/v1", "/api/v1/"])
def test_postal_is_found_with_and_without_the_path_of_its_api(workspace, esp, typed):
    esp.answer(200, {"status": "success", "data": {"messages": {"eve@example.com": {"id": 5, "token": "t"}}}})
    address = esp.url.rstrip("/") + typed
    outcome = connect(an_esp_account(workspace, esp, "postal", api_url=address)).send(a_message())
    assert (outcome.fate, esp.requests[-1]["path"]) == (Fate.ACCEPTED, "/api/v1/send/message")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/api",
        "http://[::ffff:169.254.169.254]/",
        "http://[64:ff9b::169.254.169.254]/",
        "http://168.63.129.16/",
        "http://2852039166/",
    ],
)
def test_the_cloud_metadata_address_is_refused(workspace, esp, url):
    with pytest.raises(CannotConnect, match="metadata"):
        connect(an_esp_account(workspace, esp, "postal", api_url=url))


def test_an_account_without_its_key_does_not_connect(workspace, esp):
    account = an_account(workspace, provider="postmark", settings={"api_url": esp.url})
    with pytest.raises(CannotConnect) as caught:
        connect(account)
    assert caught.value.outcome.fate is Fate.ACCOUNT_STOPPED


def test_secrets_under_a_lost_key_stop_the_account_in_words(workspace, esp, settings):
    account = an_esp_account(workspace, esp)
    settings.SECRET_KEY = "another"
    with pytest.raises(CannotConnect, match="Type it again"):
        connect(account)


def test_an_address_that_the_esp_cannot_take_is_rejected_alone(workspace, esp):
    esp.answer(200, TAKEN["scaleway"][0])
    connection = connect(an_esp_account(workspace, esp, "scaleway"))
    assert connection.send(a_message("jürgen@example.com")).fate is Fate.REJECTED
    assert connection.send(a_message()).fate is Fate.ACCEPTED
