"""The mold: a mailing's content compiled once into static bytes and slots, then filled in for each recipient.

What does not depend on the recipient is encoded when the mold is made; filling renders the slots only.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple

from django.conf import settings
from liquid import BoundTemplate, RenderContext
from liquid.builtin.content import ContentNode
from liquid.exceptions import LiquidError, LiquidInterrupt, StopRender

from delivery import links, liquid
from delivery.bounces import addresses
from delivery.content import Content
from delivery.liquid import STANDARD_FIELDS, TemplateProblem
from delivery.pipeline import mime
from delivery.pipeline.slots import LIQUIDS_OWN, Encode, Slot
from delivery.tracking.signing import person_token
from delivery.tracking.writing import TOKEN, Links, Tracked, token_of, written
from delivery.transports.base import Letter, Skeleton


@dataclass(frozen=True)
class Frame:
    """What one mailing's messages have in common beside the content."""

    mailing_id: int
    workspace_id: int
    workspace_name: str
    postal_address: str
    campaign_name: str
    is_test: bool = False
    return_path: str = ""  # where bounces go; see delivery.bounces.addresses
    leave_path: str = ""  # where mails to leave go
    base: str = ""  # begins all links that lead to us; "": PUBLIC_URL
    list_name: str | None = None  # of the list that it asks to confirm
    sent_to: tuple[int, str] | None = None  # id and name of the list, where it goes to that one alone
    # {field key: what stands for the value of who has none}
    defaults: Mapping[str, Any] = field(default_factory=dict)
    tracking: Tracked | None = None


class Recipient(NamedTuple):
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


EXAMPLE = "example"  # in place of a token, in previews
ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
PICKED_FIELDS = 50  # as many are picked from a contact's attributes at most; beyond, all of them are loaded


class Part:
    """One Liquid source cut into pieces: encoded static bytes, or the nodes that make a slot."""

    def __init__(self, source: str, *, field: str, html: bool, static: Encode, slot: Encode) -> None:
        self.source, self.field = source, field
        self.template: BoundTemplate = liquid.parse(source, field=field, html=html)
        self.pieces: list[bytes | Slot] = []
        for is_static, nodes in groupby(self.template.nodes, lambda node: isinstance(node, ContentNode)):
            if is_static:
                self.pieces.append(static("".join(node.text for node in nodes)))  # type: ignore[attr-defined]
            else:
                self.pieces.append(Slot(list(nodes), slot, html=html))
        self._static = [piece for piece in self.pieces if isinstance(piece, bytes)]

    def fill(self, context: Mapping[str, Any]) -> list[bytes]:
        """Render the slots in order on one context; the static pieces are given as they are.

        Raises: TemplateProblem: whatever goes wrong, for this recipient alone.
        """
        if len(self._static) == len(self.pieces):
            return self._static
        scope = _Scope(self.template, context)
        room, filled = self.template.env.output_stream_limit or 0, []
        try:
            for piece in self.pieces:
                if isinstance(piece, bytes):
                    filled.append(piece)
                else:
                    filled.append(piece.fill(context, scope, room))
                    room = max(room - len(filled[-1]), 1)
        except StopRender:
            pass  # `{% break %}`-like end of the template: what follows is left out, as Liquid says
        except Exception as error:
            raise self._problem(error) from error
        return filled

    def render(self, context: Mapping[str, Any]) -> str:
        try:
            return self.template.render(**context)
        except Exception as error:
            raise self._problem(error) from error

    def _problem(self, error: Exception) -> TemplateProblem:
        """Filters raise whatever Python raises for a contact's odd value: it is the template's problem all the same."""
        match error:
            case LiquidInterrupt():
                return TemplateProblem("“break” and “continue” belong inside a loop.", field=self.field)
            case LiquidError():
                return liquid.problem(error, self.source, field=self.field)
        words = f"A filter cannot take a value of this contact ({type(error).__name__}: {error})."
        return TemplateProblem(words[:300], field=self.field)


class _Scope:
    """Liquid's own state for one recipient, made when the first slot asks for it: often none does."""

    def __init__(self, template: BoundTemplate, context: Mapping[str, Any]) -> None:
        self._template, self._context = template, context
        self._made: RenderContext | None = None

    def __call__(self) -> RenderContext:
        if self._made is None:
            self._made = RenderContext(self._template, globals=self._context)
        return self._made


