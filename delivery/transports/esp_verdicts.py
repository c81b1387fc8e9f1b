"""What an ESP's refusal at the hand-over says of the recipient, in its own words for that.

Most refusals are about the call, the content or the account and say nothing of anybody. The table of mail servers' words
is not asked: an HTTP status is no SMTP reply, and "invalid" is mostly something of ours.
"""

import re
from collections.abc import Mapping
from typing import Final

from delivery.feedback.facts import Kind
from delivery.hooks.verdicts import UNSAID

BOUNCED, SOFT = Kind.BOUNCED, Kind.SOFT_BOUNCED
COMPLAINED, UNSUBSCRIBED = Kind.COMPLAINED, Kind.UNSUBSCRIBED

# The first that fits decides. Where the same words may be of our sender, the field of the recipient is asked for, too.
# Whom Brevo, Mailgun, Mailjet, Mailtrap, Resend and SendGrid hold suppressed they tell later, by an event.
_WORDS: Final[Mapping[str, tuple[tuple[str, Kind], ...]]] = {
    "amazon_ses": ((r"suppression list|Address blacklisted", UNSAID),),
    "brevo": ((r"email is not valid in to\b", BOUNCED),),
    "mailersend": (
        (r'"reasons":\s*\[[^]]*"spam_complaint"', COMPLAINED),
        (r'"reasons":\s*\[[^]]*"unsubscribed"', UNSUBSCRIBED),
        (r'"reasons":\s*\[[^]]*"hard_bounced"', BOUNCED),
        (r'"reasons":\s*\[[^]]*"blocklisted"', UNSAID),
        (r"to\.\d+\.email must be a valid email", BOUNCED),
    ),
    "mailgun": ((r"'to' parameter is not a valid address", BOUNCED),),
    "mailjet": ((r'^(?=.*"mj-0013")(?=.*"To\[\d+\])', BOUNCED),),
    "mailtrap": ((r"'to' address .{1,300} is invalid", BOUNCED),),
    "mandrill": (
        (r'"reject_reason":\s*"spam"', COMPLAINED),
        (r'"reject_reason":\s*"unsub"', UNSUBSCRIBED),
        (r'"reject_reason":\s*"(hard-bounce|invalid)"|"status":\s*"invalid"', BOUNCED),
        (r'"reject_reason":\s*"soft-bounce"', SOFT),
        (r'"reject_reason":\s*"custom"', UNSAID),
    ),
    # 406: after a hard bounce, a complaint or by hand.
    "postmark": (
        (r'"ErrorCode":\s*406\b|inactive addresses', UNSAID),
        (r"(Invalid|Error parsing) 'To'", BOUNCED),
    ),
    "resend": ((r"Invalid `to` field", BOUNCED),),
    "scaleway": ((r'"argument_name":\s*"to\b', UNSAID),),
    "sendgrid": ((r'^(?=.*valid address)(?=.*"personalizations\.\d+\.to\.\d+\.email")', BOUNCED),),
    "sparkpost": (
        (r"recipient address was suppressed", UNSAID),
        (r"recipient address was invalid|valid recipient is required", BOUNCED),
    ),
    # "permanent_unavailable" stands for gone and for whoever wants nothing of anybody.
    "unisender_go": (
        (r'"failed_emails":\s*\{[^}]*:\s*"complained"', COMPLAINED),
        (r'"failed_emails":\s*\{[^}]*:\s*"unsubscribed"', UNSUBSCRIBED),
        (r'"failed_emails":\s*\{[^}]*:\s*"invalid"', BOUNCED),
        (r'"failed_emails":\s*\{[^}]*:\s*"(permanent|temporary)_unavailable"', UNSAID),
    ),
}


def verdict_of(provider: str, told: str) -> Kind | None:
    """told: the answer to a call for one recipient, or the part about one; the JSON as it came."""
    return next((kind for words, kind in _WORDS.get(provider, ()) if re.search(words, told, re.DOTALL)), None)
