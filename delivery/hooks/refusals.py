"""Calls that were refused, counted in Redis as they come and written down by the clock: a flood writes no row."""

import logging
from typing import Final

import redis
from django.db.models import F
from django.utils import timezone

from accounts.queue import redis_client
from delivery.models import SendingAccount

KEY: Final = "volley:hook:refused"  # {account id: how many since the last tick}
log = logging.getLogger(__name__)


def count(account_id: int) -> None:
    """Redis being away, it is not counted."""
    try:
        redis_client().hincrby(KEY, account_id, 1)
    except redis.RedisError as error:
        log.warning("hook.refusal_uncounted error=%s", error)


def write_down() -> None:
    """For the clock, every two seconds."""
    try:
        pipeline = redis_client().pipeline(transaction=True)
        pipeline.hgetall(KEY)
        pipeline.delete(KEY)
        counted, _ = pipeline.execute()
    except redis.RedisError:
        return  # the clock says elsewhere that it is away
    now = timezone.now()
    for account_id, refused in counted.items():
        SendingAccount.objects.filter(pk=int(account_id)).update(
            refused_hook_count=F("refused_hook_count") + int(refused), refused_hook_at=now
        )
        log.info("hook.refused account=%s calls=%s", int(account_id), int(refused))
