"""Calls of each API as its documents show them, made by hand: what the tests of the fake ask it."""

import base64
import datetime
import json

import requests

HTML, TEXT = "<p>Hello</p>", "Hello"
SENDER, EVE = "news@acme.example", "eve@example.com"


def signed() -> dict[str, str]:
    """Headers as AWS's clients sign them."""
    now = datetime.datetime.now(datetime.UTC)
    scope = f"AKIA/{now:%Y%m%d}/eu-west-1/ses/aws4_request"
    value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
    return {"Authorization": value, "X-Amz-Date": f"{now:%Y%m%dT%H%M%SZ}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# Where a simple message goes, and what lets it in.
PATHS = {
    "amazon_ses": "v2/email/outbound-emails",
    "brevo": "smtp/email",
    "mailersend": "email",
    "mailgun": "acme.example/messages",
    "mailjet": "send",
    "mailtrap": "send",
    "mandrill": "messages/send.json",
    "postal": "api/v1/send/message",
    "postmark": "email",
    "resend": "emails",
    "scaleway": "emails",
    "sendgrid": "mail/send",
    "sparkpost": "transmissions",
    "unisender_go": "email/send.json",
}
KEYS = {
    "brevo": {"api-key": "k"},
    "mailersend": {"Authorization": "Bearer k"},
    "mailgun": basic("api", "k"),
    "mailjet": basic("u", "k"),
    "mailtrap": {"Api-Token": "k"},
    "mandrill": {},  # it stands in the body
    "postal": {"X-Server-API-Key": "k"},
    "postmark": {"X-Postmark-Server-Token": "k"},
    "resend": {"Authorization": "Bearer k"},
    "scaleway": {"X-Auth-Token": "k"},
    "sendgrid": {"Authorization": "Bearer k"},
    "sparkpost": {"Authorization": "k"},
    "unisender_go": {"X-API-KEY": "k"},
}


def a_call(dialect: str, to: str = EVE, **more) -> dict:
    """The smallest message that the API takes. more: further fields, or others in place of these."""
    person = {"email": to}
    calls = {
        "amazon_ses": {
            "FromEmailAddress": SENDER,
            "Destination": {"ToAddresses": [to]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": "Hi"},
                    "Body": {"Html": {"Data": HTML}, "Text": {"Data": TEXT}},
                }
            },
        },
        "brevo": {
            "sender": {"email": SENDER},
            "to": [person],
            "subject": "Hi",
            "htmlContent": HTML,
            "textContent": TEXT,
        },
        "mailersend": {
            "from": {"email": SENDER},
            "to": [person],
            "subject": "Hi",
            "html": HTML,
            "text": TEXT,
        },
        "mailgun": {"from": SENDER, "to": [to], "subject": "Hi", "html": HTML, "text": TEXT},
        "mailjet": {
            "Globals": {"From": {"Email": SENDER}, "Subject": "Hi", "HTMLPart": HTML, "TextPart": TEXT},
            "Messages": [{"To": [{"Email": to}]}],
        },
        "mailtrap": {"from": {"email": SENDER}, "to": [person], "subject": "Hi", "html": HTML, "text": TEXT},
        "mandrill": {
            "key": "k",
            "message": {"from_email": SENDER, "to": [person], "subject": "Hi", "html": HTML, "text": TEXT},
        },
        "postal": {"from": SENDER, "to": [to], "subject": "Hi", "html_body": HTML, "plain_body": TEXT},
        "postmark": {"From": SENDER, "To": to, "Subject": "Hi", "HtmlBody": HTML, "TextBody": TEXT},
        "resend": {"from": SENDER, "to": [to], "subject": "Hi", "html": HTML, "text": TEXT},
        "scaleway": {
            "project_id": "p",
            "from": {"email": SENDER},
            "to": [person],
            "subject": "Hi",
            "html": HTML,
            "text": TEXT,
        },
        "sendgrid": {
            "from": {"email": SENDER},
            "personalizations": [{"to": [person]}],
            "subject": "Hi",
            "content": [{"type": "text/plain", "value": TEXT}, {"type": "text/html", "value": HTML}],
        },
        "sparkpost": {
            "content": {"from": SENDER, "subject": "Hi", "html": HTML, "text": TEXT},
            "recipients": [{"address": person}],
        },
        "unisender_go": {
            "message": {
                "from_email": SENDER,
                "recipients": [person],
                "subject": "Hi",
                "body": {"html": HTML, "plaintext": TEXT},
            }
        },
    }
    return {**calls[dialect], **more}


def ask(fake, dialect: str, data, path: str = "", *, headers=None, timeout: float = 5.0) -> requests.Response:
    """One call over a connection of its own; a form at Mailgun, JSON elsewhere."""
    given = signed() if dialect == "amazon_ses" else KEYS[dialect]
    url = fake.url(dialect) + (path or PATHS[dialect])
    if dialect == "mailgun":
        return requests.post(url, data=data, headers={**given, **(headers or {})}, timeout=timeout)
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    sent = {"Content-Type": "application/json", **given, **(headers or {})}
    return requests.post(url, data=body, headers=sent, timeout=timeout)
