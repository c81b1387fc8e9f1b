"""Mailtrap: many events a call, HMAC of the body. https://docs.mailtrap.io/email-api-smtp/advanced/webhooks"""

import json

from tests.fake_esp.happenings import Event, Key, Post, What, hmac_hex, shared_key

KINDS = {
    What.DELIVERED: {"event": "delivery"},
    What.DEFERRED: {"event": "soft bounce", "bounce_category": "temporary"},
    What.BOUNCED: {"event": "bounce", "bounce_category": "badmailbox"},
    What.SOFT_BOUNCED: {"event": "soft bounce", "bounce_category": "quotaissue"},
    What.BLOCKED: {"event": "bounce", "bounce_category": "spam"},
    What.COMPLAINED: {"event": "spam"},
    What.OPENED: {"event": "open"},
    What.CLICKED: {"event": "click"},
    What.UNSUBSCRIBED: {"event": "unsubscribe"},
    What.REJECTED: {"event": "reject", "reason": "recipient_suppressed"},
}
A_CALL = 500  # events at most


def new_key() -> Key:
    return shared_key("tracking_secret")


def posts(events, key, url, signed_at) -> list[Post]:
    made = []
    for start in range(0, len(events), A_CALL):
        body = json.dumps({"events": [payload(each) for each in events[start : start + A_CALL]]}).encode()
        made.append(
            Post(body, {"Content-Type": "application/json", "Mailtrap-Signature": hmac_hex(key, body)})
        )
    return made


def payload(event: Event) -> dict:
    message = event.message
    data = {
        **KINDS[event.what],
        "message_id": message.id,
        "sending_stream": "bulk",
        "sending_domain_name": message.sender.rpartition("@")[2],
        "email": message.to,
        "timestamp": int(event.at.timestamp()),
        "event_id": event.id,
        "custom_variables": dict(message.metadata),
    }
    if message.tags:
        data["category"] = message.tags[0]
    if event.code and event.what is not What.DELIVERED:
        data |= {"response": event.said, "response_code": event.code}
    if event.what in (What.OPENED, What.CLICKED, What.UNSUBSCRIBED):
        data |= {"ip": event.ip, "user_agent": event.agent}
    if event.what is What.CLICKED:
        data["url"] = event.url
    return data
