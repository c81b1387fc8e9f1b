"""What admins do with an account's webhook: give its key, make a new address, confirm Amazon's topic, let one bounce."""

import json

from django.db import transaction
from django.http import HttpRequest

from accounts.models import User, record
from delivery import accounts
from delivery.hooks import sns
from delivery.hooks.setup import ASKING_TOKEN, ASKING_TOPIC, SETUPS, TOPIC, fresh, known_of
from delivery.models import SendingAccount
from delivery.models.accounts import new_hook_key
from delivery.secrets import seal


@transaction.atomic(durable=True)
def give_key(account: SendingAccount, *, key: str, by: User) -> None:
    """Calls are known by this key of the provider's from now on."""
    _write(account, known_of(account) | {SETUPS[account.provider].argument: key})
    record(by, "account.hook_changed", account)


@transaction.atomic(durable=True)
def renew(account: SendingAccount, *, by: User) -> None:
    """A new address, and a new password where there is one; the old address is nobody's from now on."""
    SendingAccount.objects.filter(pk=account.pk).update(
        hook_key=new_hook_key(), hook=fresh(account.provider) or account.hook
    )
    record(by, "account.hook_renewed", account)


def ask_to_confirm(account: SendingAccount, request: HttpRequest) -> bool:
    """Whether it is Amazon's question if a topic may send to us: an admin answers it. What it says has been checked."""
    said = json.loads(request.body)
    if said["Type"] == "SubscriptionConfirmation":
        _write(account, known_of(account) | {ASKING_TOPIC: said["TopicArn"], ASKING_TOKEN: said["Token"]})
    return said["Type"] != "Notification"


def confirm_topic(account: SendingAccount, *, topic: str, by: User) -> str:
    """Let the topic that asks speak for the account; talks to Amazon, for some seconds.

    topic: that the admin has read; another that asked meanwhile is not confirmed. Returns: "" or what is wrong.
    """
    known = known_of(account)
    if not topic or known.get(ASKING_TOPIC) != topic:
        return "Another topic has asked meanwhile. Look again."
    if said := sns.confirm(topic, known[ASKING_TOKEN]):
        return said
    with transaction.atomic(durable=True):
        _write(account, {TOPIC: topic})
        record(by, "account.hook_confirmed", account)
    return ""


def send_bounce(account: SendingAccount, *, by: User) -> str:
    """Send a message to the provider's own address that bounces. Returns: "" or what is wrong, in words."""
    return accounts.send_test(account, to=SETUPS[account.provider].bounces, by=by)


def _write(account: SendingAccount, known: dict[str, str]) -> None:
    account.hook = seal(known)
    SendingAccount.objects.filter(pk=account.pk).update(hook=account.hook)
