"""Whose doing a hit was: "" for a person's, else by which sign it was a machine's. What several hits tell together,
`delivery.tracking.suspicion` adds."""

import ipaddress
import tomllib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from django.conf import settings

from delivery.models import EventKind

LISTS: Final = Path(__file__).with_name("machines.toml")
BARE_AGENT: Final = "Mozilla/5.0"  # all that Apple's proxies say, and no browser
# Seconds after the message was accepted, before which nobody has read it: a scanner follows links, a provider fills
# its cache. Pictures appear at once where a mail program is open, so an open is given less.
PROMPT: Final = {EventKind.CLICKED: 5.0, EventKind.OPENED: 2.0}
PROMPT_PROXY: Final = 10.0
WHY_PROMPT: Final = "Seconds after delivery"
WHY_PREFETCH: Final = "Fetched ahead by a browser"
WHY_APPLE: Final = "Apple Mail Privacy Protection"
WHY_LISTED: Final = "On this installation’s list"
WHY_BARE: Final = "No browser’s agent"


class _Lists(NamedTuple):
    """networks: {(version, length of the prefix): {its bits: name}}. agents: (word, name) in order."""

    networks: dict[tuple[int, int], dict[int, str]]
    agents: Sequence[tuple[str, str]]
    proxies: Sequence[str]


def why_machine(kind: str, *, agent: str, ip: str, seconds: float | None, is_prefetch: bool = False) -> str:
    """seconds: since the next server had accepted the message; None: it is not known."""
    known = lists()
    small = agent.lower()
    if is_prefetch:
        return WHY_PREFETCH
    if found := _network(ip, known):
        return found
    if agent.strip() in ("", BARE_AGENT):
        return WHY_APPLE if agent and kind == EventKind.OPENED else WHY_BARE
    if found := next((name for word, name in known.agents if word in small), ""):
        return found
    if seconds is not None:
        is_proxy = any(word in small for word in known.proxies)
        if seconds < (PROMPT_PROXY if is_proxy else PROMPT[EventKind(kind)]):
            return WHY_PROMPT
    return ""


def _network(ip: str, known: _Lists) -> str:
    try:
        address: Any = ipaddress.ip_address(ip)
    except ValueError:
        return ""
    address = getattr(address, "ipv4_mapped", None) or address
    bits, length = int(address), address.max_prefixlen
    for (version, prefix), names in known.networks.items():
        if version == address.version and (name := names.get(bits >> (length - prefix))):
            return name
    return ""


@cache
def lists() -> _Lists:
    """What is shipped, and before it what the operator has added; read once."""
    read = tomllib.loads(LISTS.read_text())
    networks: dict[tuple[int, int], dict[int, str]] = {}
    for each in [*read["network"], {"name": WHY_LISTED, "ranges": settings.MACHINE_NETWORKS}]:
        for text in each["ranges"]:
            network = ipaddress.ip_network(text.strip(), strict=False)
            bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
            networks.setdefault((network.version, network.prefixlen), {})[bits] = each["name"]
    agents = [(word.strip().lower(), WHY_LISTED) for word in settings.MACHINE_AGENTS]
    agents += [(word, each["name"]) for each in read["agent"] for word in each["words"]]
    return _Lists(networks, agents, read["proxy"]["words"])
