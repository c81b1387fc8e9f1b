"""What each provider's word for a failure means: gone, not now, that it is we who are refused, or that nothing is yet."""

import pytest

from delivery.hooks.verdicts import Failure, verdict

NOBODY = "550 5.1.1 The email account that you tried to reach does not exist"
FULL = "452 4.2.2 The recipient's mailbox is full"
SPAM = "550 5.7.1 Message rejected due to the sender's reputation"
HARD, SOFT, BLOCKED, COMPLAINED, LEFT, NOTHING = (
    "bounced",
    "soft_bounced",
    "blocked",
    "complained",
    "unsubscribed",
    None,
)


def ses(kind, sub):
    return {"eventType": "Bounce", "bounce": {"bounceType": kind, "bounceSubType": sub}}


def resend(kind, sub):
    return {"type": "email.bounced", "data": {"bounce": {"type": kind, "subType": sub}}}


def mailgun(reason, code=550):
    return {"event-data": {"event": "failed", "reason": reason, "delivery-status": {"code": code}}}


def mandrill(reason):
    return {"event": "reject", "msg": {"reject": {"reason": reason}}}


def unisender(status, delivery):
    return {"status": status, "delivery_info": {"delivery_status": delivery}}


def sparkpost(kind, bounce_class):
    return {"msys": {"message_event": {"type": kind, "bounce_class": bounce_class}}}


def mailjet(error, *, hard=False, event="bounce"):
    return {"event": event, "error": error, "hard_bounce": hard}


def postmark(kind):
    return {"RecordType": "Bounce", "Type": kind}


