"""IMAP and POP3: what waits in a mailbox, fetched piece by piece, and put away once it is written down."""

import contextlib
import imaplib
import poplib
import re
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

from delivery.bounces.microsoft import NoToken, is_microsofts, xoauth2
from delivery.bounces.parts import MOST_BYTES
from delivery.models import Mailbox
from delivery.models import Protocol as Kind
from delivery.secrets import unseal
from delivery.transports.base import CannotConnect
from delivery.transports.hosts import refuse_metadata

SECONDS: Final = 20.0  # for an answer
SESSION_SECONDS: Final = 120.0  # for all of them; a turn takes ten and an answer
MOST_ANSWER: Final = 100_000_000  # bytes
LINE_BYTES: Final = 50  # that a line costs beside its own
TOP_LINES: Final = 5_000  # of a message that is longer than MOST_BYTES, by POP3
MOST_LEFT: Final = 20_000  # messages that were read and stay in a POP3 mailbox
MICROSOFT_NEEDS: Final = " Microsoft takes no passwords any more: fill in the application’s IDs under Edit."
# The libraries refuse longer lines; a message may be one, and a search answers in one.
poplib._MAXLINE = 100_000_000  # type: ignore[attr-defined]
imaplib._MAXLINE = 20_000_000  # type: ignore[attr-defined]


class CannotRead(Exception):  # noqa: N818
    """In words: the mailbox cannot be read now."""


class Post(Protocol):
    """An open mailbox. Ids are the server's own, and stay."""

    def waiting(self) -> list[str]:
        """What was not read before, the oldest first."""

    def fetch(self, uid: str) -> bytes:
        """A message's source, or its first MOST_BYTES; b"" where the server cannot give it."""

    def put_away(self, read: Sequence[str], understood: Sequence[str]) -> None:
        """These were read; those understood are deleted or marked as read, and the others stay as they are."""

    @property
    def place(self) -> dict[str, Any]:
        """How far it was read, to be given again the next time."""

    def close(self) -> None:
        """End well: only then POP3 deletes."""

    def abandon(self) -> None:
        """End at once."""


@contextlib.contextmanager
def opened(mailbox: Mailbox) -> Iterator[Post]:
    """The mailbox, signed in, its folder chosen.

    Raises: CannotRead: with the server's words.
    """
    post: Post | None = None
    try:
        refuse_metadata(mailbox.host)
        post = _Imap(mailbox) if mailbox.protocol == Kind.IMAP else _Pop(mailbox)
        yield post
        post.close()
        post = None
    except CannotConnect as error:
        raise CannotRead(error.outcome.server_said) from error
    except NoToken as error:
        raise CannotRead(str(error)) from error
    except ssl.SSLCertVerificationError as error:
        raise CannotRead(
            f"The server's TLS certificate is not valid for {mailbox.host}: {error.verify_message}."
        ) from error
    except ssl.SSLError as error:
        words = f"TLS with {mailbox.host}:{mailbox.port} failed ({error.reason or error})."
        raise CannotRead(f"{words} Is it the right port for this security?") from error
    except (imaplib.IMAP4.error, poplib.error_proto) as error:
        needs = "" if mailbox.tenant or not is_microsofts(mailbox.host) else MICROSOFT_NEEDS
        raise CannotRead(f"The server answered: {_words(error)}{needs}") from error
    except TimeoutError as error:
        raise CannotRead(
            f"{mailbox.host}:{mailbox.port} did not answer within {SECONDS:.0f} seconds."
        ) from error
    except socket.gaierror as error:
        raise CannotRead(f"The host {mailbox.host} is not known.") from error
    except ConnectionRefusedError as error:
        raise CannotRead(
            f"{mailbox.host}:{mailbox.port} refused the connection: nothing listens there."
        ) from error
    except (OSError, EOFError, UnicodeError) as error:
        raise CannotRead(f"{mailbox.host}:{mailbox.port} could not be used: {error}.") from error
    finally:
        if post is not None:
            with contextlib.suppress(Exception):
                post.abandon()


