"""What ESPs say at the hand-over counts for or against a person only where it is about that person."""

# ruff: noqa: E501  (a table of answers is read by its rows)

import pytest

from accounts.models import Workspace
from contacts.models import Suppression
from delivery.feedback.facts import Kind
from delivery.models import Event
from delivery.providers import PROVIDERS
from delivery.transports import connect
from delivery.transports.base import Fate
from delivery.transports.smtp_answers import Reply, outcome_of
from tests.delivery.servers import an_esp
from tests.delivery.test_esp import a_message, an_esp_account
from tests.delivery.test_pipeline import work_all

BOUNCED, SOFT, COMPLAINED, LEFT = Kind.BOUNCED, Kind.SOFT_BOUNCED, Kind.COMPLAINED, Kind.UNSUBSCRIBED
NOBODY = None


def mandrill(status, reason):
    return [{"email": "eve@example.com", "status": status, "reject_reason": reason, "_id": "1"}]


def mailersend(reason):
    people = [{"email": "eve@example.com", "name": "", "reasons": [reason]}]
    return {"message": "Warnings", "warnings": [{"type": "ALL_SUPPRESSED", "recipients": people}]}


def unisender(word):
    return {
        "status": "error",
        "code": 204,
        "message": "No valid recipients.",
        "failed_emails": {"eve@example.com": word},
    }


def mailjet(code, words, field):
    error = {"ErrorCode": code, "ErrorMessage": words, "ErrorRelatedTo": [field]}
    return {"Messages": [{"Status": "error", "Errors": [error]}]}


def sendgrid(field):
    return {"errors": [{"message": "Does not contain a valid address.", "field": field, "help": None}]}


def scaleway(argument):
    details = [{"argument_name": argument, "reason": "constraint", "help_message": "must be valid"}]
    return {"message": "invalid argument(s)", "type": "invalid_arguments", "details": details}


