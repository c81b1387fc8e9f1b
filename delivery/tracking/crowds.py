"""An address from which one mailing is clicked for very many recipients at once: a gateway that looks at their mail.

Asked while hits are read. Addresses are in Redis for minutes and nowhere else, so the clicks that were read before there
were too many stay people's.
"""

import ipaddress
import logging
from collections.abc import Collection
from typing import Final

import redis

from accounts.queue import redis_client
from delivery.tracking.hits import Hit

WHY_CROWD: Final = "One address for many recipients"
# Recipients by one address in one minute. An office or a mobile network puts hundreds behind one address, of whom so
# many do not click within a minute of each other and of their message.
MANY: Final = 50
SOON_SECONDS: Final = 60.0  # since the message was accepted; later clicks are not looked at
KEPT_SECONDS: Final = 600  # of a minute's list, for hits that are read late
log = logging.getLogger(__name__)


def crowded(hits: Collection[Hit]) -> set[str]:
    """hits: clicks of named recipients, soon after they got the message. Returns: `once` of those that come from an
    address of very many. One round trip; nobody is known while Redis is away."""
    recipients, clicks = dict[str, set[int]](), dict[str, set[str]]()
    for hit in hits:
        if key := _key(hit):
            recipients.setdefault(key, set()).add(hit.number)
            clicks.setdefault(key, set()).add(hit.once)
    return set[str]().union(*(clicks[key] for key in _of_many(recipients)))


def _of_many(recipients: dict[str, set[int]]) -> set[str]:
    """The keys under which too many have come, with these."""
    if not recipients:
        return set()
    try:
        pipeline = redis_client().pipeline(transaction=False)
        for key, numbers in recipients.items():
            pipeline.pfadd(key, *numbers)
            pipeline.expire(key, KEPT_SECONDS)
        for key in recipients:
            pipeline.pfcount(key)
        counts = pipeline.execute()[-len(recipients) :]
    except redis.RedisError as error:
        log.warning("crowd.unknown error=%s", error)
        return set()
    return {key for key, count in zip(recipients, counts, strict=True) if count >= MANY}


def _key(hit: Hit) -> str:
    """One for the mailing, the minute and the address; of IPv6 the network that one place has. "": no address."""
    try:
        address = ipaddress.ip_address(hit.ip)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address) and not address.ipv4_mapped:
        address = ipaddress.ip_network((address, 64), strict=False).network_address
    return f"volley:crowd:{hit.mailing_id}:{int(hit.at) // 60}:{address}"
