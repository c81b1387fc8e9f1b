"""Addresses that mail comes back to, one a recipient (variable envelope return paths): made, and read again.

An account's return path is a domain whose mail reaches Volley, "bounces.acme.example", or a mailbox that takes plus
addresses, "bounces@acme.example". What stands before the plus decides nothing: the token's signature tells a bounce
from a wish to leave.
"""

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from delivery import links
from delivery.models import Mailbox, SendingAccount

TRIAL: Final = 0  # in place of a mailing's id: a test bounce of the account whose id is the number
LONGEST_LOCAL: Final = (
    19  # letters before the plus: 64 (RFC 5321 §4.5.3.1.1) without the plus and the token's 44
)
BOUNCES, LEAVES = "b", "unsub"  # before the plus where the whole domain is ours
_TOKEN: Final = re.compile(r"\+([0-9a-f]{44})@", re.IGNORECASE)


@dataclass(frozen=True)
class Paths:
    """What stands before and behind the token."""

    before_bounces: str
    before_leaves: str
    domain: str

    def bounces_of(self, mailing_id: int, number: int) -> str:
        return f"{self.before_bounces}+{links.mail_tokens(mailing_id, number).bounce}@{self.domain}"

    def leaves_of(self, mailing_id: int, number: int) -> str:
        return f"{self.before_leaves}+{links.mail_tokens(mailing_id, number).unsubscribe}@{self.domain}"


class Named(NamedTuple):
    """Whom an address names. leaves: it is where mails to unsubscribe go, else where bounces do."""

    mailing_id: int
    number: int
    leaves: bool


def paths(return_path: str) -> Paths | None:
    """None where there is none."""
    if not return_path:
        return None
    local, _, domain = return_path.rpartition("@")
    return Paths(local or BOUNCES, local or LEAVES, domain)


def return_path_of(account: SendingAccount) -> str:
    """In lower case; "" where bounces go to the sender."""
    return str(account.settings.get("return_path") or "").lower()


def leave_path_of(account: SendingAccount) -> str:
    """Where mails to leave may go: the account's return path, else a mailbox of the workspace that takes them."""
    known = Mailbox.objects.filter(workspace_id=account.workspace_id).exclude(address="").order_by("pk")
    return return_path_of(account) or (known.values_list("address", flat=True).first() or "").lower()


def read(address: str) -> Named | None:
    """Whom it names; None where its token is none, or not signed by us."""
    found = _TOKEN.search(address)
    if found is None:
        return None
    for reads, leaves in ((links.read_bounce_token, False), (links.read_leave_token, True)):
        named = reads(found[1])
        if named:
            return Named(*named, leaves)
    return None
