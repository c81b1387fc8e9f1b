"""SPF (RFC 7208): what a domain's record allows, how many look-ups it costs, and what it should say."""

import ipaddress
import re
from dataclasses import dataclass, field

from delivery.domains.findings import Finding
from delivery.domains.lookup import Answer, Dns

VERSION = "v=spf1"
MOST_LOOKUPS = 10  # §4.6.4
MOST_VOIDS = 2  # §4.6.4
MOST_MX = 10  # §4.6.4
MOST_SAID = 10  # of what is wrong with it; others' records may hold thousands of faults
STOP_AT = 40  # look-ups, where we stop counting
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_MECHANISM = re.compile(r"(?P<sign>[-+~?]?)(?P<name>[a-z0-9]+)(?P<rest>[:/].*)?", re.IGNORECASE)
_KNOWN = ("all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists")


@dataclass
class Walk:
    """What following a record through its includes found."""

    lookups: int = 0
    voids: int = 0
    terms: set[str] = field(default_factory=set)  # that pass, in lower case, at any depth
    networks: list[Network] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)  # what DNS did not answer

    def allows(self, term: str, addresses: list[str]) -> bool:
        """By name, or since every address of it is allowed."""
        if term.lower() in self.terms:
            return True
        found = [ipaddress.ip_address(each) for each in addresses]
        return bool(found) and all(any(each in network for network in self.networks) for each in found)


def records_in(answer: Answer) -> list[str]:
    """§4.5: those that begin with exactly this version."""
    return [
        each for each in answer.records if each.lower() == VERSION or each.lower().startswith(VERSION + " ")
    ]


def check(domain: str, terms: dict[str, list[str]], dns: Dns, *, label: str = "SPF") -> Finding:
    """terms: {what must be allowed, such as "include:_spf.example.net": its addresses, [] where unknown}."""
    answer = dns.ask(domain, "TXT")
    found = records_in(answer)
    finding = Finding("spf", label, domain, found=found, ttl=answer.ttl)
    finding.wanted = merged(found, list(terms))
    if answer.failed:
        finding.mark("unknown", f"SPF could not be read: {answer.failed}.")
        finding.wanted = ""  # what is there is not known, and a second record would do harm
        return finding
    if not found:
        finding.mark("wrong", "There is no SPF record yet. Set this one.")
        return finding
    if len(found) > 1:
        finding.mark(
            "wrong",
            f"There are {len(found)} SPF records; receivers then use none (RFC 7208 §4.5). Replace them by this one.",
        )
        return finding
    walk = follow(found[0], domain, dns)
    missing = [term for term, addresses in terms.items() if not walk.allows(term, addresses)]
    if not missing:
        finding.wanted = merged(found, [])
    _judge(finding, walk, missing)
    if finding.state == "good":
        finding.wanted = found[0]  # as it is spelled there
        finding.mark("good", "It allows what your accounts send through.")
    return finding


def _judge(finding: Finding, walk: Walk, missing: list[str]) -> None:
    if missing:
        finding.mark("wrong", f"It does not allow {', '.join(missing)}. Replace it by this one.")
    for problem in walk.problems[:MOST_SAID]:
        finding.mark("wrong", problem)
    if walk.lookups > MOST_LOOKUPS:
        finding.mark(
            "wrong",
            f"It takes {walk.lookups} DNS look-ups; more than {MOST_LOOKUPS} make it void (RFC 7208 §4.6.4). "
            "Take out the services that you no longer send through.",
        )
    if walk.voids > MOST_VOIDS:
        finding.mark(
            "wrong",
            f"{walk.voids} of the names in it do not exist; more than {MOST_VOIDS} make it void (RFC 7208 §4.6.4).",
        )
    terms = finding.found[0].lower().split()
    if "+all" in terms or "all" in terms:
        finding.mark("wrong", "It ends with +all, which lets everybody send in your name. Use ~all.")
    elif "?all" in terms:
        finding.mark("warning", "It ends with ?all, which says nothing about others. Use ~all.")
    elif not {"-all", "~all"} & set(terms) and not any(term.startswith("redirect=") for term in terms):
        finding.mark("warning", "It has no “all” at its end, so it says nothing about others. Use ~all.")
    if any(re.fullmatch(r"[-+~?]?ptr(:.*)?", term) for term in terms):
        finding.mark("warning", "It uses “ptr”, which is slow and not to be used (RFC 7208 §5.5).")
    for name in walk.unknown[:MOST_SAID]:
        finding.mark("unknown", f"{name} did not answer, so not all of it could be checked.")
    if finding.state == "good" and walk.lookups >= MOST_LOOKUPS - 1:
        finding.mark("warning", f"It takes {walk.lookups} of at most {MOST_LOOKUPS} DNS look-ups.")


