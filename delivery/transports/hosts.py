"""Hosts that no account may send to: the cloud's metadata services, which hand out the machine's credentials.

Other private addresses are allowed on purpose: an admin's mail server often has one.
"""

import ipaddress
import socket

from delivery.transports.base import CannotConnect, Fate, Outcome

# Link-local, where AWS, Google and Azure answer; AWS over IPv6; Alibaba; Azure's WireServer; Oracle.
_METADATA = [
    ipaddress.ip_network(each)
    for each in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
    )
]
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # its last 32 bits are the IPv4 address (RFC 6052)


def is_metadata(address: str) -> bool:
    """Whether a literal address is one of them; a name is not looked up."""
    try:
        ip = ipaddress.ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return False
    known = getattr(ip, "ipv4_mapped", None) or ip
    if known.version == _NAT64.version and known in _NAT64:
        known = ipaddress.IPv4Address(int(known) & 0xFFFFFFFF)
    return any(known in network for network in _METADATA if network.version == known.version)


def refuse_metadata(host: str) -> None:
    """Look the host up as the connection will.

    Raises: CannotConnect: it leads to a metadata service. A name that is not known is left to the connection.
    """
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    if any(is_metadata(str(address[4][0])) for address in found):
        words = f"{host} leads to this machine's own cloud metadata; mail is not sent there."
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=words))