# provider, status, answer to a call for eve alone, what it says of her
ANSWERS = [
    ("amazon_ses", 400, {"message": "Address is on the suppression list."}, SOFT),
    ("amazon_ses", 400, {"message": "Invalid header name: unknown user."}, NOBODY),
    ("brevo", 400, {"code": "invalid_parameter", "message": "email is not valid in to"}, BOUNCED),
    ("brevo", 400, {"code": "invalid_parameter", "message": "email is not valid in replyTo"}, NOBODY),
    ("mailersend", 202, mailersend("hard_bounced"), BOUNCED),
    ("mailersend", 202, mailersend("spam_complaint"), COMPLAINED),
    ("mailersend", 202, mailersend("unsubscribed"), LEFT),
    ("mailersend", 202, mailersend("blocklisted"), SOFT),
    ("mailersend", 422, {"message": "The to.0.email must be a valid email address.", "errors": {}}, BOUNCED),
    ("mailersend", 422, {"message": "Trial accounts can only send emails to the administrator. #MS42225", "errors": {"to": []}}, NOBODY),
    ("mailgun", 400, {"message": "'to' parameter is not a valid address. please check documentation"}, BOUNCED),
    ("mailgun", 400, {"message": "'h:Reply-To' parameter is not a valid address"}, NOBODY),
    ("mailjet", 400, mailjet("mj-0013", "“eve” is an invalid email address.", "To[0].Email"), BOUNCED),
    ("mailjet", 400, mailjet("mj-0013", "“desk” is an invalid email address.", "ReplyTo.Email"), NOBODY),
    ("mailtrap", 400, {"errors": ["'to' address 'eve@example.com' is invalid"]}, BOUNCED),
    ("mailtrap", 400, {"errors": ["'subject' is invalid"]}, NOBODY),
    ("mandrill", 200, mandrill("rejected", "hard-bounce"), BOUNCED),
    ("mandrill", 200, mandrill("invalid", None), BOUNCED),
    ("mandrill", 200, mandrill("rejected", "spam"), COMPLAINED),
    ("mandrill", 200, mandrill("rejected", "unsub"), LEFT),
    ("mandrill", 200, mandrill("rejected", "custom"), SOFT),
    ("mandrill", 200, mandrill("rejected", "test-mode-limit"), NOBODY),
    ("postal", 200, {"status": "error", "data": {"code": "ValidationError", "message": "The address is not valid"}}, NOBODY),
    ("postmark", 422, {"ErrorCode": 406, "Message": "You tried to send to a recipient that has been marked as inactive. Found inactive addresses: eve@example.com. Inactive recipients are ones"}, SOFT),
    ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid 'To' address: 'eve@example.com'."}, BOUNCED),
    ("postmark", 422, {"ErrorCode": 300, "Message": "Invalid 'ReplyTo' address: 'desk'. No such user."}, NOBODY),
    ("resend", 422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field. The email address needs to follow the format."}, BOUNCED),
    ("resend", 422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `headers` field. Unknown recipient."}, NOBODY),
    ("scaleway", 400, scaleway("to"), SOFT),
    ("scaleway", 400, scaleway("additional_headers"), NOBODY),
    ("sendgrid", 400, sendgrid("personalizations.0.to.0.email"), BOUNCED),
    ("sendgrid", 400, sendgrid("reply_to.email"), NOBODY),
    ("sendgrid", 413, {"errors": [{"message": "The mailbox is full, no such user", "field": None}]}, NOBODY),
    ("sparkpost", 400, {"errors": [{"message": "Message generation rejected", "description": "recipient address was suppressed due to customer policy", "code": "1902"}]}, SOFT),
    ("sparkpost", 400, {"errors": [{"message": "At least one valid recipient is required", "code": "5001"}]}, BOUNCED),
    ("sparkpost", 422, {"errors": [{"message": "invalid data format/type", "code": "1300", "description": "unknown user"}]}, NOBODY),
    ("unisender_go", 400, unisender("invalid"), BOUNCED),
    ("unisender_go", 400, unisender("unsubscribed"), LEFT),
    ("unisender_go", 400, unisender("complained"), COMPLAINED),
    ("unisender_go", 400, unisender("permanent_unavailable"), SOFT),
    ("unisender_go", 400, unisender("blocked"), NOBODY),
]  # fmt: skip


@pytest.fixture
def account(workspace, esp, name):
    return an_esp_account(workspace, esp, name)


@pytest.fixture
def esp():
    with an_esp() as server:
        yield server


def test_every_esp_has_rows_here():
    assert {row[0] for row in ANSWERS} == {each.name for each in PROVIDERS.values() if each.is_esp}


@pytest.mark.parametrize(("provider", "status", "answer", "verdict"), ANSWERS)
def test_a_refusal_counts_only_where_it_is_about_the_person(
    workspace, esp, provider, status, answer, verdict
):
    esp.answer(status, answer)
    outcome = connect(an_esp_account(workspace, esp, provider)).send(a_message())
    assert outcome.fate is Fate.REJECTED, outcome
    assert outcome.verdict is verdict, outcome


def test_each_recipient_of_a_call_has_the_word_that_is_said_of_them(workspace, esp):
    answer = {
        "status": "success",
        "job_id": "1",
        "emails": [],
        "failed_emails": {"Eve@example.com": "unsubscribed"},
    }
    esp.answer(200, answer)
    outcome = connect(an_esp_account(workspace, esp, "unisender_go")).send(a_message())
    assert (outcome.verdict, outcome.server_said) == (LEFT, "200 unsubscribed")


def test_an_address_beyond_ascii_is_not_gone_where_an_esp_does_not_know_such(workspace, esp):
    esp.answer(400, {"message": "'to' parameter is not a valid address"})
    outcome = connect(an_esp_account(workspace, esp, "mailgun")).send(a_message("jürgen@example.com"))
    assert (outcome.fate, outcome.verdict) == (Fate.REJECTED, NOBODY)


def test_what_a_mail_server_says_before_the_recipient_is_named_is_about_us():
    assert outcome_of(Reply(552, "5.1.1 unknown user quota"), "MAIL").verdict is Kind.BLOCKED
    assert outcome_of(Reply(451, "4.7.1 too many messages"), "RCPT").verdict is Kind.BLOCKED
    assert outcome_of(Reply(550, "5.1.1 No such user"), "RCPT").verdict == "in its words"


# --- What becomes of the people ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "answer", "reason"),
    [
        ("mandrill", 200, mandrill("rejected", "hard-bounce"), "hard_bounce"),
        ("mandrill", 200, mandrill("rejected", "spam"), "complaint"),
        ("mailgun", 400, {"message": "'to' parameter is not a valid address"}, "hard_bounce"),
    ],
)
def test_who_is_suppressed_there_is_suppressed_here(people, send_to_news, esp, name, status, answer, reason):
    answer = [{**answer[0], "email": "p1@example.com"}] if isinstance(answer, list) else answer
    esp.answer(status, answer)
    people(1)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.rejected_count == 1
    assert Suppression.objects.values_list("email", "reason", "mailing_id").get() == (
        "p1@example.com", reason, mailing.pk,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["unisender_go"])
def test_who_unsubscribed_there_leaves_the_list_here(people, send_to_news, news, esp, name):
    failed = {"p1@example.com": "unsubscribed", "p2@example.com": "temporary_unavailable"}
    esp.answer(
        200, {"status": "success", "job_id": "1", "emails": ["p3@example.com"], "failed_emails": failed}
    )
    contacts = people(3)
    mailing = send_to_news()
    work_all(mailing)
    assert dict(Event.objects.values_list("contact__email", "kind")) == {
        "p1@example.com": "unsubscribed", "p2@example.com": "soft_bounced",
    }  # fmt: skip
    assert [each.subscriptions.get(list=news).status for each in contacts] == [
        "unsubscribed", "subscribed", "subscribed",
    ]  # fmt: skip
    mailing.refresh_from_db()
    assert (mailing.unsubscribed_count, mailing.rejected_count, mailing.accepted_count) == (1, 2, 1)
    assert not Suppression.objects.exists()


@pytest.mark.parametrize(
    ("name", "status", "answer"),
    [
        ("mandrill", 200, mandrill("rejected", "test-mode-limit")),
        ("sendgrid", 400, {"errors": [{"message": "Invalid name, unknown user", "field": "custom_args"}]}),
        ("mailgun", 413, {"message": "406 550 mailbox does not exist"}),
        ("unisender_go", 400, unisender("blocked")),
    ],
)
def test_a_refusal_of_the_call_the_content_or_the_account_suppresses_nobody(
    people, send_to_news, esp, name, status, answer
):
    Workspace.objects.update(soft_bounce_limit=1, soft_bounce_days=0, pause_at_rejected_percent=0)
    esp.answer(status, answer)
    people(3)
    mailing = send_to_news()
    work_all(mailing)
    assert mailing.rejected_count == 3
    assert not Event.objects.exists()
    assert not Suppression.objects.exists()
