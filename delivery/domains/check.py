"""Look a sending domain up: every record it needs, the servers that send for it, and the blocklists."""

import ipaddress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.utils import timezone

from delivery import providers
from delivery.domains import blocklists, dkim, dmarc, spf
from delivery.domains.findings import Finding
from delivery.domains.lookup import Dns
from delivery.domains.naming import is_within
from delivery.domains.provider_records import asked_by
from delivery.models import DkimKey, SendingAccount, SendingDomain
from delivery.tracking.domain import leads_to, record_kind

RETIRED_STAYS = timedelta(days=7)  # mail may wait so long on its way, and is verified when it arrives
NO_SPF_NEEDED = (
    "There is no SPF record, and none is asked for: receivers look at the return path, which is your provider’s. "
    "Should your SMTP server stand in your own network, say below what allows it."
)


@dataclass
class Ways:
    """What a workspace sends through.

    terms: {the host of a return path: {SPF term: its addresses}}; hosts: {an SMTP server: its addresses}.
    """

    terms: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)


def check(domain: SendingDomain) -> dict[str, list[dict[str, Any]]]:
    """What stands in `SendingDomain.checks`. Asks DNS, for half a minute at most; writes nothing."""
    dns = Dns()
    ways = _ways(domain, dns)
    addresses = list(dict.fromkeys(each for found in ways.hosts.values() for each in found))
    found = {
        "records": _records(domain, ways, dns),
        "hosts": [_host(host, found, dns) for host, found in ways.hosts.items()],
        "blocklists": blocklists.check(domain.name, addresses, dns),
    }
    return {name: [each.as_dict() for each in findings] for name, findings in found.items()}


def _records(domain: SendingDomain, ways: Ways, dns: Dns) -> list[Finding]:
    own = _own_keys(domain, dns) if domain.signs else []
    others = [dkim.check_other(each, domain.name, dns) for each in domain.selectors]
    paths = [host for host in ways.terms if host != domain.name]
    return [
        _spf(domain.name, ways, dns),
        *own,
        *others,
        *_services(domain, dns),
        dmarc.check(domain.name, dns),
        _mx(domain.name, dns),
        *(finding for host in paths for finding in _return_path(host, ways, dns)),
        *_tracking(domain, dns),
    ]


def _ways(domain: SendingDomain, dns: Dns) -> Ways:
    ways = Ways({domain.name: {}})
    for account in SendingAccount.objects.filter(workspace_id=domain.workspace_id):
        if account.provider == providers.SMTP.name:
            path = str(account.settings.get("return_path") or "").lower().rpartition("@")[2]
            host = path if path and is_within(path, domain.name) else domain.name
            if not path or host == path:
                ways.terms.setdefault(host, {}).update(_smtp_terms(account, domain, ways, dns))
        elif account.provider != providers.INBOX.name and (term := asked_by(account.provider).spf):
            ways.terms[domain.name][term] = []
    return ways


def _smtp_terms(account: SendingAccount, domain: SendingDomain, ways: Ways, dns: Dns) -> dict[str, list[str]]:
    """What allows the server: as the domain says, else its name. One in the own network shows its name to nobody."""
    host = str(account.settings.get("host", "")).strip("[]").lower()
    try:
        addresses = [str(ipaddress.ip_address(host))]
    except ValueError:
        addresses = dns.addresses(host)
    public = [each for each in addresses if ipaddress.ip_address(each).is_global]
    if public:
        ways.hosts[host] = public
    if domain.spf_terms:
        return {term: [] for term in domain.spf_terms.split()}
    if not public:
        return {}
    if host in addresses:
        return {f"{'ip6' if ':' in host else 'ip4'}:{host}": public}
    return {f"a:{host}": public}


def _spf(host: str, ways: Ways, dns: Dns) -> Finding:
    terms = ways.terms[host]
    finding = spf.check(host, terms, dns)
    if not terms and not finding.found and finding.state == "wrong":
        finding.state, finding.wanted = "good", ""
        finding.said = [NO_SPF_NEEDED]
    return finding


def _own_keys(domain: SendingDomain, dns: Dns) -> list[Finding]:
    keys = list(DkimKey.objects.filter(domain=domain).select_related("domain"))
    findings = []
    for key in keys:
        if key.retired_at:
            findings += _retired(key, dns)
            continue
        findings.append(dkim.check_own(key, dns, is_first=not any(each.signs_from for each in keys)))
    return findings


def _services(domain: SendingDomain, dns: Dns) -> list[Finding]:
    """The keys of the services that send from it, as far as their names are known."""
    accounts = SendingAccount.objects.of(domain.workspace)
    names = {each.provider for each in accounts if not each.refusal_of(f"@{domain.name}")}
    return [finding for name in sorted(names) for finding in _service(name, domain, dns)]


