"""The data of a Volley that has its tables, its static files and nothing else: copied, it spares making them anew.

Making it is `make run`'s own first start, so each fresh checkout tries that once.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEED = ROOT / "var" / "seed"


def apart(**more: str) -> dict[str, str]:
    """This process's environment without the servers that it names: whoever starts in it has its own."""
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    return kept | more


def copy(var: Path) -> None:
    """Into var, brought up to date before; each file as whose it is, since PostgreSQL asks for that."""
    SEED.mkdir(parents=True, exist_ok=True)
    var.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "config.run",
        "--once",
        "-c 'from config.run import collect_static; collect_static()'",
    ]
    with (SEED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run(command, cwd=ROOT, env=apart(VOLLEY_VAR=str(SEED)), check=True, capture_output=True)
        subprocess.run(["cp", "-a", SEED / "postgres", SEED / "static", var], check=True)
