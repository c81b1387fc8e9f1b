"""Webhooks without a server: what a provider would post about messages, rightly signed.

key = new_key("mailgun")
for post in posts("mailgun", [event("delivered", Message("mailgun", "<1@x>", "eve@example.com"))], key):
    client.post(url, **post.as_django())
"""

import datetime
import importlib
from collections.abc import Sequence

from tests.fake_esp.happenings import SAID, Event, Key, Post, What, event
from tests.fake_esp.messages import Message

__all__ = [
    "PROVIDERS",
    "SAID",
    "Event",
    "Key",
    "Message",
    "Post",
    "What",
    "event",
    "kinds",
    "new_key",
    "posts",
]

# Scaleway has no webhooks.
PROVIDERS = (
    "amazon_ses", "brevo", "mailersend", "mailgun", "mailjet", "mailtrap", "mandrill", "postal", "postmark",
    "resend", "sendgrid", "sparkpost", "unisender_go",
)  # fmt: skip


def new_key(provider: str) -> Key:
    """The provider's key for one webhook; `key.known` is what an account has to be told."""
    return _of(provider).new_key()


def kinds(provider: str) -> list[What]:
    """What this provider tells of at all."""
    return list(_of(provider).KINDS)


def posts(
    provider: str,
    events: Sequence[Event],
    key: Key,
    url: str = "http://testserver/",
    signed_at: datetime.datetime | None = None,
) -> list[Post]:
    """The calls that tell of the events, in their order; many in one call where the provider does so.

    url: where they go, which Mandrill signs. signed_at: for signatures that are old; now otherwise.
    """
    return _of(provider).posts(events, key, url, signed_at or datetime.datetime.now(datetime.UTC))


def _of(provider: str):
    return importlib.import_module(f"tests.fake_esp.hooks.{provider}")
