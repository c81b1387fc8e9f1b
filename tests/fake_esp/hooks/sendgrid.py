"""SendGrid: many events a call, signed by ECDSA. https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event"""

import json

from tests.fake_esp.happenings import Event, Key, Post, What, elliptic_key, signed_elliptic

KINDS = {
    What.DELIVERED: {"event": "delivered"},
    What.DEFERRED: {"event": "deferred", "attempt": "5"},
    What.BOUNCED: {"event": "bounce", "type": "bounce", "bounce_classification": "Invalid Address"},
    What.SOFT_BOUNCED: {"event": "bounce", "type": "blocked", "bounce_classification": "Mailbox Unavailable"},
    What.BLOCKED: {"event": "bounce", "type": "blocked", "bounce_classification": "Reputation"},
    What.COMPLAINED: {"event": "spamreport"},
    What.OPENED: {"event": "open"},
    What.CLICKED: {"event": "click"},
    What.UNSUBSCRIBED: {"event": "unsubscribe"},
    What.REJECTED: {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
}
A_CALL = 500  # events at most


def new_key() -> Key:
    return elliptic_key("tracking_webhook_verification_key")


def posts(events, key, url, signed_at) -> list[Post]:
    timestamp = str(int(signed_at.timestamp()))
    bodies = [
        json.dumps([payload(each) for each in events[start : start + A_CALL]]).encode()
        for start in range(0, len(events), A_CALL)
    ]
    return [
        Post(
            body,
            {
                "Content-Type": "application/json",
                "X-Twilio-Email-Event-Webhook-Signature": signed_elliptic(key, timestamp.encode() + body),
                "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
            },
        )
        for body in bodies
    ]


def payload(event: Event) -> dict:
    """What was given as custom arguments stands beside the event's own fields."""
    data = {
        **event.message.metadata,
        **KINDS[event.what],
        "email": event.message.to,
        "timestamp": int(event.at.timestamp()),
        "sg_event_id": event.id[:22],
        "sg_message_id": f"{event.message.id}.recvd-7d4-1",
        "smtp-id": f"<{event.message.id}@geopod.example>",
    }
    if event.message.tags:
        data["category"] = list(event.message.tags)
    if event.what in (What.DELIVERED, What.DEFERRED):
        data["response"] = event.said
    elif event.code:
        data |= {"reason": event.said, "status": event.status, "ip": "192.0.2.1", "tls": 1}
    if event.what in (What.OPENED, What.CLICKED):
        data |= {"useragent": event.agent, "ip": event.ip}
    if event.what is What.OPENED:
        data |= {"sg_content_type": "html", "sg_machine_open": event.is_machine}
    if event.what is What.CLICKED:
        data |= {"url": event.url, "url_offset": {"index": 0, "type": "html"}}
    return data