class Mold:
    """Make one with `Mold(content, frame)`; it is immutable then and may be shared by threads.

    is_plain: it makes `letter`s for an ESP's API, of text as it is; else finished messages.
    Raises: TemplateProblem: the subject, HTML or text does not parse.
    """

    def __init__(self, content: Content, frame: Frame, *, is_plain: bool = False) -> None:
        self.frame = frame
        _body = _plain_body if is_plain else _encoded_body
        tracked = frame.tracking
        self._consent = tracked.consent if tracked else ""
        # What those get who have not agreed: nothing in it is asked of us.
        self.untracked = (
            Mold(content, replace(frame, tracking=None), is_plain=is_plain) if self._consent else self
        )
        self._utm = content.utm
        self._leads = "{% link " in content.html or "{% link " in content.text
        self._token = token_of(tracked, frame.mailing_id) if tracked else ""
        self._base = frame.base or settings.PUBLIC_URL
        content = written(content, frame.mailing_id, tracked, self._base)
        self.sender = mime.address(content.from_email)
        self.subject = Part(content.subject, field="subject", html=False, static=_utf8, slot=_utf8)
        self.text = _body(_closed(content.text), field="text", html=False)
        self.text_end = _body(content.text_end, field="text", html=False)
        self.html = _body(_closed(content.html), field="content", html=True)
        self.html_end = _body(content.html_end, field="content", html=True)
        self.attributes = _attributes_read(self.subject, self.text, self.text_end, self.html, self.html_end)
        self._defaults = _defaults_read(frame.defaults, self.attributes)
        if self._consent and self.attributes is not None:
            self.attributes = sorted({*self.attributes, self._consent})
        self._globals = {
            "workspace": {"name": frame.workspace_name, "postal_address": frame.postal_address},
            "campaign": {"name": frame.campaign_name},
        }
        domain = self.sender.rpartition("@")[2].encode() or b"localhost"
        self._from = b"From: " + mime.mailbox(content.from_name, content.from_email) + b"\r\n"
        if content.reply_to:
            self._from += b"Reply-To: " + mime.mailbox("", content.reply_to) + b"\r\n"
        self._fixed = (
            b"@" + domain + b">\r\n" + _fixed_headers(frame, domain)
        )  # behind the Message-ID's left part
        boundary = f"=_volley_{frame.mailing_id}_part".encode()
        multipart = (
            b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative;\r\n boundary="'
            + boundary
            + b'"\r\n\r\n'
        )
        encoding = b"; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        self._before_text = multipart + b"--" + boundary + b"\r\nContent-Type: text/plain" + encoding
        self._before_html = b"\r\n--" + boundary + b"\r\nContent-Type: text/html" + encoding
        self._end = b"\r\n--" + boundary + b"--\r\n"
        self._date: tuple[int, bytes] = (0, b"")
        self._return = addresses.paths(frame.return_path)
        self._leave = addresses.paths(frame.leave_path)
        if is_plain:
            self._lay_out(content, domain)

    def envelope_sender(self, recipient: Recipient) -> str:
        """Where its bounces go: an address of its own where the account has a return path."""
        if self._return is None:
            return self.sender
        return self._return.bounces_of(self.frame.mailing_id, recipient.number)

    def of(self, recipient: Recipient) -> "Mold":
        """The one to fill in for the recipient: they may not have agreed to be watched."""
        if not self._consent or (recipient.attributes or {}).get(self._consent) is True:
            return self
        return self.untracked

    def fill(self, recipient: Recipient) -> bytes:
        """The finished message for one recipient: CRLF line ends, no line over 998 octets (RFC 5322 §2.1.1).

        Raises: TemplateProblem: the merge tags fail for this recipient, or the address could write lines of its own.
        """
        return b"".join(self.pieces(recipient))

    def pieces(self, recipient: Recipient) -> list[bytes]:
        """The same in pieces, so that what all messages have in common is never copied. Raises: TemplateProblem."""
        if (mold := self.of(recipient)) is not self:
            return mold.pieces(recipient)
        _check_address(recipient)
        tokens = links.tokens(self.frame.mailing_id, recipient.number)
        unsubscribe_url = links.unsubscribe_url(tokens.unsubscribe, self._base)
        context = self._context(recipient, unsubscribe_url, self._confirm_url(recipient))
        self._watch(context, recipient)
        subject = b"".join(self.subject.fill(context)).decode()
        name = self._name(recipient)
        head = (
            b"%bTo: %b\r\nSubject: %b\r\nDate: %b\r\nMessage-ID: <%b%b"
            % (
                self._from,
                mime.mailbox(name, recipient.email),
                mime.header_text(subject),
                self._now(),
                tokens.message.encode(),
                self._fixed,
            )
        ) + _unsubscribe_headers(unsubscribe_url, self._leave_by_mail(recipient))
        text = [self._before_text, *self.text.fill(context), *self.text_end.fill(context)]
        html = [self._before_html, *self.html.fill(context), *self.html_end.fill(context)]
        return [head, *text, *html, self._end]

    # --- For an ESP's API -----------------------------------------------------------------------------

    def letter(self, recipient: Recipient) -> Letter:
        """What is one recipient's own in the skeleton of their mold (see `of`). Only of a plain one.

        Raises: TemplateProblem.
        """
        if (mold := self.of(recipient)) is not self:
            return mold.letter(recipient)
        _check_address(recipient)
        token = links.unsubscribe_token(self.frame.mailing_id, recipient.number)
        unsubscribe_url = links.unsubscribe_url(token, self._base)
        context = self._context(recipient, unsubscribe_url, self._confirm_url(recipient))
        self._watch(context, recipient)
        slots = []
        if not self._has_static_subject:
            slots.append(_one_line(b"".join(self.subject.fill(context)).decode()))
        for part, places in self._own:
            filled = part.fill(context) if places else []
            slots += [filled[place].decode() for place in places]
        headers = mime.unfolded(_unsubscribe_headers(unsubscribe_url, self._leave_by_mail(recipient)))
        own = {name: value for name, value in headers.items() if name not in self.skeleton.headers}
        to = mime.address(recipient.email)
        return Letter(recipient.number, to, _one_line(self._name(recipient)), tuple(slots), own)

    def _lay_out(self, content: Content, domain: bytes) -> None:
        """The skeleton, and for each part the places of the slots that fill it."""
        self._has_static_subject = all(isinstance(piece, bytes) for piece in self.subject.pieces)
        self._own: list[tuple[Part, list[int]]] = []
        count = 0 if self._has_static_subject else 1
        texts: list[tuple[str | int, ...]] = []
        known: dict[object, int] = {}  # what prints the same twice is given once
        for parts in ((self.text, self.text_end), (self.html, self.html_end)):
            pieces: list[str | int] = []
            for part in parts:
                places = []
                for place, piece in enumerate(part.pieces):
                    if isinstance(piece, bytes):
                        pieces.append(piece.decode())
                        continue
                    key = piece.same_as or piece
                    if key not in known:
                        known[key] = count
                        count += 1
                        places.append(place)
                    pieces.append(known[key])
                self._own.append((part, places))
            texts.append(tuple(pieces))
        subject = b"".join(piece for piece in self.subject.pieces if isinstance(piece, bytes)).decode()
        headers = mime.unfolded(_fixed_headers(self.frame, domain) + ONE_CLICK)
        self.skeleton = Skeleton(
            self.frame.mailing_id,
            content.from_name,
            self.sender,
            mime.address(content.reply_to),
            headers,
            (_one_line(subject),) if self._has_static_subject else (0,),
            *texts,
        )

    def _name(self, recipient: Recipient) -> str:
        return "" if self._asks else f"{recipient.first_name} {recipient.last_name}".strip()

    def render(self, recipient: Recipient) -> Rendered:
        """The same as a person reads it, for previews; its unsubscribe link leads nowhere."""
        context = self._context(recipient, "#unsubscribe", links.confirm_url(EXAMPLE, self._base))
        return Rendered(
            " ".join(self.subject.render(context).split()),
            self.html.render(context) + self.html_end.render(context),
            self.text.render(context) + self.text_end.render(context),
        )

    def _leave_by_mail(self, recipient: Recipient) -> str:
        return self._leave.leaves_of(self.frame.mailing_id, recipient.number) if self._leave else ""

    @property
    def _asks(self) -> bool:
        """Whether it asks to confirm: whoever typed the address may have typed a message for its name."""
        return self.frame.list_name is not None

    def _confirm_url(self, recipient: Recipient) -> str:
        if not self._asks:
            return ""
        return links.confirm_url(links.confirm_token(self.frame.mailing_id, recipient.number), self._base)

    def _context(self, recipient: Recipient, unsubscribe_url: str, confirm_url: str) -> dict[str, Any]:
        contact = liquid.person(
            recipient.email,
            recipient.first_name,
            recipient.last_name,
            recipient.attributes or {},
            defaults=self._defaults,
        )
        context = {
            **self._globals,
            "contact": contact,
            "unsubscribe_url": unsubscribe_url,
            "preferences_url": links.preferences_url(unsubscribe_url),
        }
        if self._asks:
            context |= {"list": {"name": self.frame.list_name}, "confirm_url": confirm_url}
        return context

    def _watch(self, context: dict[str, Any], recipient: Recipient) -> None:
        """Who opened and clicked, as the links say it, where anything is watched or tagged."""
        token = self._token
        if token == TOKEN:
            token = context["recipient_token"] = person_token(self.frame.mailing_id, recipient.number)
        if self._leads:
            tracked = self.frame.tracking
            watched = token if tracked and tracked.clicks else ""
            context["links"] = Links(self.frame.mailing_id, self._base, watched, self._utm)

    def _now(self) -> bytes:
        """The Date header, worked out once a second."""
        second = int(time.time())
        if self._date[0] != second:
            self._date = (second, mime.date(second))
        return self._date[1]


