"""Resend: one event a call, signed by Svix. https://resend.com/docs/dashboard/webhooks/event-types"""

import base64
import hashlib
import hmac
import json
import secrets

from tests.fake_esp.happenings import Event, Key, Post, What, shared_key

KINDS = {
    What.DELIVERED: "email.delivered",
    What.DEFERRED: "email.delivery_delayed",
    What.BOUNCED: "email.bounced",
    What.SOFT_BOUNCED: "email.bounced",
    What.BLOCKED: "email.bounced",
    What.COMPLAINED: "email.complained",
    What.OPENED: "email.opened",
    What.CLICKED: "email.clicked",
}
# type, subType, what the receiver sent
BOUNCES = {
    What.BOUNCED: ("Permanent", "General", "a hard bounce message, but didn't specify the reason."),
    What.SOFT_BOUNCED: (
        "Transient",
        "MailboxFull",
        "a bounce message because the recipient's inbox was full.",
    ),
    What.BLOCKED: ("Transient", "ContentRejected", "a bounce message because it doesn't allow the content."),
}


def new_key() -> Key:
    return shared_key("signing_secret", "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode())


def posts(events, key, url, signed_at) -> list[Post]:
    return [_post(each, key, str(int(signed_at.timestamp()))) for each in events]


def _post(event: Event, key: Key, timestamp: str) -> Post:
    body, name = json.dumps(payload(event)), f"msg_{event.id[:27]}"
    secret = base64.b64decode(key.secret.removeprefix("whsec_"))
    signature = hmac.new(secret, f"{name}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    headers = {
        "Content-Type": "application/json",
        "svix-id": name,
        "svix-timestamp": timestamp,
        "svix-signature": "v1," + base64.b64encode(signature).decode(),
    }
    return Post(body.encode(), headers)


def payload(event: Event) -> dict:
    message = event.message
    data = {
        "email_id": message.id,
        "created_at": event.iso,
        "from": message.sender,
        "to": [message.to],
        "subject": message.subject,
        "headers": [{"name": name, "value": value} for name, value in message.headers.items()],
    }
    if event.what in BOUNCES:
        kind, sub, words = BOUNCES[event.what]
        data["bounce"] = {
            "type": kind,
            "subType": sub,
            "message": f"The recipient's email provider sent {words}",
        }
    if event.what is What.CLICKED:
        data["click"] = {
            "ipAddress": event.ip,
            "link": event.url,
            "timestamp": event.iso,
            "userAgent": event.agent,
        }
    return {"type": KINDS[event.what], "created_at": event.iso, "data": data}
