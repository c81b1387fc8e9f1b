"""Mailjet: many events a call where they are grouped, basic auth. https://dev.mailjet.com/email/guides/webhooks/"""

import json

from tests.fake_esp.happenings import Event, Key, Post, What, basic_auth, basic_key

_BOUNCE = {"event": "bounce", "blocked": False, "hard_bounce": False}
KINDS = {
    What.DELIVERED: {"event": "sent"},
    What.DEFERRED: {**_BOUNCE, "error_related_to": "domain", "error": "greylisted"},
    What.BOUNCED: {**_BOUNCE, "hard_bounce": True, "error_related_to": "recipient", "error": "user unknown"},
    What.SOFT_BOUNCED: {**_BOUNCE, "error_related_to": "recipient", "error": "quota exceeded"},
    What.BLOCKED: {"event": "blocked", "error_related_to": "spam", "error": "sender blocked"},
    What.COMPLAINED: {"event": "spam", "source": "JMRPP"},
    What.OPENED: {"event": "open"},
    What.CLICKED: {"event": "click"},
    What.UNSUBSCRIBED: {"event": "unsub", "mj_list_id": 1},
    What.REJECTED: {"event": "blocked", "error_related_to": "mailjet", "error": "preblocked"},
}
A_CALL = 500  # events at most


def new_key() -> Key:
    return basic_key()


def posts(events, key, url, signed_at) -> list[Post]:
    headers = {"Content-Type": "application/json", **basic_auth(key)}
    return [
        Post(json.dumps([payload(each) for each in events[start : start + A_CALL]]).encode(), headers)
        for start in range(0, len(events), A_CALL)
    ]


def payload(event: Event) -> dict:
    message = event.message
    data = {
        **KINDS[event.what],
        "time": int(event.at.timestamp()),
        "MessageID": int(message.id) if message.id.isdigit() else message.id,
        "Message_GUID": message.options.get("MessageUUID", event.id),
        "email": message.to,
        "mj_campaign_id": 7257,
        "mj_contact_id": 4,
        "customcampaign": message.tags[0] if message.tags else "",
        "CustomID": message.options.get("CustomID", ""),
        "Payload": message.options.get(
            "EventPayload", json.dumps(dict(message.metadata)) if message.metadata else ""
        ),
    }
    if event.what is What.DELIVERED:
        data |= {"mj_message_id": message.id, "smtp_reply": f"sent ({event.said})"}
    elif event.code:
        data["comment"] = event.said
    if event.what in (What.OPENED, What.CLICKED, What.UNSUBSCRIBED):
        data |= {"ip": event.ip, "geo": "DE", "agent": event.agent}
    if event.what is What.CLICKED:
        data["url"] = event.url
    return data
