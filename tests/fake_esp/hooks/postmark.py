"""Postmark: one event a call, basic auth. https://postmarkapp.com/developer/webhooks/webhooks-overview"""

import json
import zlib

from tests.fake_esp.happenings import Event, Key, Post, What, basic_auth, basic_key

# Of a bounce: its Type, TypeCode, Name.
BOUNCES = {
    What.DEFERRED: ("Transient", 2, "Message delayed/Undeliverable"),
    What.BOUNCED: ("HardBounce", 1, "Hard bounce"),
    What.SOFT_BOUNCED: ("SoftBounce", 4096, "Soft bounce"),
    What.BLOCKED: ("Blocked", 100006, "ISP block"),
    What.REJECTED: ("BadEmailAddress", 100000, "Invalid email address"),
    What.COMPLAINED: ("SpamComplaint", 100001, "Spam complaint"),
}
KINDS = (What.DELIVERED, *BOUNCES, What.OPENED, What.CLICKED, What.UNSUBSCRIBED)
TIMES = {
    What.DELIVERED: "DeliveredAt",
    What.OPENED: "ReceivedAt",
    What.CLICKED: "ReceivedAt",
    What.UNSUBSCRIBED: "ChangedAt",
}


def new_key() -> Key:
    return basic_key()


def posts(events, key, url, signed_at) -> list[Post]:
    headers = {"Content-Type": "application/json", "User-Agent": "Postmark", **basic_auth(key)}
    return [Post(json.dumps(payload(each)).encode(), headers) for each in events]


def payload(event: Event) -> dict:
    message = event.message
    data = {
        "RecordType": "Bounce",
        "MessageID": message.id,
        "ServerID": 23,
        "MessageStream": message.options.get("MessageStream", "broadcast"),
        "Metadata": dict(message.metadata),
        "Tag": message.tags[0] if message.tags else "",
    }
    if event.what in BOUNCES:
        return data | _bounce(event)
    data |= {"Recipient": message.to, TIMES[event.what]: event.iso}
    match event.what:
        case What.DELIVERED:
            data |= {"RecordType": "Delivery", "Details": f"smtp;{event.said}"}
        case What.UNSUBSCRIBED:
            data |= {
                "RecordType": "SubscriptionChange",
                "Origin": "Recipient",
                "SuppressSending": True,
                "SuppressionReason": "ManualSuppression",
            }
        case What.OPENED:
            data |= {"RecordType": "Open", "FirstOpen": True, **_reader(event)}
        case What.CLICKED:
            data |= {
                "RecordType": "Click",
                "ClickLocation": "HTML",
                "OriginalLink": event.url,
                **_reader(event),
            }
    return data


def _bounce(event: Event) -> dict:
    kind, code, name = BOUNCES[event.what]
    return {
        "RecordType": "SpamComplaint" if event.what is What.COMPLAINED else "Bounce",
        "ID": zlib.crc32(event.id.encode()),
        "Type": kind,
        "TypeCode": code,
        "Name": name,
        "Description": "The server was unable to deliver your message.",
        "Details": f"smtp;{event.said}" if event.code else "",
        "Email": event.message.to,
        "From": event.message.sender,
        "BouncedAt": event.iso,
        "DumpAvailable": True,
        "Inactive": event.what in (What.BOUNCED, What.COMPLAINED),
        "CanActivate": True,
        "Subject": event.message.subject,
    }


def _reader(event: Event) -> dict:
    return {
        "Client": {"Name": "Firefox", "Company": "Mozilla", "Family": "Firefox"},
        "OS": {"Name": "Linux", "Company": "", "Family": "Linux"},
        "Platform": "Desktop",
        "UserAgent": event.agent,
        "Geo": {"IP": event.ip, "Country": "Germany", "CountryISOCode": "DE"},
    }
