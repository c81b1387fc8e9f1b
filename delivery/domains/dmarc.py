"""DMARC (RFC 9989): the policy that holds for a domain, found by the walk up the tree, and what is wrong with it."""

import re
from dataclasses import dataclass

from delivery.domains.findings import Finding
from delivery.domains.lookup import Dns

LABELS_WALKED = 7  # §4.10: of a longer name, the walk goes on from here
POLICIES = ("none", "quarantine", "reject")
REMOVED = ("pct", "rf", "ri")  # that RFC 7489 had


@dataclass(frozen=True)
class Policy:
    """at: the domain whose record it is."""

    at: str
    tags: dict[str, str]
    record: str
    ttl: int


def tags_of(record: str) -> dict[str, str]:
    """`a=b; c=d`, in order; names in lower case."""
    pairs = (part.partition("=") for part in record.split(";") if part.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def names_walked(domain: str) -> list[str]:
    """§4.10: the name itself, then up to the top; of a very long one, a jump to seven labels."""
    labels = domain.split(".")
    starts = [0]
    starts += range(max(1, len(labels) - LABELS_WALKED), len(labels))
    return [".".join(labels[start:]) for start in starts]


def records_at(name: str, dns: Dns) -> tuple[list[str], int, str]:
    """Those of this version, their TTL, and why nobody knows."""
    answer = dns.ask(f"_dmarc.{name}", "TXT")
    found = [each for each in answer.records if re.match(r"v\s*=\s*DMARC1\s*(;|$)", each)]
    return found, answer.ttl, answer.failed


def organizational(domain: str, dns: Dns) -> str:
    """§4.10.2: which of the names above owns it; the domain itself where none publishes anything."""
    owner = domain
    for place, name in enumerate(names := names_walked(domain)):
        found, _, _ = records_at(name, dns)
        if len(found) != 1:
            continue
        match tags_of(found[0]).get("psd", "u").lower():
            case "n":
                return name
            case "y" if place:
                return names[place - 1]
        owner = name
    return owner


def check(domain: str, dns: Dns) -> Finding:
    finding = Finding("dmarc", "DMARC", f"_dmarc.{domain}", wanted="v=DMARC1; p=none", required=True)
    found, finding.ttl, failed = records_at(domain, dns)
    finding.found = found
    if failed:
        finding.mark("unknown", f"DMARC could not be read: {failed}.")
        return finding
    if len(found) > 1:
        finding.mark(
            "wrong",
            f"There are {len(found)} DMARC records; receivers then use none (RFC 9989 §4.10). Keep one.",
        )
        finding.wanted = found[0]
        return finding
    if found:
        finding.wanted = found[0]
        _judge(finding, tags_of(found[0]), policy_tag="p")
        return finding
    _inherited(finding, domain, dns)
    return finding


def _inherited(finding: Finding, domain: str, dns: Dns) -> None:
    """§4.10.1: without one of its own, the organizational domain's holds, by sp where that is set."""
    odd = [each for each in dns.ask(finding.host, "TXT").records if "dmarc" in each.lower()]
    if odd:
        finding.found = odd
        finding.mark(
            "wrong", "A record stands there that does not begin with v=DMARC1, so it counts for none."
        )
        return
    owner = organizational(domain, dns)
    found, ttl, _ = records_at(owner, dns) if owner != domain else ([], 0, "")
    if len(found) != 1:
        finding.mark(
            "wrong",
            "There is no DMARC record, which Gmail, Yahoo and Microsoft ask of everybody who sends many messages. "
            "Set this one: it only watches.",
        )
        return
    finding.found, finding.ttl, finding.wanted = found, ttl, ""
    finding.host = f"_dmarc.{owner}"
    finding.mark("good", f"The policy of {owner} holds for {domain} (RFC 9989 §4.10).")
    tags = tags_of(found[0])
    _judge(finding, tags, policy_tag="sp" if "sp" in tags else "p")


def _judge(finding: Finding, tags: dict[str, str], *, policy_tag: str) -> None:
    policy = tags.get(policy_tag, "none").lower()  # §4.7: none, where p= is left out
    if policy not in POLICIES:
        finding.mark("wrong", f"Its {policy_tag}= must be none, quarantine or reject, and is “{policy}”.")
        if finding.wanted:
            rest = [f"{tag}={value}" for tag, value in tags.items() if tag not in ("v", "p")]
            finding.wanted = "; ".join(["v=DMARC1", "p=none", *rest])
        return
    if tags.get("t", "n").lower() == "y":
        finding.mark("good", "t=y: receivers are asked to treat it one step milder, for a test.")
    if policy == "none":
        finding.mark(
            "good",
            "p=none only watches. Once the reports (rua=) show that all your mail passes, go on to p=quarantine.",
        )
    else:
        finding.mark(
            "good", f"Mail that fails is to be {'put aside' if policy == 'quarantine' else 'refused'}."
        )
    for tag in (each for each in ("adkim", "aspf") if tags.get(each, "r").lower() == "s"):
        what = "the DKIM signature" if tag == "adkim" else "the return path"
        finding.mark("good", f"{tag}=s: {what} must name exactly this domain; a part of it is not enough.")
    gone = [each for each in REMOVED if each in tags]
    if gone:
        finding.mark("good", f"{', '.join(f'{each}=' for each in gone)} means nothing any more (RFC 9989).")
