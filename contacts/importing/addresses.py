"""E-mail addresses as files hold them: checked by their form, never over the network."""

import re
from functools import lru_cache
from typing import Final

from email_validator import EmailNotValidError, validate_email

LENGTH_LIMIT: Final = 254  # characters (RFC 5321 §4.5.3.1.3, the brackets left out)
LOCAL_LIMIT: Final = 64  # bytes before the @ (RFC 5321 §4.5.3.1.1)
# The local parts of nearly all addresses: dot-atoms (RFC 5322 §3.2.3); others take the full check.
_PLAIN = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_NAMED = re.compile(r"[^<>]*<([^<>]+)>")


class NotAnAddress(ValueError):  # noqa: N818  (an answer, not a fault)
    """Why it is none, in words."""


def clean(text: str) -> str:
    """The address in a cell, its domain in lower case; "Ann <ann@example.com>" gives ann@example.com.

    Raises: NotAnAddress: no address, or one that cannot exist.
    """
    text = text.strip()
    if "<" in text and (match := _NAMED.fullmatch(text)):
        text = match[1].strip()
    if not text:
        raise NotAnAddress("There is no e-mail address.")
    local, at, domain = text.rpartition("@")
    if len(local.encode(errors="replace")) > LOCAL_LIMIT:
        raise NotAnAddress(f"The part before the @-sign is longer than {LOCAL_LIMIT} characters.")
    plain = at and _PLAIN.fullmatch(local)
    address = f"{local}@{_domain(domain)}" if plain else _checked(text)
    if len(address) > LENGTH_LIMIT:
        raise NotAnAddress(f"An e-mail address has at most {LENGTH_LIMIT} characters.")
    return address


@lru_cache(maxsize=20_000)
def _domain(domain: str) -> str:
    """Cached: a million addresses have some thousands of domains."""
    return _checked(f"x@{domain}").partition("@")[2]


def _checked(text: str) -> str:
    if len(text) > 1000:
        raise NotAnAddress("This is too long for an e-mail address.")
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError as problem:
        raise NotAnAddress(str(problem).replace("email", "e-mail")) from None
