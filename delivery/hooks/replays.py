"""A call that came before is refused, where its signature says when it was made and is made for it alone.

Elsewhere nothing tells a replay from the provider's own second try, which is the same to the byte where the body alone
is signed (Mailtrap, Mandrill, Unisender Go), and refusing those would make a provider hold back what follows. There the
same event has the same key, and is applied once: see `delivery.feedback.facts.key_of`.
"""

import hashlib
import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import redis
from django.http import HttpRequest

from accounts.queue import redis_client

AHEAD_SECONDS: Final = 300  # a signature may be ahead of our clock
# For how long a signature is good: as long as the provider tries again, since it may not sign anew. What was seen is
# remembered for longer, so that the length lets nothing in twice.
GOOD_SECONDS: Final = {
    "amazon_ses": 3600 + 300,
    "mailersend": 6 * 3600,  # its tries end within half an hour; the rest is for its own queue
    "mailgun": 9 * 3600,
    "postal": 24 * 3600,  # so, too; the queue of one's own server may be long
    "resend": 300,
    "sendgrid": 24 * 3600,
}
log = logging.getLogger(__name__)


def sign_of(provider: str, request: HttpRequest) -> tuple[str, float] | None:
    """(what no two calls have in common, when it was signed, in Unix time) of a call whose signature is right.

    None where the provider has nothing of the kind. Raises: LookupError, TypeError, ValueError: not as documented.
    """
    read = _SIGNS.get(provider)
    return read(request) if read else None


def is_old(provider: str, signed_at: float) -> bool:
    """Or from the future."""
    age = time.time() - signed_at
    return not -AHEAD_SECONDS <= age <= GOOD_SECONDS[provider]  # also NaN


def came_before(account_id: int, sign: str) -> bool:
    """Redis being away, or where two come at once, the events' keys are what guards."""
    try:
        return bool(redis_client().exists(_key(account_id, sign)))
    except redis.RedisError as error:
        log.warning("hook.replays_unknown error=%s", error)
        return False


def remember(provider: str, account_id: int, sign: str) -> None:
    """It is kept; not before, since a call that is lost with its process has to come again."""
    seconds = GOOD_SECONDS[provider] + 2 * AHEAD_SECONDS
    try:
        redis_client().set(_key(account_id, sign), b"", ex=seconds)
    except redis.RedisError as error:
        log.warning("hook.replays_unknown error=%s", error)


def _key(account_id: int, sign: str) -> str:
    return f"volley:hook:seen:{account_id}:{hashlib.sha256(sign.encode()).hexdigest()[:32]}"


def _mailgun(request: HttpRequest) -> tuple[str, float]:
    """Time and token are signed as one text, which could be cut elsewhere: "1700000000e0" is the same time."""
    is_json = request.content_type == "application/json"
    said = json.loads(request.body)["signature"] if is_json else request.POST
    return f"{said['timestamp']}{said['token']}", float(said["timestamp"])


def _mailersend(request: HttpRequest) -> tuple[str, float]:
    """The body is what is signed, with when the call was made."""
    return hashlib.sha256(request.body).hexdigest(), _unix(json.loads(request.body)["created_at"])


def _postal(request: HttpRequest) -> tuple[str, float]:
    """The call has an id and a time, which its next tries keep."""
    said = json.loads(request.body)
    return said["uuid"], float(said["timestamp"])


def _unix(text: str) -> float:
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _resend(request: HttpRequest) -> tuple[str, float]:
    return request.headers["svix-id"] + request.headers["svix-timestamp"], float(
        request.headers["svix-timestamp"]
    )


def _sendgrid(request: HttpRequest) -> tuple[str, float]:
    """Of what is signed: an ECDSA signature itself can be written in two ways."""
    at = request.headers["X-Twilio-Email-Event-Webhook-Timestamp"]
    return at + hashlib.sha256(request.body).hexdigest(), float(at)


_SIGNS: Final[dict[str, Callable[[HttpRequest], tuple[str, float]]]] = {
    "mailersend": _mailersend,
    "mailgun": _mailgun,
    "postal": _postal,
    "resend": _resend,
    "sendgrid": _sendgrid,
}
