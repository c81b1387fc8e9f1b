"""Brevo: one event a call, basic auth. https://developers.brevo.com/docs/transactional-webhooks"""

import json

from tests.fake_esp.happenings import Event, Key, Post, What, basic_auth, basic_key

KINDS = {
    What.DELIVERED: "delivered",
    What.DEFERRED: "deferred",
    What.BOUNCED: "hard_bounce",
    What.SOFT_BOUNCED: "soft_bounce",
    What.BLOCKED: "soft_bounce",  # it has no word of its own for a refusal by the receiver's policy
    What.COMPLAINED: "spam",
    What.OPENED: "unique_opened",
    What.CLICKED: "click",
    What.UNSUBSCRIBED: "unsubscribed",
    What.REJECTED: "blocked",
}


def new_key() -> Key:
    return basic_key()


def posts(events, key, url, signed_at) -> list[Post]:
    headers = {"Content-Type": "application/json", **basic_auth(key)}
    return [Post(json.dumps(payload(each)).encode(), headers) for each in events]


def payload(event: Event) -> dict:
    message = event.message
    seconds = int(event.at.timestamp())
    data = {
        "event": "unique_proxy_open" if event.is_machine else KINDS[event.what],
        "email": message.to,
        "id": 26224,
        "date": event.at.strftime("%Y-%m-%d %H:%M:%S"),
        "ts": seconds,
        "ts_event": seconds,
        "ts_epoch": int(event.at.timestamp() * 1000),
        "message-id": message.id,
        "subject": message.subject,
        "sending_ip": "192.0.2.1",
    }
    for header, value in message.headers.items():
        if header.lower() == "x-mailin-custom":
            data["X-Mailin-custom"] = value
    if message.tags:
        data |= {"tags": list(message.tags), "tag": json.dumps(list(message.tags))}
    if event.code and event.what is not What.DELIVERED:
        data["reason"] = event.said
    if event.what is What.REJECTED:
        data["reason"] = "blocked : due to blacklist user"
    if event.what is What.CLICKED:
        data["link"] = event.url
    return data