TABLE = [
    # provider, anymail's type, the raw event, the server's words, what it is
    ("amazon_ses", "bounced", ses("Permanent", "General"), NOBODY, HARD),
    ("amazon_ses", "bounced", ses("Permanent", "General"), "", HARD),
    ("amazon_ses", "bounced", ses("Permanent", "General"), SPAM, BLOCKED),
    ("amazon_ses", "bounced", ses("Permanent", "NoEmail"), "", HARD),
    ("amazon_ses", "bounced", ses("Permanent", "Suppressed"), "", HARD),
    ("amazon_ses", "bounced", ses("Permanent", "OnAccountSuppressionList"), "", SOFT),
    ("amazon_ses", "bounced", ses("Transient", "General"), NOBODY, SOFT),
    ("amazon_ses", "bounced", ses("Transient", "General"), SPAM, BLOCKED),
    ("amazon_ses", "bounced", ses("Transient", "MailboxFull"), "", SOFT),
    ("amazon_ses", "bounced", ses("Transient", "MessageTooLarge"), "", BLOCKED),
    ("amazon_ses", "bounced", ses("Transient", "ContentRejected"), "", BLOCKED),
    ("amazon_ses", "bounced", ses("Undetermined", "Undetermined"), "", SOFT),
    ("amazon_ses", "bounced", {"bounce": "nonsense"}, "", SOFT),
    ("amazon_ses", "rejected", {"eventType": "Reject", "reject": {"reason": "Bad content"}}, "", BLOCKED),
    ("amazon_ses", "failed", {"eventType": "Rendering Failure"}, "", BLOCKED),
    ("brevo", "bounced", {"event": "hard_bounce"}, NOBODY, HARD),
    ("brevo", "bounced", {"event": "hard_bounce"}, SPAM, BLOCKED),
    ("brevo", "bounced", {"event": "soft_bounce"}, FULL, SOFT),
    ("brevo", "bounced", {"event": "soft_bounce"}, NOBODY, SOFT),
    ("brevo", "bounced", {"event": "invalid_email"}, "", HARD),
    ("brevo", "rejected", {"event": "blocked"}, "blocked : due to unsubscribed user", LEFT),
    ("brevo", "rejected", {"event": "blocked"}, "blocked : due to blacklist user", SOFT),
    ("brevo", "failed", {"event": "error"}, "", BLOCKED),
    ("mailersend", "bounced", {"data": {"type": "hard_bounced"}}, NOBODY, HARD),
    ("mailersend", "bounced", {"data": {"type": "soft_bounced"}}, NOBODY, SOFT),
    ("mailersend", "bounced", {"data": {"type": "hard_bounced"}}, SPAM, BLOCKED),
    ("mailgun", "bounced", mailgun("bounce"), NOBODY, HARD),
    ("mailgun", "bounced", mailgun("bounce"), SPAM, BLOCKED),
    (
        "mailgun",
        "bounced",
        mailgun("suppress-bounce", 605),
        "Not delivering to previously bounced address",
        HARD,
    ),
    ("mailgun", "bounced", mailgun("suppress-complaint", 607), "", COMPLAINED),
    ("mailgun", "bounced", mailgun("suppress-unsubscribe", 606), "", LEFT),
    ("mailgun", "bounced", mailgun("old"), "Too old", SOFT),
    ("mailgun", "bounced", mailgun("generic"), FULL, SOFT),
    ("mailgun", "bounced", mailgun("espblock"), "", BLOCKED),
    ("mailgun", "rejected", {"event-data": {"event": "rejected"}}, "", BLOCKED),
    ("mailjet", "bounced", mailjet("user unknown", hard=True), "", HARD),
    ("mailjet", "bounced", mailjet("user unknown"), "", SOFT),
    ("mailjet", "bounced", mailjet("quota exceeded"), "", SOFT),
    ("mailjet", "bounced", mailjet("", hard=True), NOBODY, HARD),
    ("mailjet", "rejected", mailjet("spam reporter", event="blocked"), "", COMPLAINED),
    ("mailjet", "rejected", mailjet("preblocked", event="blocked"), "", SOFT),
    ("mailjet", "rejected", mailjet("sender blocked", event="blocked"), "", BLOCKED),
    ("mailjet", "rejected", mailjet("user unknown", event="blocked"), "", HARD),
    ("mailtrap", "bounced", {"event": "bounce", "bounce_category": "badmailbox"}, "", HARD),
    ("mailtrap", "bounced", {"event": "bounce", "bounce_category": "spam"}, "", BLOCKED),
    ("mailtrap", "deferred", {"event": "soft bounce", "bounce_category": "temporary"}, "", NOTHING),
    ("mailtrap", "deferred", {"event": "soft bounce", "bounce_category": "quotaissue"}, FULL, SOFT),
    ("mailtrap", "deferred", {"event": "suspension"}, "", BLOCKED),
    ("mailtrap", "rejected", {"event": "reject"}, "", SOFT),
    ("mandrill", "bounced", {"event": "hard_bounce", "msg": {}}, NOBODY, HARD),
    (
        "mandrill",
        "bounced",
        {"event": "soft_bounce", "msg": {"bounce_description": "mailbox_full"}},
        FULL,
        SOFT,
    ),
    ("mandrill", "bounced", {"event": "soft_bounce", "msg": {"bounce_description": "spam"}}, "", BLOCKED),
    ("mandrill", "rejected", mandrill("hard-bounce"), "", HARD),
    ("mandrill", "rejected", mandrill("soft-bounce"), "", SOFT),
    ("mandrill", "rejected", mandrill("spam"), "", COMPLAINED),
    ("mandrill", "rejected", mandrill("unsub"), "", LEFT),
    ("mandrill", "rejected", mandrill("unsigned"), "", BLOCKED),
    ("postal", "failed", {"event": "MessageDeliveryFailed"}, NOBODY, HARD),
    ("postal", "failed", {"event": "MessageDeliveryFailed"}, SPAM, BLOCKED),
    ("postal", "bounced", {"event": "MessageBounced"}, "", SOFT),
    ("postal", "rejected", {"event": "MessageHeld"}, "Recipient is on the suppression list", SOFT),
    ("postal", "rejected", {"event": "MessageHeld"}, "Server is in development mode", BLOCKED),
    ("postmark", "bounced", postmark("HardBounce"), NOBODY, HARD),
    ("postmark", "bounced", postmark("HardBounce"), SPAM, BLOCKED),
    ("postmark", "bounced", postmark("SoftBounce"), NOBODY, SOFT),
    ("postmark", "bounced", postmark("SpamNotification"), "", BLOCKED),
    ("postmark", "bounced", postmark("Blocked"), "", BLOCKED),
    ("postmark", "bounced", postmark("DMARCPolicy"), "", BLOCKED),
    ("postmark", "bounced", postmark("BadEmailAddress"), "", HARD),
    ("postmark", "bounced", postmark("Transient"), "", NOTHING),
    ("postmark", "bounced", postmark("AutoResponder"), "", NOTHING),
    ("postmark", "bounced", postmark("Unknown"), FULL, SOFT),
    ("resend", "bounced", resend("Permanent", "General"), "", HARD),
    ("resend", "bounced", resend("Permanent", "Suppressed"), "", HARD),
    ("resend", "bounced", resend("Transient", "MailboxFull"), "", SOFT),
    ("resend", "bounced", resend("Transient", "ContentRejected"), "", BLOCKED),
    ("resend", "failed", {"type": "email.failed"}, "", BLOCKED),
    ("resend", "rejected", {"type": "email.suppressed"}, "", SOFT),
    ("sendgrid", "bounced", {"event": "bounce", "type": "bounce"}, NOBODY, HARD),
    ("sendgrid", "bounced", {"event": "bounce", "type": "bounce"}, "", HARD),
    ("sendgrid", "bounced", {"event": "bounce", "type": "blocked"}, SPAM, BLOCKED),
    ("sendgrid", "bounced", {"event": "bounce", "type": "blocked"}, "", BLOCKED),
    (
        "sendgrid",
        "bounced",
        {"event": "bounce", "type": "bounce", "bounce_classification": "Reputation"},
        "",
        BLOCKED,
    ),
    (
        "sendgrid",
        "bounced",
        {"event": "bounce", "type": "blocked", "bounce_classification": "Mailbox Unavailable"},
        FULL,
        SOFT,
    ),
    ("sendgrid", "rejected", {"event": "dropped", "reason": "Bounced Address"}, "", HARD),
    ("sendgrid", "rejected", {"event": "dropped", "reason": "Unsubscribed Address"}, "", LEFT),
    ("sendgrid", "rejected", {"event": "dropped", "reason": "Spam Reporting Address"}, "", COMPLAINED),
    ("sendgrid", "rejected", {"event": "dropped", "reason": "Spam Content"}, "", BLOCKED),
    ("sparkpost", "bounced", sparkpost("bounce", "10"), NOBODY, HARD),
    ("sparkpost", "bounced", sparkpost("out_of_band", "30"), "", HARD),
    ("sparkpost", "bounced", sparkpost("bounce", "22"), FULL, SOFT),
    ("sparkpost", "bounced", sparkpost("bounce", "51"), SPAM, BLOCKED),
    ("sparkpost", "bounced", sparkpost("bounce", "1"), NOBODY, HARD),
    ("sparkpost", "bounced", sparkpost("bounce", "1"), "", SOFT),
    (
        "sparkpost",
        "rejected",
        sparkpost("policy_rejection", "25"),
        "550 - Recipient in suppression list",
        SOFT,
    ),
    (
        "sparkpost",
        "rejected",
        sparkpost("policy_rejection", "25"),
        "550 - Message refused by policy",
        BLOCKED,
    ),
    ("sparkpost", "failed", sparkpost("generation_failure", None), "", BLOCKED),
    ("unisender_go", "bounced", unisender("hard_bounced", "err_user_unknown"), NOBODY, HARD),
    ("unisender_go", "bounced", unisender("hard_bounced", "err_spam_rejected"), SPAM, BLOCKED),
    ("unisender_go", "bounced", unisender("hard_bounced", "err_unsubscribed"), "", LEFT),
    ("unisender_go", "deferred", unisender("soft_bounced", "err_will_retry"), "", NOTHING),
    ("unisender_go", "deferred", unisender("soft_bounced", "err_mailbox_full"), FULL, SOFT),
    ("unisender_go", "bounced", unisender("hard_bounced", "err_new_word"), NOBODY, HARD),
]


@pytest.mark.parametrize(("provider", "type_", "raw", "said", "expected"), TABLE)
def test_each_word_has_its_meaning(provider, type_, raw, said, expected):
    assert verdict(provider, Failure(type_, raw, said)) == expected


@pytest.mark.parametrize("provider", sorted({row[0] for row in TABLE}))
@pytest.mark.parametrize(
    "raw", [{}, {"event": 7, "type": [], "msys": 1, "data": "x", "msg": None, "error": {}}]
)
def test_what_is_not_as_documented_suppresses_nobody(provider, raw):
    assert verdict(provider, Failure("rejected", raw, "")) in (None, SOFT, BLOCKED)
