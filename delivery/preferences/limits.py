"""How often a public page may be acted on: enough for anybody, too little for a machine."""

import hashlib
import logging
from typing import Final

import redis

from accounts.queue import redis_client

SAVES: Final = (60, 3600)  # of one link: times, seconds
MAILS_OF_LINK: Final = (3, 86400)  # that confirm an address
MAILS_OF_VISITOR: Final = (10, 86400)
log = logging.getLogger(__name__)


def is_too_much(what: str, who: object, limit: tuple[int, int]) -> bool:
    """Count one more. Where Redis is away nothing is too much: what people want must not hang on it."""
    most, seconds = limit
    mark = hashlib.sha256(str(who).encode()).hexdigest()[:32]
    key = f"volley:limit:{what}:{mark}"
    try:
        pipeline = redis_client().pipeline()
        pipeline.set(key, 0, ex=seconds, nx=True)
        pipeline.incr(key)
        return bool(pipeline.execute()[1] > most)
    except redis.RedisError as error:
        log.warning("limit.unknown what=%s error=%s", what, error)
        return False
