"""From whom a confirmation comes, and by which account: as the list says, or as the workspace usually sends."""

from dataclasses import dataclass

from accounts.models import Workspace
from delivery.mailings import stand_in_for
from delivery.models import Confirmation, Mailing, SendingAccount


@dataclass(frozen=True)
class Sender:
    name: str
    email: str
    reply_to: str = ""


@dataclass(frozen=True)
class Way:
    """problem: why nothing can leave now, in words; else account and sender are there."""

    sender: Sender
    account: SendingAccount | None
    problem: str = ""


def way_of(words: Confirmation, workspace: Workspace) -> Way:
    """Three short queries at most."""
    sender = sender_of(words, workspace)
    account, problem = _account(words, workspace, sender.email)
    if not problem and not sender.email:
        problem = "It is not known from which address the confirmations are to come."
    return Way(sender, account, problem)


def sender_of(words: Confirmation, workspace: Workspace) -> Sender:
    if words.from_email:
        return Sender(words.from_name or workspace.name[:120], words.from_email, words.reply_to)
    usual = usual_sender(workspace)
    return Sender(words.from_name or usual.name, usual.email, words.reply_to or usual.reply_to)


def usual_sender(workspace: Workspace) -> Sender:
    """As the workspace's latest mailing was sent; its e-mail address is "" where nothing was sent yet."""
    parts = ("content__from_name", "content__from_email", "content__reply_to")
    latest = Mailing.objects.of(workspace).order_by("-id").values_list(*parts).first()
    name, email, reply_to = latest or (workspace.name[:120], "", "")
    return Sender(name, email, reply_to or "")


def _account(words: Confirmation, workspace: Workspace, sender: str) -> tuple[SendingAccount | None, str]:
    usual = SendingAccount.objects.of(workspace).filter(is_default=True)
    account = words.account or usual.first()
    if account is None:
        return None, "There is no sending account yet."
    problem = account.refusal_of(sender) if sender else ""
    if account.stopped_reason:
        problem = f"The sending account “{account}” is set aside: {account.stopped_reason}"
    if not problem:
        return account, ""
    heir = stand_in_for(account, sender)
    return (heir, "") if heir else (None, problem)
