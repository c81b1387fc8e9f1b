"""Postal: one event a call, RSA-SHA1 of the body. https://docs.postalserver.io/developer/webhooks"""

import json
import zlib

from tests.fake_esp.happenings import Event, Key, Post, What, rsa_key, signed_rsa

KINDS = {
    What.DELIVERED: ("MessageSent", "Sent"),
    What.DEFERRED: ("MessageDelayed", "SoftFail"),
    What.BOUNCED: ("MessageDeliveryFailed", "HardFail"),
    What.BLOCKED: ("MessageDeliveryFailed", "HardFail"),
    What.SOFT_BOUNCED: ("MessageBounced", ""),  # by a mail that came back
    What.OPENED: ("MessageLoaded", ""),
    What.CLICKED: ("MessageLinkClicked", ""),
    What.REJECTED: ("MessageHeld", "Held"),
}


def new_key() -> Key:
    return rsa_key("webhook_key")


def posts(events, key, url, signed_at) -> list[Post]:
    bodies = [json.dumps(payload(each)).encode() for each in events]
    return [
        Post(body, {"Content-Type": "application/json", "X-Postal-Signature": signed_rsa(key, body)})
        for body in bodies
    ]


def payload(event: Event) -> dict:
    name, status = KINDS[event.what]
    message, seconds = _message(event), event.at.timestamp()
    match name:
        case "MessageBounced":
            bounce = {
                **message,
                "id": zlib.crc32(event.id.encode()),
                "direction": "incoming",
                "to": "abcdef@psrp.postal.example",
                "from": "MAILER-DAEMON@mx.example.com",
                "subject": "Delivery Status Notification (Delay)",
            }
            data = {"original_message": message, "bounce": bounce}
        case "MessageLoaded":
            data = {"message": message, "ip_address": event.ip, "user_agent": event.agent}
        case "MessageLinkClicked":
            data = {
                "message": message,
                "url": event.url,
                "token": event.id[:8],
                "ip_address": event.ip,
                "user_agent": event.agent,
            }
        case _:
            data = {
                "message": message,
                "status": status,
                "details": f"Message for {event.message.to} {status} by mx.example.com (192.0.2.25)",
                "output": event.said,
                "sent_with_ssl": True,
                "time": 0.22,
                "timestamp": seconds,
            }
    return {"event": name, "timestamp": seconds, "uuid": event.id, "payload": data}


def _message(event: Event) -> dict:
    message = event.message
    return {
        "id": int(message.id) if message.id.isdigit() else message.id,
        "token": event.id[:12],
        "direction": "outgoing",
        "message_id": f"{message.id}@rp.postal.example",
        "to": message.to,
        "from": message.sender,
        "subject": message.subject,
        "timestamp": event.at.timestamp(),
        "spam_status": "NotSpam",
        "tag": message.tags[0] if message.tags else None,
    }