def merged(found: list[str], terms: list[str]) -> str:
    """The one record to set: all that was there, what is missing before its end, and nobody else."""
    kept: list[str] = []
    for record in found:
        kept += [term for term in record.split()[1:] if term not in kept]
    ends = [term for term in kept if re.fullmatch(r"[-+~?]?all", term, re.IGNORECASE)]
    redirects = [term for term in kept if term.lower().startswith("redirect=")]
    middle = [term for term in kept if term not in ends and term not in redirects]
    middle += [term for term in terms if term.lower() not in [each.lstrip("+").lower() for each in middle]]
    end = next((each for each in ("-all", "~all") if each in [term.lower() for term in ends]), "")
    closing = redirects if redirects and not ends else [end or "~all"]
    return " ".join([VERSION, *middle, *closing])


def follow(record: str, domain: str, dns: Dns) -> Walk:
    """Count as §4.6.4 does, through includes and redirects."""
    walk = Walk()
    _follow(record, domain, dns, walk, within=(domain,))
    return walk


def _follow(record: str, domain: str, dns: Dns, walk: Walk, *, within: tuple[str, ...]) -> None:
    terms = record.split()[1:]
    has_all = any(re.fullmatch(r"[-+~?]?all", term, re.IGNORECASE) for term in terms)
    for term in terms:
        if walk.lookups >= STOP_AT:
            return
        if term.lower().startswith("redirect="):
            if not has_all:  # §6.1
                _into(term.partition("=")[2], dns, walk, within=within, by=term)
            continue
        if re.match(r"[A-Za-z][A-Za-z0-9_.-]*=", term):  # exp= and unknown modifiers (§6)
            continue
        match = _MECHANISM.fullmatch(term)
        if match is None or match["name"].lower() not in _KNOWN:
            walk.problems.append(
                f"“{term}” is no SPF mechanism, which makes the record void (RFC 7208 §4.6.1)."
            )
            continue
        passes = match["sign"] in ("", "+")
        if passes:
            walk.terms.add(term.lower().lstrip("+"))
        _mechanism(
            match["name"].lower(), match["rest"] or "", domain, dns, walk, within=within, passes=passes
        )


def _mechanism(
    name: str, rest: str, domain: str, dns: Dns, walk: Walk, *, within: tuple[str, ...], passes: bool
) -> None:
    if name in ("ip4", "ip6"):
        try:
            network = ipaddress.ip_network(rest[1:], strict=False)
        except ValueError:
            walk.problems.append(
                f"“{name}{rest}” names no network, which makes the record void (RFC 7208 §5.6)."
            )
            return
        if passes:
            walk.networks.append(network)
        return
    if name == "all":
        return
    walk.lookups += 1
    if name == "include":
        _into(rest[1:], dns, walk, within=within, by=f"include{rest}", is_counted=True)
    elif name in ("a", "mx"):
        target, lengths = _target(rest, domain)
        if "%" not in target:
            _hosts(name, target, lengths, dns, walk, passes=passes)


def _into(
    target: str, dns: Dns, walk: Walk, *, within: tuple[str, ...], by: str, is_counted: bool = False
) -> None:
    if not is_counted:
        walk.lookups += 1
    target = target.lower().rstrip(".")
    if "%" in target:  # a macro: its name is made from the message (§7)
        return
    if target in within:
        walk.problems.append(f"“{by}” leads back to itself, which makes the record void.")
        return
    answer = dns.ask(target, "TXT")
    if answer.failed:
        walk.unknown.append(target)
        return
    found = records_in(answer)
    if len(found) != 1:
        walk.voids += not answer.records
        count = "no SPF record" if not found else f"{len(found)} SPF records"
        walk.problems.append(f"“{by}”: {target} has {count}, which makes yours void (RFC 7208 §5.2).")
        return
    _follow(found[0], target, dns, walk, within=(*within, target))


def _target(rest: str, domain: str) -> tuple[str, tuple[str, str]]:
    """`:host/24//64` as the host and both lengths."""
    name, _, lengths = rest.partition("/")
    four, _, six = lengths.partition("//") if not lengths.startswith("/") else ("", "", lengths[1:])
    return (name[1:] or domain).lower(), (four or "32", six or "128")


def _hosts(name: str, target: str, lengths: tuple[str, str], dns: Dns, walk: Walk, *, passes: bool) -> None:
    hosts = [target]
    if name == "mx":
        answer = dns.ask(target, "MX")
        hosts = [each.split()[-1] for each in answer.records]
        if answer.failed:
            walk.unknown.append(target)
            return
        walk.voids += not hosts
        if len(hosts) > MOST_MX:
            walk.problems.append(
                f"{target} has {len(hosts)} MX records; SPF allows {MOST_MX} (RFC 7208 §4.6.4)."
            )
    for host in hosts[:MOST_MX]:
        addresses = dns.addresses(host)
        if name == "a" and not addresses:
            if dns.ask(host, "A").failed:
                walk.unknown.append(host)
            else:
                walk.voids += 1
        if passes:
            walk.networks += [network for each in addresses if (network := _network(each, lengths))]


def _network(address: str, lengths: tuple[str, str]) -> Network | None:
    try:
        return ipaddress.ip_network(f"{address}/{lengths[':' in address]}", strict=False)
    except ValueError:
        return None
