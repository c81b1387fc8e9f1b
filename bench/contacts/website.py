"""The web server of a bench and the worker it asks, as `make run` starts them, and what a page takes."""

import contextlib
import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.test import Client

from accounts.models import User
from bench import processes
from config.run import collect_static

START_SECONDS = 60
ANSWER_SECONDS = 30
WARM_UPS = 4  # each process of the server reads its templates at first


@contextlib.contextmanager
def running() -> Iterator[int]:
    """The port it answers at."""
    collect_static()
    port = processes.free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "config.processes", "web", "system"],
        env=os.environ | {"PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(server, port)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(server: subprocess.Popen, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            milliseconds(port, "/healthz", "")
            return
        time.sleep(0.1)
    raise SystemExit("The web server did not start.")


def signed_in(person: User) -> str:
    """The cookie of a session of theirs."""
    client = Client()
    client.force_login(person, backend="allauth.account.auth_backends.AuthenticationBackend")
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


@dataclass(frozen=True)
class Site:
    """Pages as somebody who is signed in sees them: {name: path}."""

    port: int
    cookie: str
    pages: dict[str, str]

    def __post_init__(self) -> None:
        for name in [*self.pages] * WARM_UPS:
            self.milliseconds(name)

    def milliseconds(self, name: str) -> float:
        return milliseconds(self.port, self.pages[name], self.cookie)


def milliseconds(port: int, path: str, cookie: str) -> float:
    """From the request to the last byte of the page, on a connection of its own."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path, headers={"Cookie": cookie})
        answer = connection.getresponse()
        answer.read()
    finally:
        connection.close()
    assert answer.status == 200, (path, answer.status)
    return 1000 * (time.perf_counter() - began)
