"""Links and the pixel written into a mailing's content, before it is made into a mold.

`Content.links` holds the addresses, and html and text say `{{ links[1] }}` where the first one stands. What does not
depend on the recipient becomes static text around `{{ recipient_token }}`, a slot of a plain word.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from html import escape
from typing import Final

from delivery.content import Content
from delivery.tracking import utm
from delivery.tracking.signing import Target, link_part, person_token

TOKEN: Final = "{{ recipient_token }}"  # noqa: S105
URL_LENGTH: Final = (
    2_000  # characters; a longer address is left as it is, since some servers refuse such a request
)
_PLACE: Final = re.compile(r"\{\{ links\[(\d+)\] \}\}")
_END: Final = "</body>"


@dataclass(frozen=True)
class Tracked:
    """What is watched of a mailing, as it was at the launch.

    is_nameless: all recipients get the same. consent: the key of the yes-or-no field that has to say yes, or "".
    """

    opens: bool
    clicks: bool
    is_nameless: bool = False
    consent: str = ""


@dataclass(frozen=True)
class Links:
    """What `{% link %}` asks while one recipient's message is filled in. token: "" where clicks are not watched."""

    mailing_id: int
    base: str
    token: str
    tags: Mapping[str, str]

    def led(self, url: str, label: int) -> str:
        """The address as it goes into the message; whatever is no web address stays as it is."""
        url = url.strip()
        if not url.lower().startswith(("https://", "http://")):
            return url
        url = utm.tagged(url, self.tags)
        if not self.token or len(url) > URL_LENGTH:
            return url
        return f"{self.base}/c/{self.token}/{link_part(self.mailing_id, Target(url, label))}"

    def __str__(self) -> str:
        return ""


def token_of(tracked: Tracked, mailing_id: int) -> str:
    """What stands for the recipient: Liquid, or in privacy mode the mailing's own word."""
    return person_token(mailing_id, 0) if tracked.is_nameless else TOKEN


def written(content: Content, mailing_id: int, tracked: Tracked | None, base: str) -> Content:
    """The content with the addresses that leave in it. base: begins those that lead through us."""
    if tracked is None:
        return _placed(content, content.links)
    token, links = token_of(tracked, mailing_id), content.links
    if tracked.clicks:
        links = [_led(url, f"{base}/c/{token}/", mailing_id) for url in links]
    placed = _placed(content, links)
    seen = ""
    if tracked.clicks and links:
        seen += _trap(f"{base}/c/{token}/{link_part(mailing_id, Target(''))}")
    if tracked.opens:
        seen += _pixel(f"{base}/o/{token}.gif")
    return replace(placed, html_end=_before_end(placed.html_end, seen))


def _led(url: str, start: str, mailing_id: int) -> str:
    """Links with merge tags in them are led on when they are filled in; they stand in no place of these."""
    return url if len(url) > URL_LENGTH else start + link_part(mailing_id, Target(url))


def _placed(content: Content, links: "list[str] | tuple[str, ...]") -> Content:
    if not links:
        return content

    def url(place: re.Match[str]) -> str:
        number = int(place[1])
        return links[number - 1] if 0 < number <= len(links) else ""

    return replace(
        content,
        html=_PLACE.sub(lambda place: escape(url(place)), content.html),
        text=_PLACE.sub(url, content.text),
    )


def _before_end(html: str, seen: str) -> str:
    """Last in the page, once."""
    at = html.rfind(_END)
    return html + seen if at < 0 else html[:at] + seen + html[at:]


def _pixel(url: str) -> str:
    return f'<img src="{url}" width="1" height="1" alt="" style="border:0;width:1px;height:1px">'


def _trap(url: str) -> str:
    """A link that nobody sees, hears or tabs to: whoever follows it is a program that follows all."""
    return f'<a href="{url}" style="display:none" tabindex="-1" aria-hidden="true"></a>'
