"""The PostgreSQL and Redis that the tests run against; loaded by pytest before Django reads its settings.

They live under var/test, apart from a Volley that runs beside, and end with the test run. A second run at the
same time has a folder of its own, which goes with it. Each run begins with a copy of the seed, whose database is
the template of every test database.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import warnings
from pathlib import Path

from tests import seed

TEMPLATE = "migrated"
VAR = Path(__file__).resolve().parent.parent / "var"
os.environ["VOLLEY_INBOX"] = "on"
_stops = []


def _folder() -> Path:
    """var/test for one run at a time: the lock ends with its process."""
    VAR.mkdir(exist_ok=True)
    lock = (VAR / "test.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        own = VAR / f"test-{os.getpid()}"
        _stops.append(lambda: shutil.rmtree(own, ignore_errors=True))
        return own
    _stops.append(lock.close)
    return VAR / "test"


if "VOLLEY_VAR" not in os.environ:
    os.environ["VOLLEY_VAR"] = str(_folder())


def _start():
    from config import embedded

    if not os.environ.get("DATABASE_URL"):
        _plant(embedded)
        _stops.append(embedded.stop_postgres)
        embedded.start_postgres()
        _prepare(embedded)
    if not os.environ.get("REDIS_URL"):
        redis = embedded.start_redis()
        if redis:
            _stops.append(lambda: (redis.terminate(), redis.wait()))


def _plant(embedded):
    data = embedded.VAR / "postgres"
    if (data / "postmaster.pid").exists():  # an earlier run was killed; its server may still be there
        with warnings.catch_warnings(action="ignore"), contextlib.suppress(subprocess.CalledProcessError):
            embedded.stop_postgres()
    shutil.rmtree(data, ignore_errors=True)
    seed.copy(embedded.VAR)


def _prepare(embedded):
    import psycopg

    with psycopg.connect(embedded.database_url("postgres"), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")  # nobody waits for the disk
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {TEMPLATE} TEMPLATE volley")


def _own_redis_database():
    """Ids come again in each test worker's database; what Redis keeps by them must not meet."""
    from config import embedded

    number = int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw"))
    os.environ["REDIS_URL"] = embedded.redis_url().replace("db=0", f"db={1 + number % 15}")


if "PYTEST_XDIST_WORKER" not in os.environ:
    _start()
elif not os.environ.get("REDIS_URL"):
    _own_redis_database()


def pytest_unconfigure(config):
    while _stops:
        _stops.pop()()
