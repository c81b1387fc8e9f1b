"""Whether a call is the provider's own, by anymail's views where they check that, and by ourselves where they do not."""

import importlib
import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final, TypeVar

import requests
from cryptography.hazmat.primitives import serialization
from django.http import HttpRequest

from delivery.hooks import replays, sns
from delivery.hooks.setup import SETUPS, address_of, proof_of
from delivery.models import SendingAccount

_VIEWS: Final = {
    "amazon_ses": "AmazonSESTrackingWebhookView",
    "brevo": "BrevoTrackingWebhookView",
    "mailersend": "MailerSendTrackingWebhookView",
    "mailgun": "MailgunTrackingWebhookView",
    "mailjet": "MailjetTrackingWebhookView",
    "mailtrap": "MailtrapTrackingWebhookView",
    "mandrill": "MandrillCombinedWebhookView",
    "postal": "PostalTrackingWebhookView",
    "postmark": "PostmarkTrackingWebhookView",
    "resend": "ResendTrackingWebhookView",
    "sendgrid": "SendGridTrackingWebhookView",
    "sparkpost": "SparkPostTrackingWebhookView",
    "unisender_go": "UnisenderGoTrackingWebhookView",
}
T = TypeVar("T")
_FRAME: Final = re.compile(r"-----[A-Z ]+-----|\s")


class Refused(Exception):  # noqa: N818  (as Refusal: a call was refused)
    """status: of the answer, 4xx."""

    def __init__(self, status: HTTPStatus = HTTPStatus.FORBIDDEN) -> None:
        super().__init__(status)
        self.status = status


def view_of(provider: str, **proof: Any) -> Any:
    """Anymail's view; with a password of nobody's, where it would warn that it has none."""
    view = getattr(importlib.import_module(f"anymail.webhooks.{provider}"), _VIEWS[provider])
    return view(**{"webhook_secret": ["-:-"]} | proof)


def check(account: SendingAccount, request: HttpRequest) -> str:
    """Look at who calls; the body has been read.

    Returns: what no two calls have in common, "" where the provider has nothing of the kind.
    Raises: Refused; requests.RequestException: it cannot be looked at just now.
    """
    proof = proof_of(account)
    if account.provider == "amazon_ses":
        return _check_amazon(proof, request)
    if not proof:
        raise Refused
    _own(lambda: _check_anymail(account, proof, request))
    sign = _own(lambda: replays.sign_of(account.provider, request))
    if sign and replays.is_old(account.provider, sign[1]):
        raise Refused
    if not is_readable(account.provider, request):
        raise Refused(HTTPStatus.BAD_REQUEST)
    return sign[0] if sign else ""


def _own(look: Callable[[], T]) -> T:
    """What is looked at was written by anybody, and the parsers raise what they like: all of it says no. But that
    Amazon's certificate cannot be fetched just now says nothing."""
    try:
        return look()
    except (Refused, requests.RequestException):
        raise
    except Exception as error:
        raise Refused from error


def _check_anymail(account: SendingAccount, proof: str, request: HttpRequest) -> None:
    setup = SETUPS[account.provider]
    given: dict[str, Any] = {setup.argument: [proof] if setup.proof == "password" else proof}
    if account.provider == "mandrill":
        given["webhook_url"] = address_of(account)  # what it signs is what it was told, whatever proxies do
    view = view_of(account.provider, **given)
    if setup.proof != "password":
        view.basic_auth = []
    view.run_validators(request)


def _check_amazon(topic: str, request: HttpRequest) -> str:
    """A topic that no admin has confirmed may ask to be, and nothing else."""
    said = _own(lambda: sns.read(request))
    is_asking = said["Type"] == "SubscriptionConfirmation"
    if not is_asking and said["TopicArn"] != topic:
        raise Refused
    if _own(lambda: replays.is_old("amazon_ses", sns.signed_at(said))):
        raise Refused
    _own(lambda: sns.check(said))
    return str(said["MessageId"])


def is_readable(provider: str, request: HttpRequest) -> bool:
    """Whether the body is JSON, or a form with what the provider puts into forms."""
    try:
        if provider == "mandrill":
            return isinstance(json.loads(request.POST["mandrill_events"]), list)
        if provider == "mailgun" and request.content_type != "application/json":
            return "event" in request.POST
        return isinstance(json.loads(request.body), (dict, list))
    except (LookupError, ValueError, RecursionError):
        return False


def cleaned(provider: str, typed: str) -> str:
    """A key as anymail's view takes it; keys in PEM without its frame. Raises: ValueError: it cannot be one."""
    argument = SETUPS[provider].argument
    if provider in ("postal", "sendgrid"):
        typed = _FRAME.sub("", typed).removeprefix("p=").rstrip(";")
        serialization.load_pem_public_key(
            f"-----BEGIN PUBLIC KEY-----\n{typed}\n-----END PUBLIC KEY-----".encode()
        )
    try:
        view_of(provider, **{argument: typed})
    except Exception as error:
        raise ValueError from error
    return typed
