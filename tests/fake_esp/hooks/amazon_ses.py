"""Amazon SES: events by SNS, one a call, signed by RSA.

https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
"""

import json
import uuid

from cryptography.hazmat.primitives import hashes

from tests.fake_esp.happenings import Event, Key, Post, What, basic_auth, certified_key, signed_rsa

KINDS = {
    What.DELIVERED: "Delivery",
    What.DEFERRED: "DeliveryDelay",
    What.BOUNCED: "Bounce",
    What.SOFT_BOUNCED: "Bounce",
    What.BLOCKED: "Bounce",
    What.COMPLAINED: "Complaint",
    What.OPENED: "Open",
    What.CLICKED: "Click",
    What.UNSUBSCRIBED: "Subscription",
    What.REJECTED: "Reject",
}
BOUNCES = {
    What.BOUNCED: ("Permanent", "General"),
    What.SOFT_BOUNCED: ("Transient", "MailboxFull"),
    What.BLOCKED: ("Transient", "ContentRejected"),
}
TOPIC = "arn:aws:sns:eu-west-1:123456789012:volley"
# The fake serves it, too, below its own address of the API.
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-fake.pem"
# What is signed, in this order. https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}


def new_key() -> Key:
    return certified_key()


def posts(events, key, url, signed_at, **more) -> list[Post]:
    return [notification(json.dumps(payload(each)), each.id, key, signed_at, **more) for each in events]


def notification(message: str, name: str, key: Key, signed_at, **more) -> Post:
    """message: SES's own JSON as a string, or what SNS itself says."""
    return _post({"Type": "Notification", "Message": message}, name, key, signed_at, **more)


def confirmation(key: Key, signed_at, *, subscribe_url: str = "", **more) -> Post:
    """What SNS posts first, when the address is subscribed to the topic."""
    said = {
        "Type": "SubscriptionConfirmation",
        "Token": "2336412f37fb687f5d51e6e241d09c81",
        "Message": f"You have chosen to subscribe to the topic {TOPIC}. Visit the SubscribeURL.",
        "SubscribeURL": subscribe_url or "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
    }
    return _post(said, uuid.uuid4().hex, key, signed_at, **more)


def _post(
    said: dict, name, key, signed_at, *, version="1", certificate_url=CERTIFICATE_URL, topic=TOPIC
) -> Post:
    kind, name = said["Type"], str(uuid.UUID(name))
    moment = signed_at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{signed_at.microsecond // 1000:03}Z"
    body = {**said, "MessageId": name, "TopicArn": topic, "Timestamp": moment, "SignatureVersion": version}
    signed = "".join(f"{field}\n{body[field]}\n" for field in SIGNED[kind] if field in body)
    digest = hashes.SHA1() if version == "1" else hashes.SHA256()
    body |= {"Signature": signed_rsa(key, signed.encode(), digest), "SigningCertURL": certificate_url}
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": name,
        "x-amz-sns-topic-arn": topic,
        "User-Agent": "Amazon Simple Notification Service Agent",
        **basic_auth(key),
    }
    return Post(json.dumps(body).encode(), headers)


def payload(event: Event) -> dict:
    message, kind = event.message, KINDS[event.what]
    headers = [{"name": name, "value": value} for name, value in message.headers.items()]
    mail = {
        "timestamp": event.iso,
        "source": message.sender,
        "sourceArn": "arn:aws:ses:eu-west-1:123456789012:identity/acme.example",
        "sendingAccountId": "123456789012",
        "messageId": message.id,
        "destination": [message.to],
        "headersTruncated": False,
        "headers": headers,
        "commonHeaders": {"from": [message.sender], "to": [message.to], "subject": message.subject},
        "tags": {"ses:configuration-set": ["volley"], "ses:from-domain": ["acme.example"]},
    }
    return {"eventType": kind, "mail": mail, kind[0].lower() + kind[1:]: _details(event)}


def _details(event: Event) -> dict:
    to = event.message.to
    failed = {
        "emailAddress": to,
        "action": "failed",
        "status": event.status,
        "diagnosticCode": f"smtp; {event.said}",
    }
    match event.what:
        case What.DELIVERED:
            return {
                "timestamp": event.iso,
                "processingTimeMillis": 546,
                "recipients": [to],
                "smtpResponse": event.said,
                "reportingMTA": "a8-70.smtp-out.amazonses.com",
            }
        case What.DEFERRED:
            delayed = {"emailAddress": to, "status": event.status, "diagnosticCode": f"smtp; {event.said}"}
            return {
                "timestamp": event.iso,
                "delayType": "TransientCommunicationFailure",
                "expirationTime": event.iso,
                "delayedRecipients": [delayed],
            }
        case What.BOUNCED | What.SOFT_BOUNCED | What.BLOCKED:
            kind, sub = BOUNCES[event.what]
            return {
                "timestamp": event.iso,
                "bounceType": kind,
                "bounceSubType": sub,
                "bouncedRecipients": [failed],
                "feedbackId": event.id,
                "reportingMTA": "dns; mx.example.com",
            }
        case What.COMPLAINED:
            return {
                "timestamp": event.iso,
                "complainedRecipients": [{"emailAddress": to}],
                "complaintSubType": None,
                "feedbackId": event.id,
                "userAgent": "Amazon SES Mailbox Simulator",
                "complaintFeedbackType": "abuse",
            }
        case What.OPENED:
            return {"timestamp": event.iso, "userAgent": event.agent, "ipAddress": event.ip}
        case What.CLICKED:
            return {
                "timestamp": event.iso,
                "userAgent": event.agent,
                "ipAddress": event.ip,
                "link": event.url,
                "linkTags": None,
            }
        case What.UNSUBSCRIBED:
            return {
                "timestamp": event.iso,
                "contactList": "volley",
                "source": "UnsubscribeHeader",
                "newTopicPreferences": {"unsubscribeAll": True},
            }
    return {"reason": "Bad content"}
