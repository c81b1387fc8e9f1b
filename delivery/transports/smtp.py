"""The way out over SMTP: connect, TLS and sign-in by smtplib, then messages with as few round trips as allowed.

RFC 5321; the envelope travels in one write where the server offers PIPELINING (RFC 2920), else in lock-step.
"""

import smtplib
import socket
import ssl
import struct
from typing import Literal

from delivery.transports.base import CannotConnect, Fate, Meanwhile, Message, Outcome, nothing
from delivery.transports.smtp_answers import Command, Reply, outcome_of

CONNECT_SECONDS = 10.0
# For an answer; content filters take their time for the one to the message. RFC 5321 §4.5.3.2.6 wants ten minutes
# for it; giving up after two costs one repeated message at most, as an in-doubt one is sent once more only.
ANSWER_SECONDS = 120
LINE_LIMIT = 2048  # octets of a reply's line; RFC 5321 §4.5.3.1.5 allows 512
RECEIVE = 8192
SHOWN = 100  # octets of an answer that is none
PIECES_AT_ONCE = 500  # Linux takes 1024
REPLY_LINES = 100

DROPPED = "dropped"  # the code of what was surely not handed over
COMMANDS: tuple[Command, ...] = ("MAIL", "RCPT", "DATA")
Security = Literal["none", "starttls", "tls"]


KNOWN_REPLIES, KNOWN_LENGTH = 500, 60
_known_replies: dict[bytes, Reply] = {}
# What servers answered to MAIL, RCPT and DATA together when they took all three, word for word.
_known_consents: set[bytes] = set()
# Servers that offer PIPELINING and lose step with it; this process talks to them command by command from then on.
_out_of_step: set[str] = set()


class _Gone(Exception):  # noqa: N818
    """The connection ended."""


class _OutOfStep(_Gone):
    """The server said what is no SMTP, or answers something else than was asked."""


