"""One message as a recipient of it would see it, whichever dialect it came in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Message:
    """id: the provider's, as its webhooks name it; to and sender: bare addresses; call: which of the server's calls.

    message_header_id: its Message-ID header. options: what the call said about tracking, streams and the like.
    """

    dialect: str
    id: str
    to: str
    call: int = 0
    to_name: str = ""
    sender: str = "news@acme.example"
    sender_name: str = ""
    reply_to: str = ""
    subject: str = "Spring"
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
