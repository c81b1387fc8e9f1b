"""MailerSend: one event a call, HMAC of the body. https://developers.mailersend.com/api/v1/webhooks.html"""

import datetime
import json

from tests.fake_esp.happenings import Event, Key, Post, What, hmac_hex, shared_key

KINDS = {
    What.DELIVERED: "delivered",
    What.BOUNCED: "hard_bounced",
    What.SOFT_BOUNCED: "soft_bounced",
    What.BLOCKED: "soft_bounced",
    What.COMPLAINED: "spam_complaint",
    What.OPENED: "opened",
    What.CLICKED: "clicked",
    What.UNSUBSCRIBED: "unsubscribed",
}


def new_key() -> Key:
    return shared_key("signing_secret")


def posts(events, key, url, signed_at) -> list[Post]:
    bodies = [json.dumps(payload(each, url, signed_at)).encode() for each in events]
    return [
        Post(body, {"Content-Type": "application/json", "Signature": hmac_hex(key, body)}) for body in bodies
    ]


def payload(event: Event, url: str, called_at: datetime.datetime) -> dict:
    message, kind = event.message, KINDS[event.what]
    made, called = (
        at.isoformat(timespec="microseconds").replace("+00:00", "Z") for at in (event.at, called_at)
    )
    email = {
        "object": "email",
        "id": event.id[:24],
        "created_at": made,
        "from": message.sender,
        "subject": message.subject,
        "status": "rejected" if "bounced" in kind else kind,
        "tags": list(message.tags) or None,
        "message": {"object": "message", "id": message.id, "created_at": made},
        "recipient": {"object": "recipient", "id": "62f1", "email": message.to, "created_at": made},
    }
    activity = {
        "object": "activity",
        "id": event.id[:24],
        "type": kind,
        "created_at": made,
        "email": email,
        "morph": _morph(event),
        "template_id": "",
    }
    return {
        "type": f"activity.{kind}",
        "domain_id": "yv69oxl5kl785kw2",
        "created_at": called,
        "webhook_id": "2351ndgwr4zqx8ko",
        "url": url,
        "data": activity,
    }


def _morph(event: Event) -> dict | None:
    match event.what:
        case What.BOUNCED | What.SOFT_BOUNCED | What.BLOCKED:
            return {"object": "recipient_bounce", "reason": event.said}
        case What.COMPLAINED:
            return {"object": "spam_complaint", "reason": None}
        case What.UNSUBSCRIBED:
            return {
                "object": "recipient_unsubscribe",
                "reason": "option_3",
                "readable_reason": "I get too many emails",
            }
        case What.OPENED:
            return {"object": "open", "id": event.id[:24], "ip": event.ip, "user_agent": event.agent}
        case What.CLICKED:
            return {"object": "click", "id": event.id[:24], "url": event.url, "ip": event.ip}
    return None
