"""SparkPost: many events a call, basic auth. https://developers.sparkpost.com/api/events/"""

import json

from tests.fake_esp.happenings import Event, Key, Post, What, basic_auth, basic_key

# The event's class, its type, and its bounce class.
KINDS = {
    What.DELIVERED: ("message_event", "delivery", None),
    What.DEFERRED: ("message_event", "delay", "70"),
    What.BOUNCED: ("message_event", "bounce", "10"),
    What.SOFT_BOUNCED: ("message_event", "bounce", "22"),
    What.BLOCKED: ("message_event", "bounce", "51"),
    What.COMPLAINED: ("message_event", "spam_complaint", None),
    What.OPENED: ("track_event", "open", None),
    What.CLICKED: ("track_event", "click", None),
    What.UNSUBSCRIBED: ("unsubscribe_event", "list_unsubscribe", None),
    What.REJECTED: ("message_event", "policy_rejection", "25"),
}
A_CALL = 500  # events at most


def new_key() -> Key:
    return basic_key()


def posts(events, key, url, signed_at) -> list[Post]:
    headers = {"Content-Type": "application/json", "User-Agent": "SparkPost", **basic_auth(key)}
    return [
        Post(
            json.dumps([payload(each) for each in events[start : start + A_CALL]]).encode(),
            {**headers, "X-MessageSystems-Batch-ID": events[start].id},
        )
        for start in range(0, len(events), A_CALL)
    ]


def payload(event: Event) -> dict:
    family, kind, bounce_class = KINDS[event.what]
    message = event.message
    data = {
        "type": kind,
        "event_id": str(int(event.id[:15], 16)),
        "timestamp": str(int(event.at.timestamp())),
        "transmission_id": message.id,
        "message_id": f"0e{event.message.call:06x}{int(event.id[15:27], 16):012x}",
        "customer_id": "1",
        "subaccount_id": "0",
        "friendly_from": message.sender,
        "msg_from": f"msprvs1=18@bounces.{message.sender.rpartition('@')[2]}",
        "rcpt_to": message.to.lower(),
        "raw_rcpt_to": message.to,
        "rcpt_meta": dict(message.metadata),
        "rcpt_tags": [],
        "subject": message.subject,
        "ip_address": event.ip,
    }
    if message.tags:
        data["campaign_id"] = message.tags[0]
    if bounce_class:
        data |= {"bounce_class": bounce_class, "error_code": str(event.code or 550)}
        data |= {"raw_reason": event.said if event.code else "550 - Message refused by policy"}
        data |= {"reason": data["raw_reason"], "num_retries": "1"}
    if family == "track_event":
        data["user_agent"] = event.agent
    if event.what is What.CLICKED:
        data |= {"target_link_url": event.url, "target_link_name": "Spring"}
    if event.what is What.COMPLAINED:
        data |= {"fbtype": "abuse", "report_by": "server.email", "report_to": "abuse.example"}
    return {"msys": {family: data}}