def _attributes_read(*parts: Part) -> list[str] | None:
    """The contact's own fields that the parts name; None where they ask for more than a few by their names."""
    names = set()
    for path in (path for part in parts for path in part.template.variable_segments(include_partials=False)):
        if path[0] != "contact" and isinstance(path[0], str):
            continue
        if len(path) == 1 or not isinstance(path[1], str) or path[1] in LIQUIDS_OWN:
            return None
        names.add(path[1])
    names -= STANDARD_FIELDS
    return sorted(names) if len(names) <= PICKED_FIELDS else None


def _defaults_read(defaults: Mapping[str, Any], read: list[str] | None) -> dict[str, Any]:
    """Those that the parts name; a lazy mapping is not asked where they name none."""
    if read == []:
        return {}
    return {key: value for key, value in defaults.items() if read is None or key in read}


def _encoded_body(source: str, *, field: str, html: bool) -> Part:
    return Part(source, field=field, html=html, static=_static, slot=mime.slot)


def _plain_body(source: str, *, field: str, html: bool) -> Part:
    return Part(source, field=field, html=html, static=_lines, slot=_lines)


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _lines(text: str) -> bytes:
    """As quoted-printable has them once it is decoded."""
    return _utf8(text.replace("\r\n", "\n").replace("\r", "\n"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _check_address(recipient: Recipient) -> None:
    if not recipient.email.isprintable():
        raise TemplateProblem("A control character stands in the address.", field="to")


def _static(text: str) -> bytes:
    return mime.at_line_start(mime.quoted_printable(text))


def _closed(source: str) -> str:
    return source if source.endswith("\n") else source + "\n"


def _fixed_headers(frame: Frame, domain: bytes) -> bytes:
    """List-Id, and Gmail's Feedback-ID: campaign, workspace, kind, sender."""
    kind = "test" if frame.is_test else "campaign" if frame.list_name is None else "confirm"
    return _list_id(frame, domain) + b"Feedback-ID: %d:%d:%b:volley\r\n" % (
        frame.mailing_id,
        frame.workspace_id,
        kind.encode(),
    )


def _list_id(frame: Frame, domain: bytes) -> bytes:
    """RFC 2919: the list, where it goes to one alone; else all that the workspace sends, which its lists are part of."""
    label, name = b"w%d.%b" % (frame.workspace_id, domain), frame.workspace_name
    if frame.sent_to:
        pk, name = frame.sent_to
        label = b"l%d.%b" % (pk, label)
    phrase = mime.phrase_of(name)
    return b"List-Id: " + (phrase + b"\r\n " if phrase else b"") + b"<" + label + b">\r\n"


def _unsubscribe_headers(unsubscribe_url: str, address: str) -> bytes:
    """RFC 2369 and RFC 8058: a link that one POST acts on, and behind it an address, for programs that know no other."""
    url = links.one_click_url(unsubscribe_url).encode()
    by_mail = b",\r\n <mailto:" + address.encode() + b"?subject=unsubscribe>" if address else b""
    return b"List-Unsubscribe:\r\n <" + url + b">" + by_mail + b"\r\n" + ONE_CLICK
