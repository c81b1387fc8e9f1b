"""Mailgun: one event a call, the signature within it. https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks"""

import json
import uuid

from tests.fake_esp.happenings import Event, Key, Post, What, hmac_hex, shared_key

KINDS = {
    What.DELIVERED: {"event": "delivered", "log-level": "info"},
    What.DEFERRED: {"event": "failed", "severity": "temporary", "reason": "generic", "log-level": "warn"},
    What.BOUNCED: {"event": "failed", "severity": "permanent", "reason": "bounce", "log-level": "error"},
    What.SOFT_BOUNCED: {"event": "failed", "severity": "permanent", "reason": "old", "log-level": "error"},
    What.BLOCKED: {"event": "failed", "severity": "permanent", "reason": "espblock", "log-level": "error"},
    What.COMPLAINED: {"event": "complained", "log-level": "warn"},
    What.OPENED: {"event": "opened", "log-level": "info"},
    What.CLICKED: {"event": "clicked", "log-level": "info"},
    What.UNSUBSCRIBED: {"event": "unsubscribed", "log-level": "info"},
    What.REJECTED: {"event": "rejected", "log-level": "warn"},
}
_BY_A_PERSON = (What.OPENED, What.CLICKED, What.UNSUBSCRIBED)


def new_key() -> Key:
    return shared_key("webhook_signing_key")


def posts(events, key, url, signed_at) -> list[Post]:
    return [_post(each, key, str(int(signed_at.timestamp()))) for each in events]


def _post(event: Event, key: Key, timestamp: str) -> Post:
    token = uuid.uuid5(uuid.NAMESPACE_OID, event.id).hex + event.id[:18]  # 50 digits
    signature = {
        "token": token,
        "timestamp": timestamp,
        "signature": hmac_hex(key, (timestamp + token).encode()),
    }
    body = {"signature": signature, "event-data": payload(event)}
    return Post(json.dumps(body).encode(), {"Content-Type": "application/json"})


def payload(event: Event) -> dict:
    message = event.message
    headers = {
        "to": message.to,
        "message-id": message.id.strip("<>"),
        "from": message.sender,
        "subject": message.subject,
    }
    data = {
        **KINDS[event.what],
        "id": event.id[:22],
        "timestamp": event.at.timestamp(),
        "flags": {
            "is-routed": False,
            "is-authenticated": True,
            "is-system-test": False,
            "is-test-mode": False,
        },
        "message": {"headers": headers, "attachments": [], "size": 1024},
        "recipient": message.to,
        "recipient-domain": message.to.rpartition("@")[2],
        "campaigns": [],
        "tags": list(message.tags),
        "user-variables": dict(message.metadata),
    }
    if event.code:
        data["delivery-status"] = {
            "tls": True,
            "mx-host": "mx.example.com",
            "code": event.code,
            "enhanced-code": event.status,
            "description": "",
            "message": f"{event.status} {event.words}",
            "attempt-no": 1,
            "session-seconds": 0.2,
        }
        data["envelope"] = {
            "transport": "smtp",
            "sender": message.sender,
            "sending-ip": "192.0.2.1",
            "targets": message.to,
        }
    if event.what in _BY_A_PERSON:
        client = {
            "client-type": "browser",
            "client-name": "Firefox",
            "device-type": "desktop",
            "user-agent": event.agent,
        }
        data |= {
            "ip": event.ip,
            "client-info": client,
            "geolocation": {"country": "DE", "region": "BE", "city": "Berlin"},
        }
    if event.what is What.CLICKED:
        data["url"] = event.url
    if event.what is What.REJECTED:
        data["reject"] = {"reason": "Sandbox subdomains are for test purposes only.", "description": ""}
    return data
