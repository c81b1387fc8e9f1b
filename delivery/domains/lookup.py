"""DNS, asked within bounds: each question for some seconds, a whole check for half a minute."""

import time
from dataclasses import dataclass, field

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.reversename
from django.conf import settings

QUESTION_SECONDS = 4.0
CHECK_SECONDS = 30.0
LONGEST, MOST = 4_000, 50  # characters of a record, records of an answer: they are kept and shown
SILENCES = 3  # questions in vain at the beginning, after which nobody seems to be there
DNS_PORT = 53
SILENT = "no name server answered in time"


@dataclass(frozen=True)
class Answer:
    """records as text, TXT joined (RFC 7208 §3.3); ttl: seconds. failed: why nobody knows; "" where DNS answered."""

    records: list[str] = field(default_factory=list)
    ttl: int = 0
    failed: str = ""


class Dns:
    """One check's questions and their answers, each asked once. Safe to use by threads."""

    def __init__(self, *, seconds: float = CHECK_SECONDS) -> None:
        self._until = time.monotonic() + seconds
        self._known: dict[tuple[str, str], Answer] = {}
        self._resolver, self._trouble = _resolver()
        self._was_answered, self._silences = False, 0

    def ask(self, name: str, kind: str) -> Answer:
        """Records of this kind ("TXT", "MX", "A", …); none is an answer, too. Never raises."""
        key = (name.lower().rstrip("."), kind)
        if key not in self._known:
            self._known[key] = self._ask(*key)
        return self._known[key]

    def addresses(self, name: str) -> list[str]:
        """IPv4 and IPv6."""
        return [*self.ask(name, "A").records, *self.ask(name, "AAAA").records]

    def names_of(self, address: str) -> Answer:
        """By PTR (RFC 1035 §3.5)."""
        return self.ask(dns.reversename.from_address(address).to_text(), "PTR")

    def _ask(self, name: str, kind: str) -> Answer:
        left = self._until - time.monotonic()
        if not self._was_answered and self._silences >= SILENCES:
            return Answer(failed=SILENT)
        if self._resolver is None or left <= 0:
            return Answer(failed=self._trouble or "the check took too long")
        try:
            found = self._resolver.resolve(
                dns.name.from_text(name), kind, lifetime=min(QUESTION_SECONDS, left), search=False
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            self._was_answered = True
            return Answer()
        except dns.resolver.NoNameservers:
            self._was_answered = True
            return Answer(failed="its name servers answer with an error")
        except dns.exception.Timeout:
            self._silences += 1
            return Answer(failed=SILENT)
        except (dns.exception.DNSException, UnicodeError, OSError, ValueError) as error:
            return Answer(failed=str(error)[:200] or type(error).__name__)
        self._was_answered = True
        if found.rrset is None:
            return Answer()
        # Sorted, since name servers give them in another order each time.
        return Answer(sorted(_text(each) for each in found.rrset)[:MOST], found.rrset.ttl)


def _text(record: object) -> str:
    strings = getattr(record, "strings", None)
    if strings is not None:
        return b"".join(strings).decode("utf-8", "replace").replace("\0", "�")[:LONGEST]
    text = str(record).lower()
    return text if text.endswith(" .") else text.rstrip(".")  # "0 ." is an MX of its own (RFC 7505)


def _resolver() -> tuple[dns.resolver.Resolver | None, str]:
    try:
        resolver = dns.resolver.Resolver(configure=not settings.DNS_RESOLVERS)
    except dns.resolver.NoResolverConfiguration:
        return None, "this machine has no name server; set DNS_RESOLVERS"
    if settings.DNS_RESOLVERS:
        resolver.nameservers = [_server(each) for each in settings.DNS_RESOLVERS]
    resolver.timeout = QUESTION_SECONDS / 2
    return resolver, ""


def _server(address: str) -> dns.nameserver.Nameserver:
    """As set: an address, with a port behind a colon or not; an IPv6 one with a port in brackets."""
    host, colon, port = address.rpartition(":")
    if not colon or (":" in host and not host.startswith("[")):
        return dns.nameserver.Do53Nameserver(address.strip("[]"), DNS_PORT)
    return dns.nameserver.Do53Nameserver(host.strip("[]"), int(port))
