"""What can be done with sending accounts: made, changed, tested, set aside, deleted."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from functools import partial
from typing import Any, Final

import redis
from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from django.utils import timezone

from accounts.errors import Refusal
from accounts.models import User, Workspace, record
from delivery import actions as mailing_actions
from delivery import mailings, providers, quota
from delivery.domains.signing import signer_for
from delivery.hooks.setup import fresh
from delivery.models import MailingState, SendingAccount
from delivery.pipeline import pace
from delivery.secrets import SecretsLost, seal, unseal
from delivery.transports import connect
from delivery.transports.base import CannotConnect, Fate, Message, Outcome

BY_A_PERSON: Final = "Set aside by "  # begins the reason; a server's words are the reason otherwise


class AccountInUse(Refusal):
    code = "account_in_use"
    status = 409


@dataclass(frozen=True)
class Values:
    """What a person typed. secrets: only those typed anew; "" takes one away. pace: fields of the account."""

    name: str
    settings: dict[str, Any]
    secrets: dict[str, str]
    pace: dict[str, Any]
    stands_in: bool = False
    position: int = 0
    share: int = 1
    sender_domains: Sequence[str] = ()


@transaction.atomic(durable=True)
def create(*, workspace: Workspace, provider: str, values: Values, by: User) -> SendingAccount:
    """Make an account; the first of a workspace is its default."""
    _lock(workspace)
    account = SendingAccount.objects.create(
        workspace=workspace,
        provider=provider,
        is_default=not SendingAccount.objects.filter(workspace=workspace, is_default=True).exists(),
        name=values.name,
        settings=values.settings,
        secrets=seal({name: secret for name, secret in values.secrets.items() if secret}),
        hook=fresh(provider),
        stands_in=values.stands_in,
        position=values.position,
        share=values.share,
        sender_domains=list(values.sender_domains),
        **values.pace,
    )
    record(by, "account.created", account)
    return account


@transaction.atomic(durable=True)
def update(account: SendingAccount, *, values: Values, by: User) -> None:
    """Change what was typed; secrets not typed anew stay. Lanes at work connect afresh, and its last test says nothing.

    What it is sending from a domain that it may not send from any more goes another way, or pauses.
    """
    if pace.daily_limit(account, timezone.now()) is None:
        transaction.on_commit(partial(pace.forget_day, account), robust=True)
    secrets = {**stored_secrets(account), **values.secrets}
    unknown: dict[str, Any] = {}
    leads_elsewhere = values.settings != account.settings or bool(values.secrets)
    if leads_elsewhere:
        # Of another account at the provider, perhaps.
        unknown = {"quota": {}, "quota_at": None, "tested_at": None, "test_said": ""}
        transaction.on_commit(partial(quota.ask_anew, account), robust=True)
    SendingAccount.objects.filter(pk=account.pk).update(
        name=values.name,
        settings=values.settings,
        secrets=seal({name: secret for name, secret in secrets.items() if secret}),
        stands_in=values.stands_in,
        position=values.position,
        share=values.share,
        sender_domains=list(values.sender_domains),
        **values.pace,
        **unknown,
        updated_at=timezone.now(),
    )
    mailings.keep_to_its_senders(SendingAccount.objects.get(pk=account.pk))
    if leads_elsewhere or any(getattr(account, name) != value for name, value in values.pace.items()):
        mailings.let_go(account)
    record(by, "account.changed", account)


def stored_secrets(account: SendingAccount) -> dict[str, str]:
    """The secrets it has; none where they can no longer be decrypted, so that they are asked for again."""
    try:
        return unseal(account.secrets)
    except SecretsLost:
        return {}


@transaction.atomic(durable=True)
def delete(account: SendingAccount, *, by: User) -> None:
    """Delete an account that has sent nothing; the default passes to the oldest left.

    Raises: AccountInUse: mailings keep it as their record.
    """
    _lock(account.workspace)
    record(by, "account.deleted", account)
    try:
        account.delete()
    except ProtectedError as error:
        raise AccountInUse(
            f"“{account}” has sent mailings, which keep it in their records. "
            "Set it aside instead: nothing is sent through it then."
        ) from error
    rest = SendingAccount.objects.filter(workspace=account.workspace)
    if not rest.filter(is_default=True).exists():
        by_age = rest.order_by("pk")
        heir = by_age.filter(stopped_reason="").first() or by_age.first()
        rest.filter(pk=heir.pk if heir else 0).update(is_default=True)


@transaction.atomic(durable=True)
def make_default(account: SendingAccount, *, by: User) -> None:
    """New campaigns begin with this account."""
    _lock(account.workspace)
    SendingAccount.objects.filter(workspace=account.workspace, is_default=True).update(is_default=False)
    SendingAccount.objects.filter(pk=account.pk).update(is_default=True)
    record(by, "account.made_default", account)


@transaction.atomic(durable=True)
def set_aside(account: SendingAccount, *, by: User) -> None:
    """Send nothing through it until it is used again: what it was sending goes another way, or pauses."""
    moved = SendingAccount.objects.filter(pk=account.pk, stopped_reason="").update(
        stopped_reason=f"{BY_A_PERSON}{by}.", stopped_at=timezone.now()
    )
    if moved:
        mailings.hand_over(account, f"The sending account “{account}” was set aside by {by}.")
        record(by, "account.set_aside", account)


def refused(workspace: Workspace) -> QuerySet[SendingAccount]:
    """Those that are set aside because of what a server said."""
    stopped = SendingAccount.objects.of(workspace).exclude(stopped_reason="")
    return stopped.exclude(stopped_reason__startswith=BY_A_PERSON)


@transaction.atomic(durable=True)
def use_again(account: SendingAccount, *, by: User) -> None:
    """Take an account back into use: confirmations go on, a campaign is resumed on its own page."""
    moved = (
        SendingAccount.objects.filter(pk=account.pk)
        .exclude(stopped_reason="")
        .update(stopped_reason="", stopped_at=None)
    )
    if moved:
        held = account.mailings.filter(state=MailingState.PAUSED, confirms__isnull=False, is_test=False)
        for mailing in held.order_by("pk"):
            with suppress(
                mailing_actions.SenderNotAllowed
            ):  # its domain was taken from the account meanwhile
                mailing_actions.resume(mailing, by=by)
        record(by, "account.used_again", account)


def test(account: SendingAccount, *, by: User) -> str:
    """Connect, sign in and send a message to the person; talks to the server, for up to 70 seconds.

    Returns: "" when it was accepted, else what is wrong, in words; kept on the account, on which nothing
    else changes but what its provider tells of its quota.
    """
    said = send_test(account, to=by.email, by=by)
    with suppress(redis.RedisError):
        quota.read(account)
    account.tested_at, account.test_said = timezone.now(), said
    SendingAccount.objects.filter(pk=account.pk).update(tested_at=account.tested_at, test_said=said)
    return said


def send_test(account: SendingAccount, *, to: str, by: User) -> str:
    """Send a test message, and keep nothing of it. Returns: "" when it was accepted, else what is wrong, in words."""
    sender = account.settings.get("test_from") or by.email
    try:
        message = _test_message(account, sender, to, by)
        connection = connect(account)
    except SecretsLost as error:
        return error.message
    except CannotConnect as error:
        return error.outcome.server_said or "The connection could not be made."
    try:
        return _words(connection.send(Message(sender, to, message)))
    finally:
        connection.close()


def _words(outcome: Outcome) -> str:
    said = outcome.server_said or outcome.code
    match outcome.fate:
        case Fate.ACCEPTED:
            return ""
        case Fate.DEFERRED:
            return f"The message was put off for now: {said}"
        case Fate.REJECTED:
            return f"The message was refused: {said}"
        case Fate.IN_DOUBT:
            return f"It is not certain that the message was taken: {said}"
        case Fate.SENDER_REFUSED:
            return f"It may not be sent from the sender of test messages: {said}"
    return f"The account was refused: {said}"


def _test_message(account: SendingAccount, sender: str, to: str, by: User) -> list[bytes]:
    """Signed as a campaign would be."""
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"] = sender, to
    message["Subject"] = f"It works: {account}"
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain="volley.invalid")
    words = f"Volley sent this through “{account}” of {account.workspace}: {by} tested the account."
    message.set_content(words + "\n")
    message.add_alternative(f"<p>{_escaped(words)}</p>\n", subtype="html")
    data = message.as_bytes()
    signer = signer_for(account, sender)
    return [signer.sign([data]), data] if signer else [data]


def _escaped(words: str) -> str:
    return words.replace("&", "&amp;").replace("<", "&lt;")


def give_inbox(workspace: Workspace) -> None:
    """A new workspace can send at once, into the local inbox where that runs."""
    if settings.INBOX:
        SendingAccount.objects.create(
            workspace=workspace, name=providers.INBOX.label, provider=providers.INBOX.name, is_default=True
        )


def _lock(workspace: Workspace) -> None:
    """Changes of the default wait for each other."""
    Workspace.objects.select_for_update().get(pk=workspace.pk)
