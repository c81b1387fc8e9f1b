"""The PostgreSQL and Redis that the tests run against; loaded by pytest before Django reads its settings.

They live under var/test, apart from a Volley that runs beside, and end with the test run.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("VOLLEY_VAR", str(ROOT / "var" / "test"))
os.environ["VOLLEY_INBOX"] = "on"
_stops = []


def _start():
    from config import embedded

    if not os.environ.get("DATABASE_URL"):
        embedded.start_postgres()
        _do_not_wait_for_the_disk()
        _stops.append(embedded.stop_postgres)
    if not os.environ.get("REDIS_URL"):
        redis = embedded.start_redis()
        if redis:
            _stops.append(lambda: (redis.terminate(), redis.wait()))


def _do_not_wait_for_the_disk():
    import psycopg

    from config import embedded

    with psycopg.connect(embedded.database_url(), autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")


if "PYTEST_XDIST_WORKER" not in os.environ:
    _start()


def pytest_unconfigure(config):
    while _stops:
        _stops.pop()()
