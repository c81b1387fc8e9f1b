"""What a provider allows the whole account there, asked while it sends; so far Amazon SES alone tells.

It is kept on the account, and `delivery.pipeline.pace` lets it bind as the account's own limits do.
"""

import logging
from datetime import datetime
from typing import Any, Final, TypedDict

import redis
from django.utils import timezone

from accounts.queue import redis_client
from delivery import days
from delivery.models import SendingAccount
from delivery.pipeline import pace
from delivery.secrets import SecretsLost
from delivery.transports.base import CannotConnect
from delivery.transports.esp_asking import Asking, NotAnswered

EVERY_SECONDS: Final = 60  # by all workers together
REFUSED_SECONDS: Final = 3600  # the same, where the key may not ask
PATIENCE_SECONDS: Final = 2.0  # to connect, and for an answer; a batch is leased meanwhile
FASTEST: Final = 1e6  # messages a second; a rate beyond is none
TELLING: Final = frozenset({"amazon_ses"})
log = logging.getLogger(__name__)


class Quota(TypedDict):
    """per_second, per_day: messages; None: no limit. room: what Volley's own count of 24 hours may come to.

    room is less than per_day by what others send through the same account at the provider.
    """

    per_second: float | None
    per_day: int | None
    room: int | None
    is_sandbox: bool


def refresh(account: SendingAccount) -> None:
    """Ask again, unless somebody did within the minute; for a slice's beginning. Never raises."""
    if account.provider not in TELLING:
        return
    try:
        if redis_client().set(_key(account), 1, nx=True, ex=EVERY_SECONDS):
            read(account)
    except redis.RedisError as error:
        log.warning("quota.unreachable account=%s error=%s", account.pk, error)


def read(account: SendingAccount) -> None:
    """Ask, and keep the answer on the account; without one everything stays as it is. Raises: redis.RedisError."""
    if account.provider not in TELLING:
        return
    now = timezone.now()
    try:
        quota = _amazon_ses(_asked(account), used=_used(account, now))
    except NotAnswered as error:
        log.info("quota.unknown account=%s error=%s", account.pk, error.words)
        if not error.passes:
            redis_client().set(_key(account), 1, ex=REFUSED_SECONDS)
        return
    except (SecretsLost, CannotConnect):
        return  # whoever sends says so
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        log.warning("quota.unreadable account=%s error=%r", account.pk, error)
        return
    if pace.daily_limit(account, now) is None:
        pace.forget_day(account)
    account.quota, account.quota_at = quota, now
    SendingAccount.objects.filter(pk=account.pk).update(quota=quota, quota_at=now)


def ask_anew(account: SendingAccount) -> None:
    """Its settings are others: whatever was said of the ones before is forgotten."""
    redis_client().delete(_key(account))


def _asked(account: SendingAccount) -> dict[str, Any]:
    asking = Asking(account, seconds=PATIENCE_SECONDS)
    try:
        return asking.boto("get_account")
    finally:
        asking.close()


# https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html
def _amazon_ses(answer: dict[str, Any], *, used: int) -> Quota:
    told = answer["SendQuota"]
    per_day, per_second = int(told["Max24HourSend"]), float(told["MaxSendRate"])
    is_limited = per_day >= 0  # -1: as much as one likes
    left = max(per_day - int(told["SentLast24Hours"]), 0)
    return Quota(
        per_second=per_second if 0 < per_second < FASTEST else None,
        per_day=per_day if is_limited else None,
        # It counts late what is on its way: never more than it allows altogether.
        room=min(used + left, per_day) if is_limited else None,
        is_sandbox=not answer.get("ProductionAccessEnabled", True),
    )


def _used(account: SendingAccount, now: datetime) -> int:
    return days.used([account], now).get(account.pk, 0)


def _key(account: SendingAccount) -> str:
    return f"volley:quota:{account.pk}"
