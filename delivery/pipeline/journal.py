"""The journal of a batch: every acceptance is noted at once, and settled in the ledger a moment later.

A holder writes into a file of its own, which outlives its process; what another holder of the batch finds there it
settles before it sends, so that after a crash only the message on the wire can go out twice. Files whose writer is
dead are handed over to Redis within a clock's turn, well before the batch's lease ends, for holders on other hosts.
A narrowing of doubt, not the truth: with a whole host lost or hung, what it did not settle yet is sent once more: a
quarter of a second of it, or two seconds where its database did not answer.
"""

import fcntl
import io
import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

import redis
from django.conf import settings

from accounts.queue import redis_client
from delivery.pipeline.lease import Lease

KEEP_SECONDS = 7 * 86400  # in Redis
LINE = re.compile(r"^\+(\d+) (.*)-$", re.MULTILINE)
log = logging.getLogger(__name__)


class Journal:
    """One holder's notes on a batch; its lanes share it.

    The file is locked as long as its writer lives.
    """

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.numbers = range(lease.first, lease.last + 1)
        self._path = Path(settings.JOURNALS) / f"{lease.batch_key}.{lease.key}"
        self._file: io.FileIO | None = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _locked(self._path)
        except OSError as error:  # a full disk is no reason not to send
            log.warning("journal.unwritable path=%s error=%s", self._path, error)

    def note(self, number: int, provider_id: str = "") -> None:
        """Write that a recipient's message was accepted: one short append, which needs no lock (some 2 µs)."""
        self.note_all([(number, provider_id)])

    def note_all(self, accepted: Iterable[tuple[int, str]]) -> None:
        """The same of many, in one append."""
        if self._file is None:
            return
        # Marked at both ends: on a full disk a part may be written, and another line behind it later.
        lines = "".join(f"+{number} {' '.join(provider_id.split())}-\n" for number, provider_id in accepted)
        try:
            self._file.write(lines.encode("utf-8", "replace"))
        except (OSError, ValueError) as error:
            log.warning("journal.unwritable path=%s error=%s", self._path, error)

    @property
    def is_left(self) -> bool:
        """Whether it still lies on this host alone."""
        return self._path.exists()

    def close(self, *, is_settled: bool) -> None:
        """is_settled: all that it says stands in the ledger, and the file goes away."""
        if self._file is None:
            return
        if is_settled:
            self._path.unlink(missing_ok=True)
        self._file.close()


def _locked(path: Path) -> io.FileIO:
    """The file, open and locked; made again where it was handed over between the two."""
    while True:
        file = path.open("ab", buffering=0)
        fcntl.flock(file, fcntl.LOCK_EX)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()


def read(batch_key: UUID) -> dict[int, str]:
    """What holders of the batch noted: {number: the ESP's id or ""}.

    Raises: redis.RedisError: whether others noted something is not known, so nothing may be sent.
    """
    noted = {}
    for path in _files(batch_key):  # files first: what leaves them meanwhile is in Redis then
        noted.update(_parsed(path))
    for entry in redis_client().lrange(_key(batch_key), 0, -1):
        number, _, provider_id = entry.decode().partition(" ")
        noted[int(number)] = provider_id
    return noted


def forget(batch_key: UUID) -> None:
    """Drop the journals of a finished batch."""
    for path in _files(batch_key):
        path.unlink(missing_ok=True)
    try:
        redis_client().delete(_key(batch_key))
    except redis.RedisError as error:
        log.warning("journal.unreachable batch=%s error=%s", batch_key, error)


def hand_over() -> int:
    """Give this host's journals whose writers are dead to Redis, for whoever takes their batches. Returns how many.

    Each host's clock does so, whoever sweeps; where Redis is away the files stay until it is back.
    """
    count = 0
    for path in _files():
        try:
            with path.open("r+b") as file:  # NFS locks only what may be written
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _give(UUID(path.name.partition(".")[0]), _parsed(path))
                path.unlink()
                count += 1
        except (BlockingIOError, FileNotFoundError):
            continue  # its writer lives, or somebody else was here
        except (ValueError, OSError, redis.RedisError) as error:
            log.warning("journal.not_handed_over path=%s error=%s", path, error)
    return count


def _give(batch_key: UUID, noted: dict[int, str]) -> None:
    if noted:
        pipeline = redis_client().pipeline()
        entries = [f"{number} {provider_id}" for number, provider_id in noted.items()]
        pipeline.rpush(_key(batch_key), *entries)
        pipeline.expire(_key(batch_key), KEEP_SECONDS)
        pipeline.execute()


def _key(batch_key: UUID) -> str:
    return f"volley:journal:{batch_key}"


def _files(batch_key: UUID | None = None) -> list[Path]:
    return list(Path(settings.JOURNALS).glob(f"{batch_key}.*" if batch_key else "*.*"))


def _parsed(path: Path) -> dict[int, str]:
    try:
        text = path.read_text(errors="replace")
    except FileNotFoundError:
        return {}
    return {int(number): provider_id for number, provider_id in LINE.findall(text)}