def connect(
    *, host: str, port: int, security: Security = "none", user: str = "", password: str = ""
) -> "Connection":
    """Open a connection that is ready to send.

    Raises: CannotConnect: with the server's words, and whether the account or the moment is to blame.
    """
    try:
        return Connection(_session(host, port, security, user, password), peer=f"{host}:{port}")
    except smtplib.SMTPAuthenticationError as error:
        raise CannotConnect(
            _refused(error.smtp_code, error.smtp_error, "The server refused the user name or password")
        ) from error
    except smtplib.SMTPNotSupportedError as error:
        words = (
            "The server offers no STARTTLS"
            if "STARTTLS" in str(error)
            else "The server takes no sign-in; leave user name and password empty, or choose STARTTLS"
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
    except (UnicodeError, ValueError) as error:  # a host name that cannot be one, an EHLO answer that is none
        words = f"{host}:{port} cannot be used: {error}."
        raise CannotConnect(Outcome(Fate.ACCOUNT_STOPPED, server_said=words)) from error
    except (OSError, smtplib.SMTPException) as error:
        raise CannotConnect(_not_connected(host, port, error)) from error


def _session(host: str, port: int, security: Security, user: str, password: str) -> smtplib.SMTP:
    # Reading the machine's certificates takes as long as a hundred messages: only where they are asked for.
    context = None if security == "none" else ssl.create_default_context()
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


def _not_connected(host: str, port: int, error: Exception) -> Outcome:
    if "authentication method" in str(error):  # smtplib: the server offers none that it knows
        words = f"{host}:{port} offers no way to sign in that Volley knows (PLAIN, LOGIN, CRAM-MD5)."
        return Outcome(Fate.ACCOUNT_STOPPED, server_said=words)
    return Outcome(Fate.DEFERRED, server_said=_unreachable(host, port, error))


def _unreachable(host: str, port: int, error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"{host}:{port} did not answer within {CONNECT_SECONDS:.0f} seconds."
        case ConnectionRefusedError():
            return f"{host}:{port} refused the connection: nothing listens there."
        case socket.gaierror():
            return f"The host name {host} is not known."
        case smtplib.SMTPServerDisconnected() if "timed out" in str(error):
            return f"{host}:{port} took the call and said nothing for {CONNECT_SECONDS:.0f} seconds."
        case smtplib.SMTPServerDisconnected():
            return f"{host}:{port} closed the connection before it was ready."
    return f"{host}:{port} cannot be reached: {error}."


class Connection:
    """One kept SMTP connection: a lane's. Not for two threads at once.

    With PIPELINING a message travels in one write with the envelope of the next one, so that it costs one round
    trip: MAIL, RCPT and DATA are a group of which DATA is the last (RFC 2920 §3.1).
    """

    def __init__(self, session: smtplib.SMTP, *, peer: str) -> None:
        assert session.sock is not None
        self.usable = True
        self._peer = peer
        self._is_plain = not isinstance(session.sock, ssl.SSLSocket)
        self._socket: socket.socket = session.sock
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._limit_waiting()
        self._received = b""  # and not read yet
        self._left = 0
        self._pipelining = session.has_extn("pipelining") and peer not in _out_of_step
        self._utf8 = session.has_extn("smtputf8")
        self._size_limit = int(session.esmtp_features.get("size") or 0)
        self.announced: Message | None = None  # its envelope was sent and taken
        self._refused_ahead: tuple[Message, Outcome] | None = None
        self._farewell: Reply | None = None  # a 421, after which no more is said

    def _limit_waiting(self) -> None:
        """By the kernel where TLS allows it: Python's own way asks it before every call, and other lanes meanwhile."""
        if not self._is_plain:
            self._socket.settimeout(ANSWER_SECONDS)
            return
        self._socket.settimeout(None)
        timeval = struct.pack("ll", ANSWER_SECONDS, 0)
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            self._socket.setsockopt(socket.SOL_SOCKET, direction, timeval)

    def send(
        self, message: Message, upcoming: Message | None = None, meanwhile: Meanwhile = nothing
    ) -> Outcome:
        """Hand over one message. Never raises: after a lost connection `usable` is False."""
        unfit = None if self.announced is message else self._unfit(message)
        if unfit:
            return unfit
        ahead = upcoming if upcoming and self._pipelining and not self._unfit(upcoming) else None
        behind = _envelope(ahead) if ahead else b""
        self._left = len(behind) + 1  # octets that are not written yet
        try:
            refusal = self._open(message)
            if refusal or not self.usable:
                return refusal or _dropped("the server closed it")
            pieces = message.pieces if message.has_no_dots else [_stuffed(message.data)]
            self._write_pieces([*pieces, b".\r\n" + behind])
            meanwhile()
            outcome = self._end()
        except (OSError, _Gone) as error:
            self._break(error)
            # After the final dot nobody knows; the message may go again with the same Message-ID.
            return _lost(_words(error)) if self._left <= len(behind) else _dropped(_words(error))
        if ahead and self.usable:
            self._look_ahead(ahead)
        return outcome

    def _unfit(self, message: Message) -> Outcome | None:
        """What this server says it cannot take is not handed to it."""
        if _needs_utf8(message) and not self._utf8:
            words = "The server knows no addresses with letters beyond ASCII (SMTPUTF8)."
            return Outcome(Fate.REJECTED, "553 5.6.7", words)
        if self._size_limit and message.size > self._size_limit:
            words = f"The message has {message.size:,} bytes; the server takes {self._size_limit:,}."
            return Outcome(Fate.REJECTED, "552 5.3.4", words)
        return None

    def _open(self, message: Message) -> Outcome | None:
        """See that the server waits for the message; else its refusal."""
        refusal = self._refused_ahead
        if refusal and refusal[0] is message:
            self._refused_ahead = None
            return refusal[1]
        if self.announced is not None:
            if self.announced is not message:
                raise _Gone("another message was announced")
            self.announced = None
            return None
        if self._pipelining:
            self._write(_envelope(message))
            return self._opened([self._reply_to("MAIL"), self._reply_to("RCPT"), self._reply_to("DATA")])
        answers: list[tuple[Command, Reply]] = []
        for command, line in zip(COMMANDS, _envelope(message).splitlines(keepends=True), strict=True):
            self._write(line)
            answers.append((command, self._reply()))
            if not answers[-1][1].is_good:
                break
        return self._opened(answers)

    def _look_ahead(self, message: Message) -> None:
        """Read what the announced message's envelope was answered; trouble here is not the sent one's."""
        answers = self._received  # all of them as a rule: servers answer a group in one write (RFC 2920 §3.2)
        if answers in _known_consents:
            self._received, self.announced = b"", message
            return
        try:
            refusal = self._opened([self._reply_to("MAIL"), self._reply_to("RCPT"), self._reply_to("DATA")])
        except (OSError, _Gone) as error:
            self._break(error)
            return
        if refusal is not None:
            self._refused_ahead = (message, refusal)
            return
        self.announced = message
        if _are_three_lines(answers):
            if len(_known_consents) >= KNOWN_REPLIES:  # of a server that names the recipient in its answer
                _known_consents.clear()
            _known_consents.add(answers)

    def _reply_to(self, command: Command) -> tuple[Command, Reply]:
        """The next reply of a group; after a 421 there is none, so it stands for those that follow too."""
        if self._farewell is None:
            reply = self._reply()
            if reply.code != 421:
                return command, reply
            self._farewell = reply
        return command, self._farewell

    def _opened(self, answers: list[tuple[Command, Reply]]) -> Outcome | None:
        """None once the server waits for the message; else the first refusal, the transaction left behind."""
        refused = next(((command, reply) for command, reply in answers if not reply.is_good), None)
        if refused is None:
            if [reply.code // 100 for _, reply in answers] != [2, 2, 3]:
                raise _OutOfStep("its answers do not fit the commands")
            return None
        command, reply = refused
        if reply.code == 421:
            self.close()
        else:
            self._start_over(after_data=answers[-1][0] == "DATA" and answers[-1][1].code == 354)
        return outcome_of(reply, command)

    def _start_over(self, *, after_data: bool) -> None:
        """Leave a refused transaction: an empty message where DATA was taken all the same, then RSET."""
        try:
            if after_data:
                self._write(b".\r\n")
                self._reply()
            self._write(b"RSET\r\n")
            if self._reply().code == 421:
                self.close()
        except (OSError, _Gone):  # the refusal holds, whatever became of the connection after it
            self.close()

    def _end(self) -> Outcome:
        reply = self._reply()
        if 300 <= reply.code < 400:
            raise _OutOfStep(f"it asks for more after the message ({reply.code} {reply.text})")
        if reply.code == 421:  # the server is closing the connection (RFC 5321 §3.8)
            self.close()
        return outcome_of(reply, "END")

    def _write(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def _write_pieces(self, pieces: list[bytes]) -> None:
        """One write of them all, without copying the message; `_left` tells how far it got."""
        self._left = sum(map(len, pieces))
        if self._is_plain:  # TLS knows no sendmsg
            self._left -= self._socket.sendmsg(pieces[:PIECES_AT_ONCE])
        if self._left:
            rest = memoryview(b"".join(pieces))
            while self._left:
                self._left -= self._socket.send(rest[-self._left :])

    def _reply(self) -> Reply:
        """Read one reply. Most are the same short line again and again, so those are read once."""
        line = self._line()
        known = _known_replies.get(line)
        if known is None:
            known = self._read_reply(line)
            if len(line) <= KNOWN_LENGTH and line[3:4] == b" " and len(_known_replies) < KNOWN_REPLIES:
                _known_replies[line] = known
        return known

    def _read_reply(self, line: bytes) -> Reply:
        """All lines of a reply whose first one was read (RFC 5321 §4.2.1)."""
        words = []
        for at in range(REPLY_LINES):
            line = self._line() if at else line
            if not line.endswith(b"\n"):
                raise _Gone("the server closed it" if not line else "a line of the reply is too long")
            words.append(line[4:].strip().decode("utf-8", "replace"))
            if line[3:4] != b"-":
                break
        if not line[:3].isdigit() or not b"200" <= line[:3] <= b"599":  # RFC 5321 §4.2.1
            said = line[:SHOWN].strip().decode("utf-8", "replace")
            raise _OutOfStep(f"the answer was no SMTP reply ({said})")
        return Reply(int(line[:3]), " ".join(words))

    def _line(self) -> bytes:
        """The next line; without its end where the connection ended or the line is too long."""
        while (end := self._received.find(b"\n")) < 0 and len(self._received) < LINE_LIMIT:
            octets = self._socket.recv(RECEIVE)
            if not octets:
                break
            self._received += octets
        cut = end + 1 or len(self._received)
        line, self._received = self._received[:cut], self._received[cut:]
        return line

    def _break(self, error: Exception) -> None:
        if self._pipelining and isinstance(error, _OutOfStep):
            _out_of_step.add(self._peer)
        self.close()

    def close(self) -> None:
        """End it; where a message was announced, without a word, since the server waits for its content."""
        self.usable = False
        try:
            if self.announced is None:
                self._socket.sendall(b"QUIT\r\n")
        except OSError:
            return
        finally:
            self._socket.close()


def _are_three_lines(answers: bytes) -> bool:
    """Whether they are three replies of a line each, and short enough to be the same for everybody."""
    lines = answers.split(b"\n")
    return (
        len(lines) == 4
        and not lines[3]
        and all(len(line) <= KNOWN_LENGTH and line[3:4] == b" " for line in lines[:3])
    )


def _needs_utf8(message: Message) -> bool:
    return not (message.to.isascii() and message.sender.isascii())


def _envelope(message: Message) -> bytes:
    extra = b" SMTPUTF8" if _needs_utf8(message) else b""
    mail = b"MAIL FROM:<" + message.sender.encode() + b">" + extra + b"\r\n"
    return mail + b"RCPT TO:<" + message.to.encode() + b">\r\nDATA\r\n"


def _dropped(words: str) -> Outcome:
    return Outcome(Fate.DEFERRED, DROPPED, f"The connection was lost: {words}.")


def _lost(words: str) -> Outcome:
    said = f"The connection was lost after the message: {words}."
    return Outcome(Fate.IN_DOUBT, "in doubt", said, repeatable=True)


def _words(error: Exception) -> str:
    if isinstance(error, BlockingIOError | TimeoutError):  # the first is how the kernel's own limit shows
        return f"no answer within {ANSWER_SECONDS} seconds"
    return str(error) or type(error).__name__


def _stuffed(data: bytes) -> bytes:
    """Double the dots that begin a line (RFC 5321 §4.5.2)."""
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..") if b"\r\n." in data else data