def _service(provider: str, domain: SendingDomain, dns: Dns) -> list[Finding]:
    """Its keys in place; without any, a word on that, which is no more than worth a look: its account may differ."""
    asked, label = asked_by(provider), f"DKIM of {providers.PROVIDERS[provider].label}"
    unnamed = [each for each in asked.selectors if each not in domain.selectors]
    tried = [dkim.check_other(each, domain.name, dns) for each in unnamed]
    good = [replace(each, label=label, provider=provider) for each in tried if each.state == "good"]
    if good or domain.selectors or asked.called or not tried:
        return good
    finding = Finding("dkim_other", label, tried[0].host, provider=provider)
    for each in tried:
        if each.state == "unknown":
            finding.mark("unknown", each.said[0])
        elif each.found:
            finding.found += each.found
            finding.mark("warning", f"{each.host}: {each.said[-1]}")
    if not finding.said:
        finding.mark(
            "warning",
            f"No key stands under {asked.names}. Set the records that its page shows; if yours are called "
            "otherwise, name their selectors below.",
        )
    return [finding]


def _retired(key: DkimKey, dns: Dns) -> list[Finding]:
    """An old key's record is to go, once what it signed has arrived; gone, it is of no interest."""
    answer = dns.ask(key.host, "TXT")
    if not answer.records or key.retired_at is None:
        return []
    finding = Finding("dkim", "DKIM, old key", key.host, found=answer.records)
    until = key.retired_at + RETIRED_STAYS
    if timezone.now() < until:
        finding.mark(
            "good", f"It signs no more. Keep its record until {until:%-d %b %Y}, for mail on its way."
        )
    else:
        finding.mark("warning", "It signs no more. Delete its record.")
    return [finding]


def _mx(host: str, dns: Dns) -> Finding:
    """RFC 5321 §5.1: without MX, mail goes to the address of the name itself; "." takes none (RFC 7505)."""
    answer = dns.ask(host, "MX")
    finding = Finding("mx", "MX", host, "MX", found=answer.records, ttl=answer.ttl)
    if answer.failed:
        finding.mark("unknown", f"MX could not be read: {answer.failed}.")
    elif any(each.split()[-1] == "." for each in answer.records):
        finding.mark("wrong", "The domain says that it takes no mail (RFC 7505), so nobody can answer you.")
    elif answer.records:
        finding.mark("good", "Answers and reports reach somebody.")
    elif dns.addresses(host):
        finding.mark(
            "warning", "There is no MX record; mail goes to the web server's address, if it takes any."
        )
    else:
        finding.mark(
            "wrong", "There is no MX record: whoever answers gets an error. Set your mail provider's."
        )
    return finding


def _return_path(host: str, ways: Ways, dns: Dns) -> list[Finding]:
    mx = _mx(host, dns)
    mx.subject, mx.label = "return_path", "Return path, MX"
    if mx.state == "wrong":
        mx.said = [
            f"Bounces to {host} reach nobody. Set an MX record that names the server which takes them."
        ]
    terms = spf.check(host, ways.terms[host], dns, label="Return path, SPF")
    terms.subject = "return_path"
    return [mx, terms]


def _tracking(domain: SendingDomain, dns: Dns) -> list[Finding]:
    """The name in links and pictures, where the workspace has one of its own within the domain."""
    host = tracking_host(domain)
    if not host:
        return []
    target, kind = leads_to(), record_kind()
    answer = dns.ask(host, kind)
    finding = Finding("tracking", "Tracking domain", host, kind, target, answer.records, ttl=answer.ttl)
    if answer.failed:
        finding.mark("unknown", f"It could not be read: {answer.failed}.")
    elif target in answer.records:
        finding.mark("good", "It leads here.")
    elif answer.records:
        finding.mark("wrong", f"It leads to {answer.records[0]} in place of {target}.")
    elif not (there := dns.addresses(host)):
        finding.mark("wrong", "The name does not exist yet. Set this record.")
    elif set(there) & set(dns.addresses(target)):
        finding.mark("good", "It leads to the same address as Volley.")
    else:
        finding.mark("wrong", f"It leads to {', '.join(there)}, which is not where {target} is.")
    return [finding]


def tracking_host(domain: SendingDomain) -> str:
    host = str(getattr(getattr(domain.workspace, "tracking", None), "domain", "") or "").lower()
    return host if host and is_within(host, domain.name) else ""


def _host(host: str, addresses: list[str], dns: Dns) -> Finding:
    """A server's addresses have names, and these lead back to them: Gmail refuses others (5.7.25)."""
    finding = Finding("ptr", "Reverse name", host, "PTR", found=[])
    for address in addresses:
        answer = dns.names_of(address)
        finding.found += [f"{address}: {name}" for name in answer.records]
        if answer.failed:
            finding.mark("unknown", f"The name of {address} could not be read: {answer.failed}.")
        elif not answer.records:
            finding.mark("wrong", f"{address} has no name (PTR). Whoever gave you the address can set it.")
        elif not any(address in dns.addresses(name) for name in answer.records):
            finding.mark(
                "wrong", f"{address} is called {answer.records[0]}, and that name does not lead back to it."
            )
    if not finding.said:
        finding.mark("good", "Each address has a name that leads back to it.")
    return finding
