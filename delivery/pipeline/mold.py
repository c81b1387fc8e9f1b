"""The mold: a mailing's content compiled once into static bytes and slots, then filled in for each recipient.

What does not depend on the recipient is encoded when the mold is made; filling renders the slots only.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from typing import Any

from liquid import BoundTemplate, Node, RenderContext
from liquid.builtin.content import ContentNode
from liquid.exceptions import LiquidError, LiquidInterrupt, StopRender
from liquid.output import LimitedStringIO

from delivery import links, liquid
from delivery.content import Content
from delivery.liquid import TemplateProblem
from delivery.pipeline import mime

Slots = list[Node]


@dataclass(frozen=True)
class Frame:
    """What one mailing's messages have in common beside the content."""

    mailing_id: int
    workspace_id: int
    workspace_name: str
    postal_address: str
    campaign_name: str
    is_test: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """One row of the ledger with what personalization needs."""

    number: int
    email: str
    first_name: str = ""
    last_name: str = ""
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rendered:
    """A message as a person sees it, for previews."""

    subject: str
    html: str
    text: str


class Part:
    """One Liquid source cut into pieces: encoded static bytes, or the nodes that make a slot."""

    def __init__(self, source: str, *, field: str, html: bool, encode: Callable[[str], bytes]) -> None:
        self.source, self.field = source, field
        self.template: BoundTemplate = liquid.parse(source, field=field, html=html)
        self.pieces: list[bytes | Slots] = []
        for node in self.template.nodes:
            if isinstance(node, ContentNode):
                self.pieces.append(encode(node.text))
            elif self.pieces and isinstance(self.pieces[-1], list):
                self.pieces[-1].append(node)
            else:
                self.pieces.append([node])
        self._static = [piece for piece in self.pieces if isinstance(piece, bytes)]

    def fill(self, context: Mapping[str, Any], encode: Callable[[str], bytes]) -> list[bytes]:
        """Render the slots in order on one context; the static pieces are given as they are."""
        if len(self._static) == len(self.pieces):
            return self._static
        scope = RenderContext(self.template, globals=context)
        filled: list[bytes] = []
        try:
            for piece in self.pieces:  # not a comprehension: what is filled before a stop counts
                filled.append(  # noqa: PERF401
                    piece if isinstance(piece, bytes) else encode(_render(piece, scope))
                )
        except StopRender:
            pass  # `{% break %}`-like end of the template: what follows is left out, as Liquid says
        except (LiquidError, LiquidInterrupt) as error:
            raise self._problem(error) from error
        return filled

    def render(self, context: Mapping[str, Any]) -> str:
        try:
            return self.template.render(**context)
        except (LiquidError, LiquidInterrupt) as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> TemplateProblem:
        if isinstance(error, LiquidError):
            return liquid.problem(error, self.source, field=self.field)
        return TemplateProblem("“break” and “continue” belong inside a loop.", field=self.field)


def _render(nodes: Slots, scope: RenderContext) -> str:
    limit = scope.env.output_stream_limit
    buffer = LimitedStringIO(limit) if limit else StringIO()
    for node in nodes:
        node.render(scope, buffer)
    return buffer.getvalue()


