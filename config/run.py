"""`make run`: start what is needed, prepare it, and hand over to the process manager.

With `--once "manage.py shell"` the servers are started if they are down, the one command runs, and what
was started here is stopped again.
"""

import argparse
import errno
import fcntl
import hashlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TextIO

from config import embedded

ROOT = Path(__file__).resolve().parent.parent
LOCK = "run.lock"  # of whoever runs here, and where: its URL
REDIS_WATCH_SECONDS = 0.5
MIGRATING = 0x6D696772  # an arbitrary number that only this locks
MIGRATING_POLL_SECONDS = 0.5
STAMP = ".made_of"
STATIC_PACKAGES = ("package-lock.json", "requirements.txt", "config/settings.py", "config/storage.py")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", metavar="COMMAND", help="run one Python command instead of Volley")
    once = parser.parse_args().once
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, _interrupt)
    # The process manager gives each process a PORT of its own; links in mail need the web server's.
    running = _running_url() if once else ""
    os.environ.setdefault("PUBLIC_URL", running or f"http://127.0.0.1:{_port()}")
    started = _start_services(shared=once is not None)
    try:
        _migrate()
        if once:
            return subprocess.call([sys.executable, *shlex.split(once)])
        collect_static()
        return _run()
    except KeyboardInterrupt:
        return 130
    finally:
        for stop in reversed(started):
            stop()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _start_services(*, shared: bool) -> list[Callable[[], object]]:
    """Start what no URL names. Gives what stops the services again, those already running left out."""
    stops: list[Callable[[], object]] = []
    if not shared:
        if not (os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL")):
            stops.append(_alone().close)
        _refuse_taken_port()
    if not os.environ.get("DATABASE_URL"):
        running = (embedded.VAR / "postgres" / "postmaster.pid").exists()
        print("Starting PostgreSQL ...", flush=True)
        embedded.start_postgres()
        if not (shared and running):
            stops.append(embedded.stop_postgres)
    if not os.environ.get("REDIS_URL"):
        print("Starting Redis ...", flush=True)
        redis = embedded.start_redis()
        if redis:
            stops.append(_Kept(redis).stop)
    return stops


def _alone() -> TextIO:
    """The lock of this folder's services, held until it is closed or this process ends.

    A second run would stop them under the first one as it ends. Raises: SystemExit: another one holds it.
    """
    embedded.VAR.mkdir(parents=True, exist_ok=True)
    lock = (embedded.VAR / LOCK).open("a")  # what the one that holds it wrote stays
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("Volley runs from this folder already, perhaps in another terminal; stop it there first.")
    lock.truncate(0)
    lock.write(os.environ["PUBLIC_URL"])
    lock.flush()
    return lock


def _running_url() -> str:
    """Where the Volley is that runs from this folder with services of its own; "" when none does."""
    try:
        with (embedded.VAR / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return ""
    except BlockingIOError:
        return (embedded.VAR / LOCK).read_text()
    return ""


def _port() -> int:
    text = os.environ.get("PORT") or "8000"
    if not (text.isdecimal() and 0 < int(text) < 65536):
        sys.exit(f"PORT is “{text}”; it must be a number from 1 to 65535.")
    return int(text)


def _refuse_taken_port() -> None:
    """Before anything starts: the web server shares its port among its workers, and so with a stranger, too.

    Raises: SystemExit.
    """
    host, port = os.environ.get("VOLLEY_HOST") or "127.0.0.1", _port()
    family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as asked:
        asked.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that still end do not count
        try:
            asked.bind(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                sys.exit(f"Port {port} of {host} cannot be used: {error.strerror}.")
            sys.exit(
                f"Port {port} is taken. Choose another one: PORT={port + 1 if port < 65535 else 8000} make run"
            )


class _Kept:
    """The embedded Redis, begun again when it ends unasked: without it nobody could queue anything."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ending.wait(REDIS_WATCH_SECONDS):
            if self._process.poll() is not None:
                print("Redis ended; it begins again ...", flush=True)
                self._begin()

    def _begin(self) -> None:
        try:
            self._process = embedded.start_redis() or self._process  # somebody else may have started one
        except RuntimeError as error:  # tried again in a moment
            print(error, flush=True)

    def stop(self) -> None:
        self._ending.set()
        self._watcher.join()
        self._process.terminate()
        self._process.wait()


def _migrate() -> None:
    """Bring the tables up to date; of several that begin at once, on whatever hosts, one after the other."""
    import psycopg

    url = os.environ.get("DATABASE_URL") or embedded.database_url()
    with psycopg.connect(url, autocommit=True) as connection:
        # Asked for again and again: who waits in one statement is waited for by an index that is made CONCURRENTLY.
        while not connection.execute("SELECT pg_try_advisory_lock(%s)", [MIGRATING]).fetchone()[0]:  # type: ignore[index]
            time.sleep(MIGRATING_POLL_SECONDS)
        _manage("migrate", "--verbosity", "0")


def collect_static() -> None:
    """Hash and pack the static files, which takes seconds, unless all that they are made of is as it was the last time."""
    stamp, made_of = embedded.VAR / "static" / STAMP, _made_of()
    if not (stamp.exists() and stamp.read_text() == made_of):
        stamp.unlink(missing_ok=True)
        _manage("collectstatic", "--noinput", "--verbosity", "0")
        stamp.write_text(made_of)


def _made_of() -> str:
    """Of our own files and of which packages they come from."""
    digest = hashlib.sha256()
    for name in STATIC_PACKAGES:
        digest.update((ROOT / name).read_bytes())
    for path in sorted((ROOT / "static").rglob("*")):
        digest.update(f"{path.relative_to(ROOT)} {path.stat().st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _manage(*arguments: str) -> None:
    subprocess.run([sys.executable, "manage.py", *arguments], check=True)


def _run() -> int:
    port = _port()
    os.environ.setdefault("SEND_WORKERS", str(os.cpu_count() or 1))
    from config import settings  # once the environment says all it will

    inbox = (
        f"  Mail it sends lands in the local inbox: http://127.0.0.1:{port}/inbox/\n"
        if settings.INBOX
        else ""
    )
    print(
        f"\n  Volley runs at http://127.0.0.1:{port}/\n"
        "  Sign in there, or create an account: the first page shows how.\n"
        f"{inbox}"
        "  `make demo-data` fills a workspace to look around in. Ctrl-C stops everything.\n",
        flush=True,
    )
    manager = subprocess.Popen([sys.executable, "-m", "config.processes"])
    while True:
        try:
            return manager.wait()
        except KeyboardInterrupt:
            manager.terminate()  # a terminal's Ctrl-C has reached it too; twice is harmless


if __name__ == "__main__":
    sys.exit(main())
