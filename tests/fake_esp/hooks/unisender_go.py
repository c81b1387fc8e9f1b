"""Unisender Go: many events a call, MD5 of body and key. https://godocs.unisender.ru/web-api-ref#callback-format"""

import datetime
import hashlib
import json

from tests.fake_esp.happenings import Event, Key, Post, What, shared_key

# The event's status, and the delivery's.
KINDS = {
    What.DELIVERED: ("delivered", "ok_delivered"),
    What.DEFERRED: ("soft_bounced", "err_will_retry"),
    What.BOUNCED: ("hard_bounced", "err_user_unknown"),
    What.SOFT_BOUNCED: ("soft_bounced", "err_mailbox_full"),
    What.BLOCKED: ("hard_bounced", "err_spam_rejected"),
    What.COMPLAINED: ("spam", ""),
    What.OPENED: ("opened", ""),
    What.CLICKED: ("clicked", ""),
    What.UNSUBSCRIBED: ("unsubscribed", ""),
    What.REJECTED: ("hard_bounced", "err_unsubscribed"),
}
A_CALL = 100  # events at most


def new_key() -> Key:
    return shared_key("api_key")


def posts(events, key, url, signed_at) -> list[Post]:
    made = []
    for start in range(0, len(events), A_CALL):
        told = [
            {"event_name": "transactional_email_status", "event_data": payload(each)}
            for each in events[start : start + A_CALL]
        ]
        user = {"user_id": 456, "project_id": "6432890213745872", "project_name": "Acme", "events": told}
        body = json.dumps({"auth": key.secret, "events_by_user": [user]}, separators=(",", ":"))
        auth = hashlib.md5(body.encode()).hexdigest()
        made.append(Post(body.replace(key.secret, auth).encode(), {"Content-Type": "application/json"}))
    return made


def payload(event: Event) -> dict:
    status, delivery = KINDS[event.what]
    message = event.message
    data = {
        "job_id": message.options.get("job_id", message.id),
        "metadata": dict(message.metadata),
        "email": message.to,
        "status": status,
        "event_time": event.at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S"),
    }
    info = {}
    if delivery:
        info |= {"delivery_status": delivery, "destination_response": event.said if event.code else ""}
    if event.what in (What.OPENED, What.CLICKED):
        info |= {"user_agent": event.agent, "ip": event.ip}
    if info:
        data["delivery_info"] = info
    if event.what is What.CLICKED:
        data["url"] = event.url
    return data
