"""What each provider is told about its webhook, and what we are told so that its calls are known to be its own.

Where to find things is in the words of the providers' own pages.
"""

import secrets
from dataclasses import dataclass
from typing import Final, Literal

from django.conf import settings
from django.urls import reverse

from delivery.models import SendingAccount
from delivery.providers import Field
from delivery.secrets import SecretsLost, seal, unseal

USER: Final = "volley"  # of the providers that sign in with a password
# How a call is known to be the provider's own: by a password that we make, by a key of its own that it shows, by the
# key that the account sends with, by Amazon's signature and the topic that an admin has confirmed.
Proof = Literal["password", "key", "api_key", "topic"]
TOPIC, ASKING_TOPIC, ASKING_TOKEN = "topic", "asking_topic", "asking_token"


@dataclass(frozen=True)
class Setup:
    """argument: what anymail's view calls the proof. where, tick: for a person. key: what is to be pasted here.

    in_address: the password is entered as part of the address. bounces: an address at the provider that bounces.
    """

    proof: Proof
    argument: str
    where: str
    tick: str
    key: Field | None = None
    in_address: bool = True
    bounces: str = ""


def _password(where: str, tick: str, *, in_address: bool = True, bounces: str = "") -> Setup:
    return Setup("password", "webhook_secret", where, tick, in_address=in_address, bounces=bounces)


def _key(argument: str, where: str, tick: str, label: str, help_: str, *, bounces: str = "") -> Setup:
    return Setup("key", argument, where, tick, Field(argument, label, help_, secret=True), bounces=bounces)


# Scaleway tells its webhooks through topics of its own that anymail does not read.
SETUPS: Final = {
    "amazon_ses": Setup(
        "topic",
        "",
        "SES › Configuration sets › your set › Event destinations: a destination of the type Amazon SNS. Then "
        "SNS › Topics › your topic › Create subscription, with the protocol HTTPS and this address. Leave raw message "
        "delivery off, and name the configuration set in this account.",
        "Deliveries, hard bounces, complaints, rejects, rendering failures, subscriptions.",
        bounces="bounce@simulator.amazonses.com",
    ),
    "brevo": _password(
        "Transactional › Settings › Webhook › Add a new webhook.",
        "Delivered, hard bounced, soft bounced, blocked, invalid email, error, complaint, unsubscribed.",
    ),
    "mailersend": _key(
        "signing_secret",
        "Domains › your domain › Manage › Webhooks › Create webhook.",
        "activity.delivered, activity.hard_bounced, activity.soft_bounced, activity.spam_complaint, "
        "activity.unsubscribed.",
        "Signing secret",
        "Shown on the webhook's page there.",
    ),
    "mailgun": _key(
        "webhook_signing_key",
        "Sending › Webhooks › Add webhook, once for each kind of event, for your domain.",
        "Delivered messages, permanent failure, spam complaints, unsubscribes.",
        "HTTP webhook signing key",
        "Sending › Webhooks, or API security. Not the API key.",
    ),
    "mailjet": _password(
        "Account settings › Event notifications (webhooks). Group the events, if it offers to.",
        "Sent, bounce, blocked, spam, unsub.",
    ),
    "mailtrap": _key(
        "tracking_secret",
        "Settings › Webhooks › Create new webhook, of the type Email sending, in JSON.",
        "Delivery, soft bounce, bounce, spam complaint, unsubscription, reject, suspension.",
        "Signature secret",
        "Shown on the webhook's page there.",
    ),
    "mandrill": _key(
        "webhook_key",
        "Settings › Webhooks › Add a webhook. It signs the address, so it must be exactly this one.",
        "Message is bounced, is soft-bounced, is marked as spam, is rejected, recipient unsubscribes.",
        "Key",
        "Shown in the list of webhooks there.",
    ),
    "postal": _key(
        "webhook_key",
        "Your mail server › Webhooks › Add a webhook.",
        "MessageSent, MessageDeliveryFailed, MessageBounced, MessageHeld.",
        "Public key",
        "What stands after p= in what “postal default-dkim-record” prints.",
    ),
    "postmark": _password(
        "Servers › your server › your broadcast stream › Webhooks › Add webhook.",
        "Delivery, bounce, spam complaint, subscription change.",
        bounces="hardbounce@bounce-testing.postmarkapp.com",
    ),
    "resend": _key(
        "signing_secret",
        "Webhooks › Add webhook.",
        "email.delivered, email.bounced, email.complained, email.failed, email.suppressed.",
        "Signing secret",
        "Shown on the webhook's page there. It begins with “whsec_”.",
        bounces="bounced@resend.dev",
    ),
    "sendgrid": _key(
        "tracking_webhook_verification_key",
        "Settings › Mail settings › Event webhooks › Create new webhook. Switch its signature on.",
        "Delivered, dropped, bounced, spam reports, unsubscribes, group unsubscribes.",
        "Verification key",
        "Shown once the signature (Signed Event Webhook) is switched on.",
    ),
    "sparkpost": _password(
        "Configuration › Webhooks › Create webhook, with the authentication Basic auth.",
        "Delivery, bounce, out of band, policy rejection, spam complaint, generation failure, generation rejection, "
        "list unsubscribe, link unsubscribe.",
        in_address=False,
    ),
    "unisender_go": Setup(
        "api_key",
        "api_key",
        "Settings › Webhooks (backend notifications) › Add.",
        "delivered, soft_bounced, hard_bounced, spam, unsubscribed.",
    ),
}


def address_of(account: SendingAccount) -> str:
    """The webhook's address, without what proves a call."""
    path = reverse("hook", args=[account.provider, account.hook_key])
    return settings.PUBLIC_URL + path


def known_of(account: SendingAccount) -> dict[str, str]:
    """What is known about the webhook; nothing where it can no longer be decrypted, and no call is its own then."""
    try:
        return unseal(account.hook)
    except SecretsLost:
        return {}


def proof_of(account: SendingAccount) -> str:
    """What proves a call; "" where that is not known yet, and every call is refused."""
    setup = SETUPS[account.provider]
    try:
        known = unseal(account.secrets) if setup.proof == "api_key" else unseal(account.hook)
    except SecretsLost:
        return ""
    return known.get(TOPIC if setup.proof == "topic" else setup.argument, "")


def fresh(provider: str) -> bytes:
    """What a new account begins with, sealed: a password of 128 bits where the provider signs in with one."""
    setup = SETUPS.get(provider)
    if setup is None or setup.proof != "password":
        return b""
    return seal({setup.argument: f"{USER}:{secrets.token_urlsafe(16)}"})
