"""A mailbox served over IMAP and over POP3, as much of both as reading it takes."""

import base64
import contextlib
import http.server
import json
import re
import socketserver
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qsl


@dataclass
class PostServer:
    """Messages by their ids; what a test does to them, the next session sees. fails_at: a command not answered."""

    messages: dict[int, bytes] = field(default_factory=dict)
    flags: dict[int, set[str]] = field(default_factory=dict)
    password: str = "secret"
    token: str = ""  # by which AUTHENTICATE XOAUTH2 lets in; "" nobody
    validity: int = 7
    offers: str = "IMAP4rev1 UIDPLUS"
    fails_at: str = ""
    commands: list[str] = field(default_factory=list)
    imap_port: int = 0
    pop_port: int = 0

    def put(self, *sources: bytes) -> None:
        for source in sources:
            self.messages[max([0, *self.messages, *self.flags]) + 1] = source.replace(b"\r\n", b"\n").replace(
                b"\n", b"\r\n"
            )

    def start(self):
        self._servers = []
        for name, talk in (("imap_port", _imap), ("pop_port", _pop)):
            made = type("Handler", (socketserver.StreamRequestHandler,), {"handle": _talking(self, talk)})
            server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), made)
            server.daemon_threads = True
            setattr(self, name, server.server_address[1])
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
            self._servers.append(server)
        return self

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def lines(self, handler):
        while line := handler.rfile.readline():
            self.commands.append(line.decode().strip())
            if self.fails_at and self.fails_at in self.commands[-1]:
                return
            yield self.commands[-1]


@dataclass
class SignIn:
    """Microsoft's sign-in as documented for OAuth 2.0 client credentials: one application, one secret, one token."""

    token: str = "a-token"
    answers: tuple[int, bytes] | None = None  # in place of what it would say
    asked: list[dict[str, str]] = field(default_factory=list)
    url: str = ""

    def start(self):
        signs_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
                signs_in.asked.append({"path": self.path, **form})
                status, body = signs_in.answers or signs_in.answer(form)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/{{tenant}}/oauth2/v2.0/token"
        return self

    def answer(self, form):
        if form.get("client_secret") != "app-secret":
            words = "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1\r\nTimestamp: 2"
            return 401, json.dumps({"error": "invalid_client", "error_description": words}).encode()
        said = {"token_type": "Bearer", "expires_in": 3599, "access_token": self.token}
        return 200, json.dumps(said).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _talking(server, talk):
    def handle(handler):
        def say(*pieces):
            handler.wfile.write(b"".join(each.encode() if isinstance(each, str) else each for each in pieces))

        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            talk(server, handler, say)

    return handle


def _imap(server, handler, say):
    say("* OK ready\r\n")
    for line in server.lines(handler):
        tag, _, rest = line.partition(" ")
        command = rest.upper()
        if command.startswith("CAPABILITY"):
            say(f"* CAPABILITY {server.offers}\r\n")
        elif command.startswith("LOGIN"):
            if not rest.endswith(f'"{server.password}"'):
                say(tag, " NO [AUTHENTICATIONFAILED] Invalid credentials\r\n")
                continue
        elif command.startswith("AUTHENTICATE XOAUTH2"):
            say("+ \r\n")
            shown = base64.b64decode(handler.rfile.readline())
            if shown != f"user=bounces@acme.example\x01auth=Bearer {server.token}\x01\x01".encode():
                say("+ eyJzdGF0dXMiOiI0MDAifQ==\r\n")  # what is wrong, as JSON
                handler.rfile.readline()
                say(tag, " NO AUTHENTICATE failed.\r\n")
                continue
        elif command.startswith("SELECT"):
            if '"INBOX"' not in command:
                say(tag, " NO Mailbox does not exist\r\n")
                continue
            say(f"* {len(server.messages)} EXISTS\r\n* OK [UIDVALIDITY {server.validity}] Ok\r\n")
        elif found := re.match(r"UID SEARCH UID (\d+):\*", command):
            above = [uid for uid in server.messages if uid >= int(found[1])] or list(server.messages)[-1:]
            say("* SEARCH ", " ".join(map(str, above)), "\r\n")
        elif found := re.match(r"UID FETCH (\d+) \(BODY.PEEK\[\]<0.(\d+)>\)", command):
            source = server.messages[int(found[1])][: int(found[2])]
            say(f"* 1 FETCH (UID {found[1]} BODY[]<0> {{{len(source)}}}\r\n", source, ")\r\n")
        elif found := re.match(r"UID STORE (\S+) \+FLAGS.SILENT \((.*)\)", command):
            for uid in map(int, found[1].split(",")):
                server.flags.setdefault(uid, set()).update(found[2].split())
        elif found := re.match(r"UID EXPUNGE (\S+)|EXPUNGE", command):
            named = set(map(int, found[1].split(","))) if found[1] else set(server.messages)
            for uid in [uid for uid in named if r"\DELETED" in server.flags.get(uid, set())]:
                del server.messages[uid]
        elif command.startswith("LOGOUT"):
            say("* BYE\r\n", tag, " OK bye\r\n")
            return
        say(tag, " OK done\r\n")


def _pop(server, handler, say):
    say("+OK ready\r\n")
    listed, dead = dict(enumerate(list(server.messages), 1)), set()
    for line in server.lines(handler):
        command, _, rest = line.partition(" ")
        match command.upper():
            case "PASS" if rest != server.password:
                say("-ERR [AUTH] Invalid credentials\r\n")
                continue
            case "UIDL":
                say("+OK\r\n", *(f"{n} uid-{uid}\r\n" for n, uid in listed.items()), ".\r\n")
                continue
            case "LIST":
                say(
                    "+OK\r\n", *(f"{n} {len(server.messages[uid])}\r\n" for n, uid in listed.items()), ".\r\n"
                )
                continue
            case "RETR" | "TOP":
                source = server.messages[listed[int(rest.split()[0])]]
                say(
                    "+OK\r\n",
                    source.replace(b"\r\n.", b"\r\n.."),
                    b"" if source.endswith(b"\n") else b"\r\n",
                    ".\r\n",
                )
                continue
            case "DELE":
                dead.add(listed[int(rest)])
            case "QUIT":
                for uid in dead:
                    del server.messages[uid]
                say("+OK bye\r\n")
                return
        say("+OK\r\n")
