"""DNS blocklists (RFC 5782): whether a domain or a server's address stands on one, and what its answer means."""

import ipaddress
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from delivery.domains.findings import Finding
from delivery.domains.lookup import Dns

AT_ONCE = 8  # questions; a list that does not answer holds up no other
# Spamhaus: what was asked cannot be answered, which is no listing (spamhaus.org, "DNSBL usage", return codes).
REFUSALS = {
    "127.255.255.252": "the name of the list is typed wrongly",
    "127.255.255.254": "it answers no public or shared name server; set DNS_RESOLVERS to one of your own",
    "127.255.255.255": "this name server has asked it too often",
}


@dataclass(frozen=True)
class Blocklist:
    """codes: {answer: what it says}; refused: answers that mean "not to you". bits: the last octet is a sum of codes."""

    zone: str
    label: str
    of_domains: bool
    way_out: str
    codes: dict[str, str]
    refused: tuple[str, ...] = ()
    bits: tuple[tuple[int, str], ...] = ()


_LISTED = {"127.0.0.2": "it sent spam lately"}
BLOCKLISTS = (
    Blocklist(
        "zen.spamhaus.org",
        "Spamhaus ZEN",
        of_domains=False,
        way_out="https://check.spamhaus.org",
        codes={
            "127.0.0.2": "SBL: a known source of spam",
            "127.0.0.3": "CSS: it sends what looks like spam",
            **dict.fromkeys(
                ("127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"), "XBL: a machine that was taken over"
            ),
            "127.0.0.9": "DROP: a network of criminals",
            "127.0.0.10": "PBL: its provider says that no mail leaves from here",
            "127.0.0.11": "PBL: an address that is not meant to send mail itself",
        },
    ),
    Blocklist(
        "bl.spamcop.net",
        "SpamCop",
        of_domains=False,
        way_out="https://www.spamcop.net/bl.shtml",
        codes=_LISTED,
    ),
    Blocklist("psbl.surriel.com", "PSBL", of_domains=False, way_out="https://psbl.org", codes=_LISTED),
    Blocklist(
        "b.barracudacentral.org",
        "Barracuda",
        of_domains=False,
        way_out="https://www.barracudacentral.org/lookups",
        codes=_LISTED,
    ),
    Blocklist(
        "dbl.spamhaus.org",
        "Spamhaus DBL",
        of_domains=True,
        way_out="https://check.spamhaus.org",
        codes={
            "127.0.1.2": "a domain of spam",
            "127.0.1.4": "phishing",
            "127.0.1.5": "malware",
            "127.0.1.6": "controls a botnet",
            "127.0.1.102": "a good domain that spammers abuse",
            "127.0.1.103": "a redirector that spammers abuse",
            "127.0.1.104": "a good domain abused for phishing",
            "127.0.1.105": "a good domain abused for malware",
            "127.0.1.106": "a good domain abused by a botnet",
        },
        refused=("127.0.1.255",),
    ),
    Blocklist(
        "multi.surbl.org",
        "SURBL",
        of_domains=True,
        way_out="https://surbl.org/surbl-analysis",
        codes={},
        refused=("127.0.0.1",),
        bits=((8, "phishing"), (16, "malware"), (64, "linked to in spam"), (128, "a cracked site")),
    ),
    Blocklist(
        "multi.uribl.com",
        "URIBL",
        of_domains=True,
        way_out="https://admin.uribl.com",
        codes={},
        refused=("127.0.0.1",),
        bits=((2, "black: linked to in spam"), (4, "grey: unasked mail"), (8, "red: new and suspect")),
    ),
)


def check(domain: str, addresses: Iterable[str], dns: Dns) -> list[Finding]:
    """One finding for each list and each thing that it may know."""
    asked = [(each, domain) for each in BLOCKLISTS if each.of_domains]
    asked += [(each, address) for address in addresses for each in BLOCKLISTS if not each.of_domains]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda pair: _check(pair[0], pair[1], dns), asked))


def name_asked(what: str, zone: str) -> str:
    """An address backwards (RFC 5782 §2.1, §2.4), a domain as it is."""
    try:
        address = ipaddress.ip_address(what)
    except ValueError:
        return f"{what}.{zone}"
    backwards = address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
    return f"{backwards}.{zone}"


def _check(blocklist: Blocklist, what: str, dns: Dns) -> Finding:
    finding = Finding("blocklist", blocklist.label, what, kind="A")
    answer = dns.ask(name_asked(what, blocklist.zone), "A")
    finding.found, finding.ttl = answer.records, answer.ttl
    if answer.failed:
        finding.mark("unknown", f"{blocklist.label} could not be asked: {answer.failed}.")
    for code in answer.records:
        if code in blocklist.refused or code.startswith("127.255.255."):
            why = REFUSALS.get(
                code, "it answers no public or shared name server; set DNS_RESOLVERS to one of your own"
            )
            finding.mark("unknown", f"{blocklist.label} cannot be asked from here: {why}.")
        elif not code.startswith("127."):
            finding.mark(
                "unknown",
                f"{blocklist.label} answered {code}, which no blocklist says; a name server made it up.",
            )
        else:
            finding.mark(
                "wrong", f"Listed: {_meaning(blocklist, code)}. Ask to be taken off at {blocklist.way_out}."
            )
    if not finding.said:
        finding.mark("good", "Not listed.")
    return finding


def _meaning(blocklist: Blocklist, code: str) -> str:
    last = int(code.rpartition(".")[2])
    bits = [words for bit, words in blocklist.bits if last & bit]
    return ", ".join(bits) or blocklist.codes.get(code, f"answer {code}, which is not known here")