class Mold:
    """Make one with `Mold(content, frame)`; it is immutable then and may be shared by threads.

    Raises: TemplateProblem: the subject, HTML or text does not parse.
    """

    def __init__(self, content: Content, frame: Frame) -> None:
        self.frame = frame
        self.sender = mime.address(content.from_email)
        self.subject = Part(content.subject, field="subject", html=False, encode=str.encode)
        self.text = Part(_closed(content.text), field="text", html=False, encode=_static)
        self.text_end = Part(content.text_end, field="text", html=False, encode=_static)
        self.html = Part(_closed(content.html), field="content", html=True, encode=_static)
        self.html_end = Part(content.html_end, field="content", html=True, encode=_static)
        self._globals = {
            "workspace": {"name": frame.workspace_name, "postal_address": frame.postal_address},
            "campaign": {"name": frame.campaign_name},
        }
        domain = self.sender.rpartition("@")[2].encode() or b"localhost"
        self._from = b"From: " + mime.mailbox(content.from_name, content.from_email) + b"\r\n"
        if content.reply_to:
            self._from += b"Reply-To: " + mime.mailbox("", content.reply_to) + b"\r\n"
        self._id_end = b"@" + domain + b">\r\n"
        self._fixed = _fixed_headers(frame, domain)
        boundary = f"=_volley_{frame.mailing_id}_part".encode()
        self._multipart = (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="'
            + boundary
            + b'"\r\n\r\n'
        )
        encoding = b"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        self._before_text = b"--" + boundary + b"\r\nContent-Type: text/plain" + encoding
        self._before_html = b"\r\n--" + boundary + b"\r\nContent-Type: text/html" + encoding
        self._end = b"\r\n--" + boundary + b"--\r\n"
        self._date: tuple[int, bytes] = (0, b"")

    def fill(self, recipient: Recipient) -> bytes:
        """The finished message for one recipient: CRLF line ends, no line over 998 octets (RFC 5322 §2.1.1).

        Raises: TemplateProblem: the merge tags fail for this recipient.
        """
        token = links.unsubscribe_token(self.frame.mailing_id, recipient.number)
        context = self._context(recipient, links.unsubscribe_url(token))
        subject = b"".join(self.subject.fill(context, str.encode)).decode()
        name = f"{recipient.first_name} {recipient.last_name}".strip()
        return b"".join(
            [
                self._from,
                b"To: " + mime.mailbox(name, recipient.email) + b"\r\n",
                b"Subject: " + mime.header_text(subject) + b"\r\n",
                b"Date: " + self._now() + b"\r\nMessage-ID: <" + token.encode() + self._id_end,
                self._fixed,
                _unsubscribe_headers(token),
                self._multipart,
                self._before_text,
                *self.text.fill(context, mime.slot),
                *self.text_end.fill(context, mime.slot),
                self._before_html,
                *self.html.fill(context, mime.slot),
                *self.html_end.fill(context, mime.slot),
                self._end,
            ]
        )

    def render(self, recipient: Recipient) -> Rendered:
        """The same as a person reads it, for previews; its unsubscribe link leads nowhere."""
        context = self._context(recipient, "#unsubscribe")
        return Rendered(
            " ".join(self.subject.render(context).split()),
            self.html.render(context) + self.html_end.render(context),
            self.text.render(context) + self.text_end.render(context),
        )

    def _context(self, recipient: Recipient, unsubscribe_url: str) -> dict[str, Any]:
        contact = liquid.person(
            recipient.email, recipient.first_name, recipient.last_name, recipient.attributes or {}
        )
        return {**self._globals, "contact": contact, "unsubscribe_url": unsubscribe_url}

    def _now(self) -> bytes:
        """The Date header, worked out once a second."""
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, mime.date(second))
        return self._date[1]


def _static(text: str) -> bytes:
    return mime.at_line_start(mime.quoted_printable(text))


def _closed(source: str) -> str:
    return source if source.endswith("\n") else source + "\n"


def _fixed_headers(frame: Frame, domain: bytes) -> bytes:
    """List-Id (RFC 2919) names the sender's stream; Feedback-ID is Gmail's: campaign, workspace, kind, sender."""
    kind = "test" if frame.is_test else "campaign"
    name = mime.header_text(frame.workspace_name)
    list_id = b"<w%d.%b>" % (frame.workspace_id, domain)
    return (
        b"List-Id: " + (name + b"\r\n " if name.isalnum() else b"") + list_id + b"\r\n"
        b"Feedback-ID: %d:%d:%b:volley\r\n" % (frame.mailing_id, frame.workspace_id, kind.encode())
    )


def _unsubscribe_headers(token: str) -> bytes:
    """RFC 2369 and RFC 8058: a link that one POST acts on."""
    url = links.one_click_url(token).encode()
    return b"List-Unsubscribe:\r\n <" + url + b">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
