"""What an account's page shows of its webhook: what is to be set up, and what has come back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone

from delivery.hooks import tracked
from delivery.hooks.setup import (
    ASKING_TOPIC,
    SETUPS,
    TOPIC,
    USER,
    Setup,
    address_of,
    known_of,
    proof_of,
)
from delivery.hooks.strays import MOST
from delivery.models import EventKind, Feedback, Mailing, SendingAccount, Stray

STRAYS_SHOWN: Final = 20
OWN_HOSTS: Final = ("127.0.0.1", "::1", "localhost")
WORDS: Final = dict(EventKind.choices) | {Feedback.DELIVERED.value: Feedback.DELIVERED.label}
PATIENCE: Final = timedelta(hours=1)  # of what was sent something has come back by then


@dataclass(frozen=True)
class Webhook:
    """address: as it is entered; password: beside it or, with in_address, within it. asking: a topic that may be
    confirmed. waits_since: when the last message left of which nothing has come back. tracked_at: when it last told of
    an open or click that is not its own to count."""

    setup: Setup
    address: str
    user: str
    password: str
    is_known: bool
    is_reachable: bool
    topic: str
    asking: str
    waits_since: datetime | None
    tracked_at: datetime | None
    strays: Sequence[tuple[str, Stray]]  # with the word for its kind
    stray_count: int
    more_strays: bool


def webhook(account: SendingAccount) -> Webhook | None:
    """None where the provider has no webhooks that can be read."""
    setup = SETUPS.get(account.provider)
    if setup is None:
        return None
    known, proof = known_of(account), proof_of(account)
    address, password = address_of(account), ""
    if setup.proof == "password":
        password = proof.removeprefix(f"{USER}:")
        if setup.in_address and proof:
            address = address.replace("://", f"://{proof}@", 1)
    asking = known.get(ASKING_TOPIC, "")
    strays = _strays(account)
    return Webhook(
        setup,
        address,
        user=USER if setup.proof == "password" else "",
        password=password,
        is_known=bool(proof),
        is_reachable=(urlsplit(settings.PUBLIC_URL).hostname or "") not in OWN_HOSTS,
        topic=known.get(TOPIC, ""),
        asking=asking,
        waits_since=_waits_since(account),
        tracked_at=tracked.seen_at(account),
        strays=[(WORDS.get(stray.kind, stray.kind), stray) for stray in strays[:STRAYS_SHOWN]],
        stray_count=len(strays),
        more_strays=len(strays) >= MOST,
    )


def _strays(account: SendingAccount) -> list[Stray]:
    """Newest first; a workspace has few."""
    of_workspace = Stray.objects.filter(workspace=account.workspace_id, account=account)
    return list(islice(of_workspace.order_by("-key"), MOST))


def _waits_since(account: SendingAccount) -> datetime | None:
    sent = Mailing.objects.filter(account=account, accepted_count__gt=0).order_by("-progress_at")
    last = sent.values_list("progress_at", flat=True).first()
    if (
        last is None
        or last > timezone.now() - PATIENCE
        or (account.event_at and account.event_at >= last - PATIENCE)
    ):
        return None
    return last
