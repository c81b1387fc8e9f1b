"""Small real servers for the transports to talk to: an ESP's HTTP API, and mail servers that misbehave."""

import asyncio
import contextlib
import http.server
import json
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from tests.at_once import beside


@dataclass
class EspServer:
    """Answers every request with `answers` in turn, the last one again and again; keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    connections: set[tuple] = field(default_factory=set)

    def answer(self, status: int, body: Any, **headers: str) -> None:
        self.answers.append(
            (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        )


def _text(answer) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer)


@contextlib.contextmanager
def an_esp():
    esp = EspServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            esp.connections.add(self.client_address)
            esp.requests.append({"path": self.path, "headers": dict(self.headers), "body": body})
            status, headers, answer = esp.answers.pop(0) if len(esp.answers) > 1 else esp.answers[0]
            if status == 0:  # say nothing at all
                self.close_connection = True
                return
            octets = answer if isinstance(answer, bytes) else _text(answer).encode()
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    esp.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield esp
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def a_talker(*lines: bytes):
    """A TCP server that greets with the first line, and answers each line it gets with the next one."""
    listener = socket.create_server(("127.0.0.1", 0))

    def talk():
        with contextlib.suppress(OSError):
            while True:
                conversation, _ = listener.accept()
                with conversation, conversation.makefile("rb") as heard, contextlib.suppress(OSError):
                    conversation.sendall(lines[0] + b"\r\n")
                    for line in lines[1:]:
                        heard.readline()
                        conversation.sendall(line + b"\r\n")
                    heard.readline()

    thread = threading.Thread(target=talk, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextlib.contextmanager
def served(serve, port: int):
    """One of Volley's own servers, in a thread."""
    loop, stop, up = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    running = serve(host="127.0.0.1", port=port, stop=stop, started=up.set)
    serving = beside(loop.run_until_complete, running)
    assert up.wait(10)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        serving.result(10)
        loop.close()


def a_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]
