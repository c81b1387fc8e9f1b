"""What a message is compiled from: handed over by whoever launches a mailing, frozen in `Mailing.content`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Content:
    """subject, html and text hold Liquid merge tags; the addresses do not.

    html_end and text_end follow html and text: Volley's own footer where the content lacks one, and what closes the
    page. They are Liquid filled in apart, so that nothing in the content can empty them or change what they print.
    links: the addresses that may be tracked, with their merge tags; html and text say `{{ links[1] }}` for the first,
    or `{% link 1 %}…{% endlink %}` around one with merge tags. utm: what is added to those when they are filled in.
    """

    subject: str
    html: str
    text: str
    from_name: str
    from_email: str
    reply_to: str = ""
    html_end: str = ""
    text_end: str = ""
    links: list[str] = field(default_factory=list)
    utm: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
