"""Names of domains: as they are kept, those above them, and those that nobody on the Internet can look up."""

import re

import idna

# RFC 2606, RFC 6761, and what stands for the own network (RFC 6762, RFC 9476).
_RESERVED = ("test", "example", "invalid", "localhost", "local", "internal", "alt", "onion", "arpa")
_EXAMPLES = ("example.com", "example.net", "example.org")
_NAME = re.compile(r"(?=.{3,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])")


def ascii_name(name: str) -> str:
    """Lower case, IDNA 2008. Raises: ValueError: it is no name of a domain."""
    text = name.strip().rstrip(".").lower()
    try:
        text = idna.encode(text, uts46=True).decode("ascii") if not text.isascii() else text
    except idna.IDNAError as error:
        raise ValueError(name) from error
    if not _NAME.fullmatch(text) or text.rpartition(".")[2].isdigit():
        raise ValueError(name)
    return text


def domain_of(address: str) -> str:
    """What stands behind the @, as names are kept; "" where there is none, or no name of a domain."""
    _, at, host = address.rpartition("@")
    try:
        return ascii_name(host) if at else ""
    except ValueError:
        return ""


def names_above(name: str) -> list[str]:
    """The name itself and all above it down to two labels; [] where it is none."""
    try:
        labels = ascii_name(name).split(".")
    except ValueError:
        return []
    return [".".join(labels[at:]) for at in range(len(labels) - 1)]


def is_public(name: str) -> bool:
    """Whether DNS could know it at all: not on a name kept for tests, examples and one's own network."""
    above = names_above(name)
    return bool(above) and above[0].rpartition(".")[2] not in _RESERVED and not set(above) & set(_EXAMPLES)


def is_within(name: str, domain: str) -> bool:
    return name == domain or name.endswith(f".{domain}")
