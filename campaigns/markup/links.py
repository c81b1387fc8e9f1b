"""A page's links taken out of it, so that what is watched of them is decided when a mailing is launched.

Web addresses only: what begins with mailto:, tel: or #, and Volley's own links, stay as they are; so does a link with
data-track="off". Runs over the page as a parser wrote it, in which an attribute's value stands in double quotes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape, unescape
from typing import Final
from urllib.parse import urlsplit

from campaigns.markup.lifted import Lifted
from campaigns.markup.page import PARTS
from delivery.tracking.utm import tagged

_LINK: Final = re.compile(r"<(?:a|area|v:\w+)\s[^>]*>", re.IGNORECASE)
_HREF: Final = re.compile(r'(?<=\shref=")[^"]*(?=")', re.IGNORECASE)
_SAID: Final = re.compile(r'\sdata-(utm|track)="([^"]*)"', re.IGNORECASE)
_OWN: Final = re.compile(r"\{\{-?\s*\w+_url\b")  # {{ unsubscribe_url }} and the like
_WEB: Final = ("https://", "http://")
# Addresses that no parser of links agrees on; none of them opens a page.
_BRACES: Final = str.maketrans({"{": "%7B", "}": "%7D"})


@dataclass
class Marked:
    """html: with a placeholder for each link. urls: in order of their first place. shown: {placeholder: what stood
    there}."""

    html: str
    urls: list[str] = field(default_factory=list)
    shown: dict[str, str] = field(default_factory=dict)


def marked(html: str, lifted: Lifted, tags: Mapping[str, str]) -> Marked:
    """html: a whole page with placeholders. tags: utm_… to add; {} for none."""
    found = Marked("")
    parts, at = [], 0
    for part in PARTS.finditer(html):
        parts += [html[at : part.start()], _in_part(part[0], lifted, tags, found)]
        at = part.end()
    found.html = "".join([*parts, html[at:]])
    return found


def _in_part(part: str, lifted: Lifted, tags: Mapping[str, str], found: Marked) -> str:
    """A tag, or what only Outlook reads in a comment: its buttons are links, too."""
    if part.startswith("<!--[if"):
        return _LINK.sub(lambda tag: _in_tag(tag[0], lifted, tags, found), part)
    return _in_tag(part, lifted, tags, found) if re.match(r"<(?:a|area)\s", part, re.IGNORECASE) else part


def _in_tag(tag: str, lifted: Lifted, tags: Mapping[str, str], found: Marked) -> str:
    says = {name.lower(): value.lower() for name, value in _SAID.findall(tag)}
    tag = _SAID.sub("", tag)
    if says.get("track") == "off":
        return tag
    used = {} if says.get("utm") == "off" else tags
    return _HREF.sub(lambda href: _led(href[0], lifted, used, found), tag, count=1)


def _led(href: str, lifted: Lifted, tags: Mapping[str, str], found: Marked) -> str:
    url = unescape(href).strip()
    numbers = lifted.in_order(url)
    if numbers:
        return _filled_in(url, numbers, lifted, found) or href
    if not _is_web(url):
        return href
    placeholder = lifted.add(f"{{{{ links[{_number(found, tagged(url.translate(_BRACES), tags))}] }}}}")
    found.shown[placeholder] = url
    return placeholder


def _filled_in(url: str, numbers: list[int], lifted: Lifted, found: Marked) -> str:
    """One with merge tags, which is led on when they are filled in; "" for what is none of ours to lead."""
    starts = lifted.placeholder.match(url)
    if not (starts or url.lower().startswith(_WEB)) or any(_OWN.match(lifted.tags[n]) for n in numbers):
        return ""
    label = lifted.placeholder.sub(lambda tag: lifted.tags[int(tag[1])], url)
    opening = lifted.add(f"{{% link {_number(found, label)} %}}")
    return f"{opening}{escape(url)}{lifted.add('{% endlink %}')}"


def _number(found: Marked, url: str) -> int:
    """Its place from 1; the same address in two places is one link."""
    if url not in found.urls:
        found.urls.append(url)
    return found.urls.index(url) + 1


def _is_web(url: str) -> bool:
    try:
        return url.lower().startswith(_WEB) and bool(urlsplit(url).hostname)
    except ValueError:
        return False