def _words(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return (said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said))[:500]


def _context(mailbox: Mailbox) -> ssl.SSLContext | None:
    return None if mailbox.security == "none" else ssl.create_default_context()


class _Timed:
    """A client whose conversation ends, whatever the server says, and however slowly."""

    left = MOST_ANSWER  # bytes of the answer that is being read
    _timer: threading.Timer | None = None

    def _create_socket(self, timeout: float) -> socket.socket:
        made: socket.socket = super()._create_socket(timeout)  # type: ignore[misc]
        self._timer = threading.Timer(SESSION_SECONDS, _hang_up, [self])
        self._timer.daemon = True
        self._timer.start()
        return made

    def _counted(self, octets: bytes) -> bytes:
        self._charge(len(octets) + LINE_BYTES)
        return octets

    def _charge(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise OSError("its answer has no end")

    def _done(self) -> None:
        if self._timer:
            self._timer.cancel()


def _hang_up(client: Any) -> None:
    with contextlib.suppress(OSError, AttributeError):
        client.sock.shutdown(socket.SHUT_RDWR)


class _TimedImap(_Timed):
    def read(self, size: int) -> bytes:
        self._charge(size)  # before it is waited for
        return super().read(size)  # type: ignore[misc]

    def readline(self) -> bytes:
        return self._counted(super().readline())  # type: ignore[misc]

    def shutdown(self) -> None:
        self._done()
        super().shutdown()  # type: ignore[misc]


class _TimedPop(_Timed):
    def _getline(self) -> tuple[bytes, int]:
        line, octets = super()._getline()  # type: ignore[misc]
        return self._counted(line), octets

    def close(self) -> None:
        self._done()
        super().close()  # type: ignore[misc]


class _PlainImap(_TimedImap, imaplib.IMAP4):
    pass


class _TlsImap(_TimedImap, imaplib.IMAP4_SSL):
    pass


class _PlainPop(_TimedPop, poplib.POP3):
    pass


class _TlsPop(_TimedPop, poplib.POP3_SSL):
    pass


class _Imap:
    """place: {"validity": the folder's UIDVALIDITY, "last": the last UID that was read}."""

    def __init__(self, mailbox: Mailbox) -> None:
        context = _context(mailbox)
        if mailbox.security == "tls":
            self._client: _PlainImap | _TlsImap = _TlsImap(
                mailbox.host, mailbox.port, ssl_context=context, timeout=SECONDS
            )
        else:
            self._client = _PlainImap(mailbox.host, mailbox.port, timeout=SECONDS)
        try:
            if mailbox.security == "starttls":
                self._client.starttls(context)
            self._sign_in(mailbox)
            self._good(self._client.select(f'"{mailbox.folder}"'))
        except BaseException:
            self._client.shutdown()
            raise
        validity = self._client.response("UIDVALIDITY")[1][0]
        self._validity = int(validity) if validity else 0
        is_same = mailbox.place.get("validity") == self._validity
        self._last = int(mailbox.place.get("last", 0)) if is_same else 0
        self._deletes = mailbox.deletes

    def _sign_in(self, mailbox: Mailbox) -> None:
        password = unseal(mailbox.secrets).get("password", "")
        if not mailbox.tenant:
            self._client.login(mailbox.user, password)
            return
        shown = xoauth2(mailbox.user, tenant=mailbox.tenant, client_id=mailbox.client_id, secret=password)
        answers = iter([shown])  # a server that refuses may ask once more, and is answered with nothing
        try:
            self._client.authenticate("XOAUTH2", lambda _: next(answers, b""))
        except imaplib.IMAP4.error as error:
            raise CannotRead(
                f"The server refused the application: {_words(error)} "
                "Was it made known to Exchange, and may it read this mailbox?"
            ) from error

    def _good(self, answer: tuple[str, list[Any]]) -> list[Any]:
        kind, data = answer
        if kind != "OK":
            raise imaplib.IMAP4.error(data[0] if data else kind)
        return data

    def waiting(self) -> list[str]:
        self._client.left = MOST_ANSWER
        found = self._good(self._client.uid("SEARCH", f"UID {self._last + 1}:*"))
        uids = sorted(int(uid) for uid in (found[0] or b"").split())
        return [str(uid) for uid in uids if uid > self._last]  # "7:*" names the last one even where it is 5

    def fetch(self, uid: str) -> bytes:
        self._client.left = MOST_ANSWER
        _, data = self._client.uid("FETCH", uid, f"(BODY.PEEK[]<0.{MOST_BYTES}>)")
        return next((each[1] for each in data if isinstance(each, tuple)), b"")

    def put_away(self, read: Sequence[str], understood: Sequence[str]) -> None:
        self._client.left = MOST_ANSWER
        if understood:
            named = ",".join(understood)
            flags = r"(\Seen \Deleted)" if self._deletes else r"(\Seen)"
            self._good(self._client.uid("STORE", named, "+FLAGS.SILENT", flags))
            if self._deletes and "UIDPLUS" in self._client.capabilities:
                self._good(self._client.uid("EXPUNGE", named))
            elif self._deletes:
                self._good(self._client.expunge())
        self._last = max([self._last, *map(int, read)])

    @property
    def place(self) -> dict[str, Any]:
        return {"validity": self._validity, "last": self._last}

    def close(self) -> None:
        self._client.logout()

    def abandon(self) -> None:
        self._client.shutdown()


class _Pop:
    """place: {"left": the ids of what was read and stays there}."""

    def __init__(self, mailbox: Mailbox) -> None:
        context = _context(mailbox)
        if mailbox.security == "tls":
            self._client: _PlainPop | _TlsPop = _TlsPop(
                mailbox.host, mailbox.port, context=context, timeout=SECONDS
            )
        else:
            self._client = _PlainPop(mailbox.host, mailbox.port, timeout=SECONDS)
        try:
            if mailbox.security == "starttls":
                self._client.stls(context)
            self._client.user(mailbox.user)
            self._client.pass_(unseal(mailbox.secrets).get("password", ""))
            self._numbers = {uid.decode("latin-1"): int(n) for n, uid in _pairs(self._client.uidl()[1])}
            self._sizes = {int(n): int(size) for n, size in _pairs(self._client.list()[1])}
        except BaseException:
            self._client.close()
            raise
        self._left = set(mailbox.place.get("left", [])) & self._numbers.keys()
        self._deletes = mailbox.deletes

    def waiting(self) -> list[str]:
        if len(self._left) >= MOST_LEFT:
            raise CannotRead(
                f"{len(self._left)} messages that were read lie in the mailbox still. Move or delete them."
            )
        return [uid for uid in self._numbers if uid not in self._left]

    def fetch(self, uid: str) -> bytes:
        self._client.left = MOST_ANSWER
        number = self._numbers[uid]
        try:
            if self._sizes.get(number, 0) > MOST_BYTES:
                return b"\r\n".join(self._client.top(number, TOP_LINES)[1])[:MOST_BYTES]
            return b"\r\n".join(self._client.retr(number)[1])
        except poplib.error_proto as error:
            if _words(error).startswith("-ERR"):
                return b""
            raise

    def put_away(self, read: Sequence[str], understood: Sequence[str]) -> None:
        self._client.left = MOST_ANSWER
        deleted = set(understood) if self._deletes else set()
        for uid in deleted:
            self._client.dele(self._numbers[uid])
        self._left |= set(read) - deleted

    @property
    def place(self) -> dict[str, Any]:
        return {"left": sorted(self._left)}

    def close(self) -> None:
        self._client.quit()

    def abandon(self) -> None:
        self._client.close()


def _pairs(lines: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
    for line in lines:
        if found := re.match(rb"(\d{1,9}) +(\S+)", line):
            yield found[1], found[2]
