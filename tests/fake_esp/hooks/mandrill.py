"""Mandrill: many events in a form, HMAC-SHA1 of address and fields.

https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/
"""

import base64
import hashlib
import hmac
import json
import urllib.parse

from tests.fake_esp.happenings import Event, Key, Post, What, shared_key

KINDS = {
    What.DEFERRED: ("deferral", "deferred"),
    What.BOUNCED: ("hard_bounce", "bounced"),
    What.SOFT_BOUNCED: ("soft_bounce", "soft-bounced"),
    What.BLOCKED: ("soft_bounce", "soft-bounced"),
    What.COMPLAINED: ("spam", "spam"),
    What.OPENED: ("open", "sent"),
    What.CLICKED: ("click", "sent"),
    What.UNSUBSCRIBED: ("unsub", "unsub"),
    What.REJECTED: ("reject", "rejected"),
}
BOUNCES = {What.BOUNCED: "bad_mailbox", What.SOFT_BOUNCED: "mailbox_full", What.BLOCKED: "spam"}
A_CALL = 500  # events at most


def new_key() -> Key:
    return shared_key("webhook_key")


def posts(events, key, url, signed_at) -> list[Post]:
    made = []
    for start in range(0, len(events), A_CALL):
        field = json.dumps([payload(each) for each in events[start : start + A_CALL]])
        signed = (url + "mandrill_events" + field).encode()
        signature = hmac.new(key.secret.encode(), signed, hashlib.sha1).digest()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Mandrill-Signature": base64.b64encode(signature).decode(),
        }
        made.append(Post(urllib.parse.urlencode({"mandrill_events": field}).encode(), headers))
    return made


def payload(event: Event) -> dict:
    message = event.message
    kind, state = KINDS[event.what]
    seconds = int(event.at.timestamp())
    told = {
        "ts": seconds,
        "_id": message.id,
        "state": state,
        "subject": message.subject,
        "email": message.to,
        "sender": message.sender,
        "tags": list(message.tags),
        "metadata": dict(message.metadata),
        "opens": [],
        "clicks": [],
        "smtp_events": [],
        "template": None,
    }
    if event.what in BOUNCES:
        told |= {"bounce_description": BOUNCES[event.what], "bgtools_code": 10, "diag": f"smtp;{event.said}"}
    if event.what is What.DEFERRED:
        told |= {"diag": event.said}
    if event.what is What.REJECTED:
        told["reject"] = {"reason": "hard-bounce", "email": message.to}
    data = {"event": kind, "_id": message.id, "ts": seconds, "msg": told}
    if event.what in (What.OPENED, What.CLICKED):
        data |= {"ip": event.ip, "user_agent": event.agent, "location": None, "user_agent_parsed": None}
    if event.what is What.CLICKED:
        data["url"] = event.url
    return data
