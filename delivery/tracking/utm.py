"""What web analytics read in a link's address: utm_source, utm_medium, utm_campaign."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

# An address that carries a signature of itself is broken by whatever is added.
_SIGNED: Final = re.compile(
    r"(?:^|[&;])(?:x-amz-signature|x-goog-signature|signature|sig|hmac|hash|x-oss-signature)=", re.IGNORECASE
)
_OWN: Final = re.compile(r"(?:^|[&;])utm_[a-z]+=", re.IGNORECASE)


def tagged(url: str, tags: Mapping[str, str]) -> str:
    """The web address with the tags behind its own query, before its fragment; one that has tags of its own keeps
    those alone, and one that is signed stays as it is."""
    if not any(tags.values()) or not url.lower().startswith(("https://", "http://")):
        return url
    try:
        query = urlsplit(url).query
    except ValueError:
        return url
    if _OWN.search(query) or _SIGNED.search(query):
        return url
    added = "&".join(f"{name}={quote(value, safe='')}" for name, value in tags.items() if value)
    before, hash_, fragment = url.partition("#")
    joint = "" if before.endswith(("?", "&")) else "&" if "?" in before else "?"
    return f"{before}{joint}{added}{hash_}{fragment}"
