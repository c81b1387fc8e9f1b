"""Signing in to a mailbox of Microsoft 365, which takes no passwords: as an application of its directory.

The application asks Microsoft Entra ID for a token (OAuth 2.0 client credentials, RFC 6749 §4.4) and shows it to the
IMAP server by SASL XOAUTH2. An administrator lets it read this one mailbox; see docs/bounces.md.
"""

from typing import Final

import requests

SIGN_IN: Final = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/token"
SCOPE: Final = "https://outlook.office365.com/.default"  # what the application may do in Exchange Online
SECONDS: Final = 20.0  # for an answer
HOSTS: Final = ("office365.com", "outlook.com")  # and those below


class NoToken(Exception):  # noqa: N818
    """In words: Microsoft gave none."""


def is_microsofts(host: str) -> bool:
    return any(f".{host.lower()}".endswith(f".{known}") for known in HOSTS)


def xoauth2(user: str, *, tenant: str, client_id: str, secret: str) -> bytes:
    """What is answered to AUTHENTICATE XOAUTH2, with a new token: each is good for an hour, and kept nowhere.

    user: the mailbox's address. Raises: NoToken.
    """
    asked = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": SCOPE,
    }
    try:
        url = SIGN_IN.format(tenant=tenant)
        answer = requests.post(url, data=asked, timeout=SECONDS, allow_redirects=False)
        said = answer.json()
    except requests.RequestException as error:
        raise NoToken(f"Microsoft's sign-in could not be asked: {str(error)[:300]}") from error
    if not isinstance(said, dict) or not said.get("access_token"):
        raise NoToken(f"Microsoft's sign-in answered: {_words(said, answer.status_code)}")
    return f"user={user}\x01auth=Bearer {said['access_token']}\x01\x01".encode()


def _words(said: object, status: int) -> str:
    """Its first line; those below it name the attempt."""
    words = said.get("error_description") or said.get("error") if isinstance(said, dict) else ""
    return (str(words or "").splitlines() or [f"{status}, and no reason"])[0][:500]
