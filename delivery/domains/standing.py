"""What a domain's last check means for those who send from it."""

from dataclasses import dataclass
from typing import Literal

from accounts.models import Workspace
from delivery import providers
from delivery.domains.findings import LABELS, Finding, State, worst
from delivery.domains.naming import domain_of, is_public, names_above
from delivery.models import SendingAccount, SendingDomain

Group = Literal["records", "hosts", "blocklists"]


@dataclass(frozen=True)
class Concern:
    """blocks: nothing is to leave before it is mended. domain: whose page mends it; None: there is none yet."""

    text: str
    blocks: bool
    domain: SendingDomain | None


def findings(domain: SendingDomain, group: Group) -> list[Finding]:
    """As the last check left them."""
    return [Finding(**each) for each in domain.checks.get(group, [])]


def state_of(domain: SendingDomain) -> State:
    """Of its records alone: what its owner can set."""
    return worst([each.state for each in findings(domain, "records")]) if domain.checked_at else "unknown"


def shown_state(domain: SendingDomain) -> dict[str, str]:
    """For a badge."""
    state = state_of(domain)
    return {"state": state, "state_label": LABELS[state] if domain.checked_at else "Not checked yet"}


def domain_for(workspace: Workspace, address: str) -> SendingDomain | None:
    """The one that answers for a sender: its own, else the nearest above it."""
    names = names_above(address.rpartition("@")[2])
    known = SendingDomain.objects.of(workspace).filter(name__in=names).select_related("workspace")
    return max(known, key=lambda each: len(each.name), default=None)


def is_looked_up(account: SendingAccount, address: str) -> bool:
    """Whether receivers will look the sender's domain up: not in the local inbox, nor a name that DNS cannot know."""
    return account.provider != providers.INBOX.name and is_public(domain_of(address))


def concerns(account: SendingAccount, address: str) -> list[Concern]:
    """What stands against sending from the address through the account; nothing where no receiver will look."""
    if not is_looked_up(account, address):
        return []
    domain = domain_for(account.workspace, address)
    if domain is None:
        text = (
            f"{domain_of(address)} is not one of your sending domains yet. Once you send or schedule this, it becomes "
            "one, and its records are looked up first."
        )
        return [Concern(text, blocks=False, domain=None)]
    if domain.checked_at is None:
        text = f"The records of {domain} are being looked up for the first time. Try again in half a minute."
        return [Concern(text, blocks=not domain.is_excused, domain=domain)]
    subjects = _subjects(domain, account)
    return [*_missing(domain, subjects), *_advice(domain, account)]


def _subjects(domain: SendingDomain, account: SendingAccount) -> tuple[str, ...]:
    """Which DKIM keys matter: an ESP signs by its own, an SMTP server's mail is signed here or there."""
    signs_here = domain.signs and not providers.PROVIDERS[account.provider].is_esp
    return ("dkim" if signs_here else "dkim_other", "dmarc")


def _missing(domain: SendingDomain, subjects: tuple[str, ...]) -> list[Concern]:
    wrong = [
        each
        for each in findings(domain, "records")
        if each.required and each.state == "wrong" and each.subject in subjects
    ]
    return [
        Concern(f"{each.label} of {domain} is not in order: {each.said[0]}", not domain.is_excused, domain)
        for each in wrong
    ]


def _advice(domain: SendingDomain, account: SendingAccount) -> list[Concern]:
    found = findings(domain, "records")
    concerns = []
    if "dkim_other" in _subjects(domain, account) and not domain.selectors:
        concerns += _service(domain, account, [each for each in found if each.provider == account.provider])
    concerns += [
        Concern(
            f"{each.label} of {each.host or domain} is not in order: {each.said[0]}",
            blocks=False,
            domain=domain,
        )
        for each in [*found, *_hosts(domain, account)]
        if each.state == "wrong" and not each.required and each.subject not in ("dkim", "dkim_other")
    ]
    if any(each.state == "wrong" for each in findings(domain, "blocklists")):
        concerns.append(
            Concern(f"{domain} or its server stands on a blocklist.", blocks=False, domain=domain)
        )
    return concerns


def _hosts(domain: SendingDomain, account: SendingAccount) -> list[Finding]:
    """The account's own server, of those that send for the domain."""
    own = str(account.settings.get("host", "")).strip("[]").lower()
    return [each for each in findings(domain, "hosts") if each.host == own]


def _service(domain: SendingDomain, account: SendingAccount, keys: list[Finding]) -> list[Concern]:
    """keys: of its provider, as far as one knows what they are called."""
    if any(each.state == "good" for each in keys):
        return []
    text = f"Whether {account} signs with a key of {domain} is not known: name its selectors on the domain’s page."
    if not providers.PROVIDERS[account.provider].is_esp:
        text = (
            f"Volley does not sign for {domain} what leaves by SMTP. Tick it under “How it sends” on the domain’s page; "
            f"or, if the server of {account} signs itself, name its selectors there."
        )
    if keys:
        text = f"{keys[0].label} at {domain} is worth a look: {keys[0].said[0]}"
    return [Concern(text, blocks=False, domain=domain)]
