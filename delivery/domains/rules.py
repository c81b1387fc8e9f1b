"""What Gmail, Yahoo and Microsoft ask of whoever sends many messages, held against what is known here.

Google: support.google.com/a/answer/81126; Yahoo: senders.yahooinc.com; Microsoft: 550 5.7.515 since May 2025.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db.models import Sum
from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone

from accounts.models import Workspace
from delivery import providers
from delivery.domains.findings import LABELS, Finding, State, worst
from delivery.domains.naming import is_within
from delivery.domains.standing import findings
from delivery.hygiene.standing import COMPLAINTS_MOST, COMPLAINTS_WANTED
from delivery.models import Mailing, SendingAccount, SendingDomain

DAYS = 30
BOUNCES_WANTED, BOUNCES_MOST = 0.02, 0.05  # of what was accepted
FEW = 1_000  # messages, below which a share says little
ALL = "Gmail, Yahoo, Microsoft"
BIG_TWO = "Gmail, Yahoo"


@dataclass(frozen=True)
class Rule:
    """to_do: "" where nothing is."""

    label: str
    asked_by: str
    state: State
    said: str
    to_do: str = ""

    @property
    def state_label(self) -> str:
        return LABELS[self.state]


@dataclass
class Sums:
    """Of the last 30 days, in people."""

    accepted: int = 0
    returned: int = 0  # hard, soft, blocked
    bounced: int = 0
    complained: int = 0

    @property
    def delivered(self) -> int:
        return max(self.accepted - self.returned, 0)


def rules(domains: list[SendingDomain], workspace: Workspace) -> list[tuple[SendingDomain, list[Rule]]]:
    """For each domain its rows. Two queries, whatever the number of domains."""
    accounts = [
        each
        for each in SendingAccount.objects.of(workspace).filter(stopped_reason="")
        if each.provider != providers.INBOX.name
    ]
    sums = _sums(workspace, [each.name for each in domains])
    found = []
    for domain in domains:
        its = [each for each in accounts if _serves(each, domain)]
        rows = [
            *_records(domain, its),
            _one_click(domain, its),
            *_hosts(domain, its),
            *_rates(sums[domain.name]),
        ]
        found.append((domain, rows))
    return found


def _serves(account: SendingAccount, domain: SendingDomain) -> bool:
    """Whether it may send from the domain, or from a part of it."""
    allowed = account.sender_domains
    return not allowed or any(is_within(each, domain.name) for each in allowed)


def _sums(workspace: Workspace, names: list[str]) -> dict[str, Sums]:
    """What left from each domain; a message from a part of one counts for the nearest above it."""
    since = timezone.now() - timedelta(days=DAYS)
    sent = Mailing.objects.of(workspace).filter(created_at__gt=since, is_test=False)
    rows = (
        sent.annotate(sender=KeyTextTransform("from_email", "content"))
        .values_list("sender")
        .annotate(
            *map(
                Sum,
                (
                    "accepted_count",
                    "bounced_count",
                    "soft_bounced_count",
                    "blocked_count",
                    "complained_count",
                ),
            )
        )
    )
    sums: dict[str, Sums] = defaultdict(Sums)
    for sender, accepted, bounced, soft, blocked, complained in rows:
        host = (sender or "").rpartition("@")[2].lower()
        name = max((each for each in names if is_within(host, each)), key=len, default=None)
        if name is None:
            continue
        sums[name].accepted += accepted
        sums[name].returned += bounced + soft + blocked
        sums[name].bounced += bounced
        sums[name].complained += complained
    return sums


def _records(domain: SendingDomain, accounts: list[SendingAccount]) -> list[Rule]:
    found = findings(domain, "records")
    return [
        _of(
            "SPF",
            [each for each in found if each.subject == "spf"],
            "Set the record that the domain’s page shows.",
        ),
        _dkim(domain, found, accounts),
        _of(
            "DMARC",
            [each for each in found if each.subject == "dmarc"],
            "Set the record that the domain’s page shows.",
        ),
        _alignment(domain, found),
    ]


def _of(label: str, found: list[Finding], to_do: str, asked_by: str = ALL) -> Rule:
    if not found:
        return Rule(label, asked_by, "unknown", "Not checked yet.", "Check the domain.")
    state = worst([each.state for each in found])
    said = next(each.said[0] for each in found if each.state == state and each.said)
    return Rule(label, asked_by, state, said, "" if state == "good" else to_do)


def _dkim(domain: SendingDomain, found: list[Finding], accounts: list[SendingAccount]) -> Rule:
    keys = [each for each in found if each.subject in ("dkim", "dkim_other") and each.required]
    unknown = [] if domain.selectors else _who_may_not_sign(domain, found, accounts)
    more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
    if unknown and all(each.state == "good" for each in keys):
        return Rule(
            "DKIM",
            ALL,
            "unknown",
            f"Whether messages of {', '.join(unknown[:3])}{more} are signed in the name of {domain} is not known here.",
            "Set the records that the provider shows, and name their selectors on the domain’s page.",
        )
    return _of("DKIM", keys, "Set the record that the domain’s page shows.")


def _who_may_not_sign(
    domain: SendingDomain, found: list[Finding], accounts: list[SendingAccount]
) -> list[str]:
    """Services of whom no key was found, and a mail server that is to sign itself."""
    esps = [each for each in accounts if providers.PROVIDERS[each.provider].is_esp]
    seen = {each.provider for each in found if each.state == "good"}
    who = [str(each) for each in esps if each.provider not in seen]
    is_by_server = not domain.signs and (len(esps) < len(accounts) or not esps)
    return [*who, "the mail server"] if is_by_server else who


def _alignment(domain: SendingDomain, found: list[Finding]) -> Rule:
    """RFC 9989 §4.4: DMARC passes by a signature of the From domain, or a return path within it."""
    keys = [each for each in found if each.subject in ("dkim", "dkim_other")]
    if any(each.state == "good" and each.required for each in keys):
        return Rule("Alignment", ALL, "good", f"The signature names {domain}, as the sender does.")
    state: State = "wrong" if keys and all(each.state == "wrong" for each in keys) else "unknown"
    said = "No signature names the sender’s domain, so DMARC rests on SPF alone, which forwarding breaks."
    return Rule("Alignment", ALL, state, said, "Bring DKIM in order first.")


def _one_click(domain: SendingDomain, accounts: list[SendingAccount]) -> Rule:
    """RFC 8058: both headers, an https link in them, and a signature over them, which an ESP sees to itself."""
    label = "Unsubscribe by one click"
    without = [
        str(each) for each in accounts if not providers.PROVIDERS[each.provider].one_click(each.settings)
    ]
    if without:
        names = ", ".join(without)
        said = (
            f"{names}: messages leave without the headers of RFC 8058, so mail programs show no button; the link in "
            "the text works."
        )
        return Rule(label, ALL, "wrong", said, "Send by an account that takes them; its page says so.")
    if not settings.PUBLIC_URL.startswith("https://"):
        said = (
            "Campaigns bear the headers of RFC 8058, but their link begins with http, and it must be https."
        )
        return Rule(label, ALL, "wrong", said, "Set PUBLIC_URL to an address that begins with https://.")
    is_ours = domain.signs and not any(providers.PROVIDERS[each.provider].is_esp for each in accounts)
    signed = ", covered by the signature," if is_ours else ""
    return Rule(
        label, ALL, "good", f"Every campaign bears the headers of RFC 8058{signed} and a link in its text."
    )


def _hosts(domain: SendingDomain, accounts: list[SendingAccount]) -> list[Rule]:
    """Of SMTP servers; an ESP sees to its own."""
    smtp = [each for each in accounts if each.provider == providers.SMTP.name]
    if not smtp:
        said = "Your provider’s servers see to it." if accounts else "No account sends to the outside yet."
        return [Rule("TLS", ALL, "good", said), Rule("Reverse names", ALL, "good", said)]
    return [_tls(smtp), _ptr(findings(domain, "hosts"))]


def _tls(smtp: list[SendingAccount]) -> Rule:
    bare = [str(each) for each in smtp if each.settings.get("security", "none") == "none"]
    if not bare:
        return Rule("TLS", BIG_TWO, "good", "Messages are handed over by TLS.")
    names = ", ".join(bare)
    said = f"{names}: messages are handed over without TLS. Whether the server uses it further on is not known here."
    return Rule(
        "TLS",
        BIG_TWO,
        "warning",
        said,
        "Choose STARTTLS in the account, unless the server stands in your network.",
    )


def _ptr(hosts: list[Finding]) -> Rule:
    to_do = "Have a name set for the address by whoever gave it to you, and the same address for that name."
    if hosts:
        return _of("Reverse names", hosts, to_do, BIG_TWO)
    said = "The SMTP server has no public address that could be looked at; the one that its mail leaves from counts."
    return Rule("Reverse names", BIG_TWO, "unknown", said, to_do)


def _rates(sums: Sums) -> list[Rule]:
    return [
        _rate(
            "Complaints",
            sums.complained,
            sums.delivered,
            (COMPLAINTS_WANTED / 100, COMPLAINTS_MOST / 100),
            "Write to those only who asked for it and read it, and make leaving easy. "
            "Gmail tells its own figure in Postmaster Tools alone.",
            ALL,
        ),
        _rate(
            "Hard bounces",
            sums.bounced,
            sums.accepted,
            (BOUNCES_WANTED, BOUNCES_MOST),
            "Ask new people to confirm their address, and do not write to old lists.",
            ALL,
        ),
    ]


def _rate(label: str, count: int, of: int, limits: tuple[float, float], to_do: str, asked_by: str) -> Rule:
    wanted, most = limits
    if not of:
        return Rule(label, asked_by, "good", f"Nothing was sent in the last {DAYS} days.")
    share = count / of
    state: State = "good" if share < wanted else "warning" if share < most else "wrong"
    few = f" Of fewer than {FEW:,} messages, a share says little." if of < FEW else ""
    said = (
        f"{100 * share:.2f} % ({count:,} of {of:,}) in the last {DAYS} days; "
        f"below {100 * wanted:.1f} % is wanted, {100 * most:.1f} % is the most.{few}"
    )
    return Rule(label, asked_by, state, said, "" if state == "good" else to_do)
