"""The way out over SMTP: connect, TLS and sign-in by smtplib, then messages with as few round trips as allowed.

RFC 5321; the envelope travels in one write where the server offers PIPELINING (RFC 2920), else in lock-step.
"""

import smtplib
import socket
import ssl
from dataclasses import dataclass
from typing import Literal

from delivery.transports.base import CannotConnect, Fate, Message, Outcome

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
LINE_LIMIT = 2048  # octets of a reply's line; RFC 5321 §4.5.3.1.5 allows 512
REPLY_LINES = 100

Security = Literal["none", "starttls", "tls"]
# Replies that concern the account, whichever command they answer: sign-in wanted or refused.
ACCOUNT_CODES = {530, 534, 535, 538}
# To MAIL FROM: what is about this message's size or contents; any other refusal is about the sender.
MESSAGE_CODES = {552, 554}


@dataclass(frozen=True, slots=True)
class Reply:
    code: int
    text: str

    @property
    def is_good(self) -> bool:
        return 200 <= self.code < 400


class _Gone(Exception):  # noqa: N818
    """The connection ended, or said what is no SMTP."""


def connect(
    *, host: str, port: int, security: Security = "none", user: str = "", password: str = ""
) -> "Connection":
    """Open a connection that is ready to send.

    Raises: CannotConnect: with the server's words, and whether the account or the moment is to blame.
    """
    try:
        return Connection(_session(host, port, security, user, password))
    except smtplib.SMTPAuthenticationError as error:
        raise CannotConnect(
            _refused(error.smtp_code, error.smtp_error, "The server refused the user name or password")
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        words = (
            "The server offers no STARTTLS"
            if "STARTTLS" in str(error)
            else f"The server cannot do this: {error}"
        )
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=f"{words}.")) from error
    except smtplib.SMTPResponseException as error:
        raise CannotConnect(_refused(error.smtp_code, error.smtp_error, "The server answered")) from error
    except ssl.SSLCertVerificationError as error:
        words = f"The server's TLS certificate is not valid for {host}: {error.verify_message}."
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=words)) from error
    except ssl.SSLError as error:
        words = f"TLS with {host}:{port} failed ({error.reason or error}). Is it the right port for this security?"
        raise CannotConnect(Outcome(Fate.DEFERRED, server_said=words)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise CannotConnect(Outcome(Fate.DEFERRED, server_said=_unreachable(host, port, error))) from error


def _session(host: str, port: int, security: Security, user: str, password: str) -> smtplib.SMTP:
    context = ssl.create_default_context()
    session: smtplib.SMTP
    if security == "tls":
        session = smtplib.SMTP_SSL(host, port, timeout=CONNECT_SECONDS, context=context)
    else:
        session = smtplib.SMTP(host, port, timeout=CONNECT_SECONDS)
    try:
        if security == "starttls":
            session.starttls(context=context)
        session.ehlo_or_helo_if_needed()
        if user:
            session.login(user, password)
    except BaseException:
        session.close()
        raise
    return session


def _refused(code: int, said: bytes | str, words: str) -> Outcome:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    fate = Fate.ACCOUNT_STOPPED if 500 <= code < 600 else Fate.DEFERRED
    return Outcome(fate, code=str(code), server_said=f"{words}: {code} {text}")


def _unreachable(host: str, port: int, error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"{host}:{port} did not answer within {CONNECT_SECONDS:.0f} seconds."
        case ConnectionRefusedError():
            return f"{host}:{port} refused the connection: nothing listens there."
        case socket.gaierror():
            return f"The host name {host} is not known."
        case smtplib.SMTPServerDisconnected():
            return f"{host}:{port} closed the connection before it was ready."
    return f"{host}:{port} cannot be reached: {error}."


class Connection:
    """One kept SMTP connection: a lane's. Not for two threads at once."""

    def __init__(self, session: smtplib.SMTP) -> None:
        assert session.sock is not None
        self.usable = True
        self._socket: socket.socket = session.sock
        self._socket.settimeout(ANSWER_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._replies = session.file or session.sock.makefile("rb")
        self._pipelining = session.has_extn("pipelining")
        self._utf8 = session.has_extn("smtputf8")
        self._size_limit = int(session.esmtp_features.get("size") or 0)

    def send(self, message: Message) -> Outcome:
        """Hand over one message. Never raises: a lost connection is a deferral, and `usable` is False after it."""
        if not message.to.isascii() and not self._utf8:
            return Outcome(
                Fate.REJECTED,
                "553 5.6.7",
                "The server cannot deliver to addresses with letters beyond ASCII.",
            )
        if self._size_limit and len(message.data) > self._size_limit:
            words = f"The message has {len(message.data):,} bytes; the server takes {self._size_limit:,}."
            return Outcome(Fate.REJECTED, "552 5.3.4", words)
        handed_over = False
        try:
            refusal = self._envelope(message)
            if refusal:
                return refusal
            self._write(_stuffed(message.data) + b".\r\n")
            handed_over = True
            return self._outcome(self._reply())
        except (OSError, _Gone) as error:
            self.close()
            # After the final dot nobody knows; the message goes again with the same Message-ID.
            code = "in doubt" if handed_over else "dropped"
            return Outcome(Fate.DEFERRED, code, f"The connection was lost: {error or type(error).__name__}.")

    def _envelope(self, message: Message) -> Outcome | None:
        """MAIL, RCPT and DATA; None once the server waits for the message."""
        extra = b" SMTPUTF8" if not message.to.isascii() else b""
        mail = b"MAIL FROM:<" + message.sender.encode() + b">" + extra + b"\r\n"
        rcpt = b"RCPT TO:<" + message.to.encode() + b">\r\n"
        if self._pipelining:
            self._write(mail + rcpt + b"DATA\r\n")
            replies = [self._reply(), self._reply(), self._reply()]
        else:
            replies = []
            for command in (mail, rcpt, b"DATA\r\n"):
                self._write(command)
                replies.append(self._reply())
                if not replies[-1].is_good:
                    break
        at, bad = next(((at, reply) for at, reply in enumerate(replies) if not reply.is_good), (0, None))
        if bad is None:
            return None
        self._start_over(after_data=len(replies) == 3 and replies[2].code == 354)
        return self._outcome(bad, is_sender=at == 0)

    def _start_over(self, *, after_data: bool) -> None:
        """Leave a refused transaction: an empty message where DATA was taken all the same, then RSET."""
        if not self.usable:
            return
        if after_data:
            self._write(b".\r\n")
            self._reply()
        self._write(b"RSET\r\n")
        self._reply()

    def _outcome(self, reply: Reply, *, is_sender: bool = False) -> Outcome:
        code, enhanced = str(reply.code), _enhanced(reply.text)
        outcome_code = f"{code} {enhanced}".strip()
        said = f"{code} {reply.text}"
        if reply.code in ACCOUNT_CODES or (
            is_sender and reply.code >= 500 and reply.code not in MESSAGE_CODES
        ):
            return Outcome(Fate.ACCOUNT_STOPPED, outcome_code, said)
        if reply.is_good:
            return Outcome(Fate.ACCEPTED, outcome_code, said)
        if reply.code == 421:  # the server is closing the connection (RFC 5321 §3.8)
            self.close()
        return Outcome(Fate.DEFERRED if reply.code < 500 else Fate.REJECTED, outcome_code, said)

    def _write(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def _reply(self) -> Reply:
        """Read one reply, all its lines (RFC 5321 §4.2.1)."""
        words = []
        for _ in range(REPLY_LINES):
            line = self._replies.readline(LINE_LIMIT)
            if not line.endswith(b"\n"):
                raise _Gone("the server closed it" if not line else "a line of the reply is too long")
            words.append(line[4:].strip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                break
        if not line[:3].isdigit():
            raise _Gone("the answer was no SMTP reply")
        reply = Reply(int(line[:3]), " ".join(words))
        if reply.code == 421:
            self.usable = False
        return reply

    def close(self) -> None:
        self.usable = False
        try:
            self._socket.sendall(b"QUIT\r\n")
        except OSError:
            return
        finally:
            self._replies.close()
            self._socket.close()


def _enhanced(text: str) -> str:
    """The enhanced status code at the start of a reply (RFC 2034), or ""."""
    first = text.partition(" ")[0]
    parts = first.split(".")
    return first if len(parts) == 3 and all(part.isdigit() for part in parts) and len(first) <= 8 else ""


def _stuffed(data: bytes) -> bytes:
    """Double the dots that begin a line (RFC 5321 §4.5.2)."""
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data
