"""A real SMTP server in a thread that does what a test tells it: refuse, defer, drop, or take everything."""

import socketserver
import threading
from collections.abc import Callable

Reply = str | None  # None drops the connection


class ScriptedServer:
    """answers: {command word: function of its line giving the reply}; messages: [(recipient, bytes)]."""

    def __init__(
        self, *, pipelining: bool = True, answers: dict[str, Callable[[str], Reply]] | None = None
    ) -> None:
        self.pipelining = pipelining
        self.answers = answers or {}
        self.offers: list[str] = []  # further extensions, as EHLO's answer has them
        self.messages: list[tuple[str, bytes]] = []
        self.senders: list[str] = []  # what stood in each MAIL FROM
        self.connection_count = 0
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            disable_nagle_algorithm = True

            def handle(self):
                outer.connection_count += 1
                _Session(outer, self.rfile, self.wfile).run()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def recipients(self) -> list[str]:
        return [recipient for recipient, _ in self.messages]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Session:
    def __init__(self, server, rfile, wfile) -> None:
        self.server, self.rfile, self.wfile = server, rfile, wfile
        self.recipient = ""

    def run(self) -> None:
        self._say("220 test server")
        try:
            while line := self.rfile.readline().decode().rstrip("\r\n"):
                if not self._command(line):
                    return
        except (BrokenPipeError, ConnectionResetError):
            return

    def _command(self, line: str) -> bool:
        verb = line[:4].upper()
        reply = self.server.answers.get(verb, lambda _line: _DEFAULT.get(verb, "250 2.0.0 Ok"))(line)
        if verb == "EHLO":
            offers = ["test", *(["PIPELINING"] if self.server.pipelining else []), *self.server.offers]
            reply = "".join(f"250-{each}\r\n" for each in offers) + "250 8BITMIME"
        if verb == "MAIL":
            self.server.senders.append(line.partition("<")[2].partition(">")[0])
        if verb == "RCPT":  # of a refused one DATA is still answered by 354, as RFC 2920 allows
            self.recipient = line.partition("<")[2].partition(">")[0] if (reply or "").startswith("2") else ""
        if reply is None:
            return False
        self._say(reply)
        if verb == "DATA" and reply.startswith("354"):
            return self._data()
        return verb != "QUIT" and not reply.startswith("421")

    def _data(self) -> bool:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        end = self.server.answers.get("END", lambda _recipient: "250 2.0.0 Queued")
        reply = end(self.recipient) if self.recipient else "554 5.5.1 No valid recipients"
        if reply is None:
            return False
        if reply.startswith("2"):
            self.server.messages.append((self.recipient, b"".join(lines)))
        self._say(reply)
        return not reply.startswith("421")

    def _say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")


_DEFAULT = {"DATA": "354 Go on", "QUIT": "221 Bye"}
